"""Applying makes the database match, says what that took, and a second time does nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, insert, select, text, update

from adapter.apply import Action, apply, check_tree, make_match
from adapter.apply.endpoints import REMOVED
from adapter.delivery import endpoints as managing
from adapter.delivery import switching
from adapter.errors import ConfigurationError
from adapter.settings import config_folder
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.database import unit_of_work

if TYPE_CHECKING:
    from pathlib import Path

    from adapter.catalog import Catalog

NOW = 1_800_000_000_000
SECRETS = [f"whsec_{letter * 32}" for letter in "abc"]
TOKENS = [f"sk_test_{letter * 32}" for letter in "abc"]
HOOK = "http://127.0.0.1:9009/hook"


def tenant(**lists: Any) -> dict[str, Any]:
    return {"name": "acme", "mode": "test", **lists}


def whole(**changes: Any) -> dict[str, Any]:
    """Return a tenant with one of each."""
    return tenant(
        **{
            "keys": [{"token": TOKENS[0]}],
            "programs": [{"name": "main", "earning": {"rate": "1"}}],
            "sources": [source()],
            "endpoints": [{"url": HOOK, "secrets": [SECRETS[0]]}],
        }
        | changes
    )


def source(**changes: Any) -> dict[str, Any]:
    return {"name": "shop", "connector": "shopify", "program": "main", "secrets": ["hush"]} | changes


def applied(database: Engine, *tenants: dict[str, Any], now: int = NOW) -> list[tuple[str, str]]:
    """Apply, and return what changed as (action, kind)."""
    changes = make_match(database, check_tree({"tenants": tenants}), now=now)
    return [(change.action.value, change.kind) for change in changes if change.action is not Action.UNCHANGED]


def catalog(database: Engine) -> Catalog:
    with database.connect() as connection:
        return load_catalog(connection)


def keys(database: Engine) -> list[Any]:
    with database.connect() as connection:
        return list(connection.execute(select(t.api_keys).order_by(t.api_keys.c.id)))


def refused(database: Engine, *tenants: dict[str, Any], now: int = NOW) -> ConfigurationError:
    """Return why a file is refused, after a look whether everything stayed as it was."""
    before = catalog(database)
    with pytest.raises(ConfigurationError) as caught:
        applied(database, *tenants, now=now)
    assert catalog(database) == before
    return caught.value


def take_in_an_event(database: Engine, name: str = "shop") -> None:
    row = {"env": 1, "id": 1, "source": name, "key": b"k", "topic": "t", "types": "", "state": "applied"}
    row |= {"occurred_at": 0, "received_at": 0, "posted_at": 0, "headers": "{}", "body": b""}
    with unit_of_work(database) as connection:
        connection.execute(insert(t.events).values(row))


def test_first_time_creates_everything(database: Engine) -> None:
    assert applied(database, whole()) == [
        ("created", "environment"),
        ("created", "program"),
        ("created", "key"),
        ("created", "source"),
        ("created", "endpoint"),
    ]
    kept = catalog(database)
    assert kept.version == 1
    assert (kept.environments[1].tenant, kept.environments[1].mode) == ("acme", "test")
    assert kept.version_at(1, "main", NOW).version == 1
    assert kept.definition_of(1, "main").name == "points"
    assert (kept.sources["shop"].orders_of, kept.sources["shop"].secrets) == ("shop", ("hush",))
    (endpoint,) = kept.endpoints_of[1]
    assert (endpoint.url, [each.secret for each in endpoint.secrets]) == (HOOK, [SECRETS[0]])
    (key,) = keys(database)
    assert (key.hash, key.hint) == (hashlib.sha256(TOKENS[0].encode()).digest(), "sk_test_aaaa")


def test_second_time_changes_nothing(database: Engine) -> None:
    applied(database, whole())
    before = catalog(database)
    assert applied(database, whole(), now=NOW + 1) == []
    assert catalog(database) == before


def test_example_is_told_in_lines(database: Engine) -> None:
    path: Path = config_folder() / "example.toml"
    assert apply(database, path, now=NOW) == [
        "created   acme/test: environment 1",
        "created   acme/test: program main (version 1)",
        "created   acme/test: key sk_test_0123…",
        "created   acme/test: source shop (POST /webhooks/shop)",
        "created   acme/test: source payments (POST /webhooks/payments)",
        "created   acme/test: endpoint http://127.0.0.1:9009/hook",
    ]
    assert apply(database, path, now=NOW) == ["nothing changed"]


def test_one_change_is_told_beside_the_number_that_stayed(database: Engine) -> None:
    applied(database, whole())
    changes = make_match(
        database, check_tree({"tenants": [whole(sources=[source(secrets=["new"])])]}), now=NOW
    )
    assert [str(change) for change in changes if change.changed] == [
        "updated   acme/test: source shop (secrets)"
    ]


def test_many_changes_raise_the_version_once(database: Engine) -> None:
    applied(database, whole())
    more = whole(
        programs=[{"name": "main", "earning": {"rate": "2"}}],
        endpoints=[{"url": HOOK, "secrets": [SECRETS[1]]}, {"url": HOOK + "2"}],
        keys=[],
    )
    assert len(applied(database, more)) == 4
    assert catalog(database).version == 2


def test_changed_program_is_a_new_version_from_now_on(database: Engine) -> None:
    applied(database, whole())
    again = whole(programs=[{"name": "main", "earning": {"rate": "2"}}])
    assert applied(database, again, now=NOW + 5) == [("updated", "program")]
    kept = catalog(database)
    assert kept.version_at(1, "main", NOW + 4).program.earning.rate == 1
    assert kept.version_at(1, "main", NOW + 5).program.earning.rate == 2


def test_a_changed_program_has_the_sweep_look_at_its_members_and_no_others(database: Engine) -> None:
    programs = [{"name": "main", "earning": {"rate": "1"}}, {"name": "side", "earning": {"rate": "1"}}]
    applied(database, whole(programs=programs))
    rows = [
        {"env": 1, "member": number, "program": name, "joined_at": NOW, "version": 1}
        for number in (5, 6)
        for name in ("main", "side")
    ]
    with database.begin() as connection:
        connection.execute(insert(t.memberships), rows)
    applied(database, whole(programs=[{"name": "main", "earning": {"rate": "2"}}, programs[1]]), now=NOW + 5)
    with database.connect() as connection:
        found = connection.execute(select(t.memberships.c.program, t.memberships.c.next_due_at)).all()
    assert sorted(map(tuple, found), key=str) == [("main", NOW + 5)] * 2 + [("side", None)] * 2


def test_a_draft_stands_beside_the_published_program(database: Engine) -> None:
    applied(database, tenant(programs=[{"name": "main", "earning": {"rate": "1"}}]))
    cash = [{"name": "points"}, {"name": "cash", "unit": "EUR", "decimals": 2}]
    draft = {"name": "main", "state": "draft", "earning": {"rate": "2"}, "balance_definitions": cash}
    applied(database, tenant(programs=[draft]), now=NOW + 5)
    kept = catalog(database)
    assert kept.version_at(1, "main", NOW + 9).program.earning.rate == 1
    found = kept.draft_of(1, "main")
    assert found is not None
    assert found.version == 2
    assert found.program.earning.rate == 2
    assert [one.name for one in kept.definitions.values()] == ["points"], "what it would add is not there yet"
    applied(database, tenant(programs=[draft | {"state": "published"}]), now=NOW + 9)
    kept = catalog(database)
    assert kept.version_at(1, "main", NOW + 8).version == 1
    assert (kept.version_at(1, "main", NOW + 9).version, kept.draft_of(1, "main")) == (3, None)
    assert sorted(one.name for one in kept.definitions.values()) == ["cash", "points"]


def test_same_program_written_otherwise_is_no_change(database: Engine) -> None:
    """1 and 1.0 are one rate, and a default that is spelled out is no change."""
    applied(database, whole())
    spelled = {"name": "main", "earning": {"rate": "1.0", "hold_days": 0}, "timezone": "UTC"}
    assert applied(database, whole(programs=[spelled])) == []


def test_program_that_is_gone_is_kept_and_told(database: Engine) -> None:
    applied(database, whole(sources=[]))
    assert applied(database, whole(sources=[], programs=[])) == [("kept", "program")]
    assert (1, "main") in catalog(database).programs


def test_further_definition_gets_the_next_number(database: Engine) -> None:
    applied(database, whole(programs=[{"name": "main"}, {"name": "second"}]))
    more = [{"name": "points"}, {"name": "cash", "decimals": 2}]
    applied(database, whole(programs=[{"name": "main", "balance_definitions": more}, {"name": "second"}]))
    found = {(one.program, one.name): one.id for one in catalog(database).definitions.values()}
    assert found == {("main", "points"): 1, ("second", "points"): 2, ("main", "cash"): 3}


@pytest.mark.parametrize(
    ("definitions", "field"),
    [
        ([{"name": "points", "decimals": 2}], "tenants[0].programs[0].balance_definitions[0].decimals"),
        ([{"name": "miles"}], "tenants[0].programs[0].balance_definitions[0].name"),
    ],
)
def test_unit_of_the_book_cannot_change(database: Engine, definitions: list[Any], field: str) -> None:
    applied(database, whole())
    assert (
        refused(database, whole(programs=[{"name": "main", "balance_definitions": definitions}])).field
        == field
    )


def test_name_of_a_unit_can_change(database: Engine) -> None:
    applied(database, whole())
    applied(database, whole(programs=[{"name": "main", "balance_definitions": [{"unit": "miles"}]}]))
    assert catalog(database).definition_of(1, "main").unit == "miles"


def test_key_that_is_gone_is_revoked_for_good(database: Engine) -> None:
    applied(database, whole())
    assert applied(database, whole(keys=[{"token": TOKENS[1]}]), now=NOW + 1) == [
        ("removed", "key"),
        ("created", "key"),
    ]
    assert [key.revoked_at for key in keys(database)] == [NOW + 1, None]
    error = refused(database, whole(), now=NOW + 2)
    assert error.field == "tenants[0].keys[0].token"
    assert "revoked" in error.message


def test_changed_scopes_and_end_of_a_key_are_taken_over(database: Engine) -> None:
    applied(database, whole())
    ending = {"token": TOKENS[0], "scopes": ["members:read"], "expires_at": "2027-01-01T00:00:00"}
    assert applied(database, whole(keys=[ending])) == [("updated", "key")]
    (key,) = keys(database)
    assert (key.scopes, key.expires_at) == ('["members:read"]', 1_798_761_600_000)


def test_key_of_another_environment_is_refused(database: Engine) -> None:
    applied(database, whole(), {"name": "other", "mode": "test"})
    moved = {"name": "other", "mode": "test", "keys": [{"token": TOKENS[0]}]}
    assert "another environment" in refused(database, moved).message


def test_list_that_is_left_out_is_left_alone(database: Engine) -> None:
    applied(database, whole())
    before = catalog(database)
    assert applied(database, tenant()) == []
    assert catalog(database) == before
    assert keys(database)[0].revoked_at is None


def test_source_without_programs_in_the_file_needs_one_in_the_database(database: Engine) -> None:
    applied(database, whole())
    only = tenant(sources=[source(), source(name="second")])
    assert applied(database, only) == [("created", "source")]
    wrong = tenant(sources=[source(), source(name="second", program="gold")])
    assert refused(database, wrong).field == "tenants[0].sources[1].program"


def test_source_without_events_is_removed(database: Engine) -> None:
    applied(database, whole())
    assert applied(database, whole(sources=[])) == [("removed", "source")]
    assert catalog(database).sources == {}


def test_source_with_events_stays(database: Engine) -> None:
    applied(database, whole())
    take_in_an_event(database)
    error = refused(database, whole(sources=[]))
    assert error.field == "tenants[0].sources"
    assert "'shop' has events" in error.message


@pytest.mark.parametrize("changes", [{"connector": "woocommerce"}, {"orders_of": "second"}])
def test_meaning_of_stored_events_cannot_change(database: Engine, changes: dict[str, str]) -> None:
    second = source(name="second")
    applied(database, whole(sources=[source(), second]))
    other = whole(sources=[source(**changes), second])
    take_in_an_event(database)
    (field,) = changes
    assert refused(database, other).field == f"tenants[0].sources[0].{field}"
    with unit_of_work(database) as connection:
        connection.execute(text("DELETE FROM events"))
    assert applied(database, other) == [("updated", "source")]


def test_name_of_another_tenants_source_is_taken(database: Engine) -> None:
    applied(database, whole())
    other = whole(name="other", keys=[], endpoints=[])
    error = refused(database, other)
    assert error.field == "tenants[0].sources[0].name"
    assert "take another" in error.message


def test_name_of_a_source_can_move_between_tenants(database: Engine) -> None:
    other = {"name": "other", "mode": "live", "programs": [{"name": "main"}]}
    applied(database, whole(), other)
    moved = applied(database, other | {"sources": [source()]}, whole(sources=[]))
    assert moved == [("removed", "source"), ("created", "source")]
    assert catalog(database).sources["shop"].env == 2


def test_endpoint_that_is_gone_is_disabled_and_comes_back(database: Engine) -> None:
    applied(database, whole())
    assert applied(database, whole(endpoints=[])) == [("removed", "endpoint")]
    (endpoint,) = catalog(database).endpoints_of[1]
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", REMOVED)
    assert applied(database, whole(endpoints=[])) == []
    assert applied(database, whole()) == [("updated", "endpoint")]
    assert catalog(database).endpoints_of[1][0].state == "enabled"


def test_endpoint_stopped_by_hand_stays_stopped(database: Engine) -> None:
    applied(database, whole())
    (endpoint,) = catalog(database).endpoints_of[1]
    with unit_of_work(database) as connection:
        switching.disable(connection, 1, endpoint.id, now=NOW)
    assert applied(database, whole()) == []
    assert catalog(database).endpoints_of[1][0].state == "disabled"


def test_endpoint_that_is_gone_is_never_probed(database: Engine) -> None:
    """One that had failed before would otherwise heal itself back into service."""
    applied(database, whole())
    with unit_of_work(database) as connection:
        connection.execute(
            update(t.endpoints).values(state="disabled", disabled_reason="failing", probe_at=NOW)
        )
    assert applied(database, whole(endpoints=[])) == [("removed", "endpoint")]
    with database.connect() as connection:
        assert connection.execute(select(t.endpoints.c.probe_at)).scalar_one() is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("events", ("balance.*",)),
        ("schedule", (1, 2)),
        ("ordered", True),
        ("headers", {"X-Team": "blue"}),
        ("concurrency", 2),
        ("rate_per_s", 5),
        ("description", "the till"),
    ],
)
def test_changed_field_of_an_endpoint_is_taken_over(database: Engine, field: str, value: Any) -> None:
    applied(database, whole())
    changed = whole(endpoints=[{"url": HOOK, "secrets": [SECRETS[0]], field: value}])
    assert applied(database, changed) == [("updated", "endpoint")]
    assert getattr(catalog(database).endpoints_of[1][0], field) == value
    assert applied(database, changed) == []


def test_secrets_of_an_endpoint_are_taken_literally(database: Engine) -> None:
    """The overlap of a rotation is the rotation's matter: what the file says is what signs."""
    applied(database, whole())
    (endpoint,) = catalog(database).endpoints_of[1]
    with unit_of_work(database) as connection:
        managing.rotate(connection, 1, endpoint.id, now=NOW, secret=SECRETS[1])
    assert applied(database, whole(endpoints=[{"url": HOOK, "secrets": [SECRETS[1], SECRETS[0]]}])) == [
        ("updated", "endpoint")
    ]
    kept = catalog(database).endpoints_of[1][0].secrets
    assert [(each.secret, each.expires_at) for each in kept] == [(SECRETS[1], None), (SECRETS[0], None)]


def test_endpoint_without_secrets_keeps_the_one_that_was_made(database: Engine) -> None:
    bare = whole(endpoints=[{"url": HOOK}])
    changes = make_match(database, check_tree({"tenants": [bare]}), now=NOW)
    (secret,) = (each.secret for each in catalog(database).endpoints_of[1][0].secrets)
    assert secret in str(changes[-1])
    assert applied(database, bare) == []
    assert catalog(database).endpoints_of[1][0].secrets[0].secret == secret
