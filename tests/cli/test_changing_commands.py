"""What can be changed: endpoints, keys, and sending and taking in again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import select, text, update

from adapter.cli.deliveries import _wait
from adapter.cli.listening import Ear, listening
from adapter.errors import Unavailable
from adapter.store import tables as t
from connectors.base import event_key
from tests.cli.shell import SECRET, Endpoint, Shell, configured, live_one_order, one_order
from tests.shop import placed, play, recorded

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

URL = "http://127.0.0.1:9/hook"


def test_an_endpoint_is_added_with_all_it_has(database: Engine, shell: Shell) -> None:
    configured(database)
    added = shell.json(
        "endpoints", "add", URL, "--event", "balance.*", "--event", "member.created", "--schedule", "1,5",
        "--timeout", "3", "--ordered", "--header", "X-Team=crm", "--concurrency", "2", "--rate", "9",
        "--description", "CRM", "--secret", SECRET,
    )  # fmt: skip
    assert added["secret"] == SECRET
    listed = shell.json("endpoints", "list")[0]
    wanted = {
        "url": URL,
        "events": ["balance.*", "member.created"],
        "schedule": [1, 5],
        "timeout": 3,
        "ordered": True,
        "rate_per_s": 9,
        "headers": {"X-Team": "hidden"},
    }
    assert {name: listed[name] for name in wanted} == wanted
    assert SECRET not in shell("endpoints", "list").stdout


def test_an_endpoint_is_disabled_enabled_tested_and_rotated(
    database: Engine, shell: Shell, endpoint: Endpoint
) -> None:
    configured(database)
    name = endpoint()
    live_one_order(database)
    waiting = len(shell.json("deliveries", "list"))
    assert "are held" in shell("endpoints", "disable", name).stdout
    assert len(shell.json("deliveries", "list", "--state", "held")) == waiting
    assert [one["id"] for one in shell.json("endpoints", "list", "--state", "disabled")] == [name]
    assert "it first" in shell.fails("endpoints", "test", name)
    assert shell("endpoints", "enable", name, "--keep-held").stdout.endswith("0 held deliveries are due\n")
    assert f"; {waiting} held" in shell("endpoints", "enable", name).stdout
    assert shell("endpoints", "test", name).stdout.startswith("msg_")
    assert len(shell.json("deliveries", "list", "--type", "endpoint.test")) == 1
    rotated = shell.json("endpoints", "rotate", name, "--overlap", "2h")
    assert rotated["secret"].startswith("whsec_")
    assert len(rotated["secrets"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "ftp://x"), "url"),
        (("add", URL, "--schedule", "1,soon"), "whole seconds"),
        (("add", URL, "--header", "X-Team"), "NAME=VALUE"),
        (("add", URL, "--event", "order.*"), "order.*"),
        (("rotate", "end_0000000000000"), "there is no endpoint"),
        (("rotate", "end_0000000000000", "--overlap", "8 days"), "not a duration"),
        (("enable", "end_0000000000000"), "there is no endpoint"),
        (("disable", "evt_0000000000000"), "not an id such as end_"),
    ],
)
def test_what_cannot_be_done_to_endpoints_is_said(
    sqlite_database: Engine, sqlite_shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    configured(sqlite_database)
    assert said in sqlite_shell.fails("endpoints", *arguments)
    assert sqlite_shell.json("endpoints", "list") == []


def test_a_key_is_shown_once_and_revoked(database: Engine, shell: Shell) -> None:
    configured(database)
    made = shell.json("keys", "create", "--scope", "members:read", "--expires", "90d")
    assert made["token"].startswith("sk_test_")
    with database.connect() as connection:
        kept = connection.execute(select(t.api_keys)).one()
    assert bytes(kept.hash) == hashlib.sha256(made["token"].encode()).digest()
    assert kept.expires_at - kept.created_at == 90 * 86_400_000
    listed = shell.json("keys", "list")
    assert [(one["scopes"], one["state"]) for one in listed] == [(["members:read"], "active")]
    assert made["token"] not in shell("keys", "list").stdout
    for _ in range(2):
        shell("keys", "revoke", made["id"])
    assert shell.json("keys", "list")[0]["state"] == "revoked"
    shell("keys", "create", "--expires", "0s")
    assert shell.json("keys", "list")[0]["state"] == "expired"
    assert "is not *" in shell.fails("keys", "create", "--scope", "everything")
    assert "there is no key" in shell.fails("keys", "revoke", "key_0000000000000")


def test_a_replay_is_created_and_left_to_the_service(
    database: Engine, shell: Shell, endpoint: Endpoint
) -> None:
    configured(database)
    endpoint(events=["balance.updated"])
    live_one_order(database)
    _make_dead(database)
    assert shell("deliveries", "replay", "--state", "dead", "--no-wait").stdout.endswith(
        "3 deliveries selected\n"
    )
    assert shell("deliveries", "replay", "--state", "held").stdout.endswith("0 deliveries selected\n")
    assert "say what to send again" in shell.fails("deliveries", "replay")
    assert "there is no delivery" in shell.fails("deliveries", "replay", "dlv_0000000000000")
    assert "which endpoint" in shell.fails("deliveries", "replay", "--missing")


def test_a_replay_sends_from_here_where_asked(database: Engine, shell: Shell, endpoint: Endpoint) -> None:
    configured(database)
    ear = Ear((SECRET,))
    with listening(ear) as url:
        endpoint(url, events=["balance.updated"])
        live_one_order(database)
        _make_dead(database)
        one = shell.json("deliveries", "list", "--limit", "1")[0]["id"]
        assert "1 sent, 0 failed" in shell("deliveries", "replay", one, "--send").stdout
        assert (
            "2 sent, 0 failed"
            in shell("deliveries", "replay", "--state", "dead", "--member", "shop:7000", "--send").stdout
        )
    assert [heard.verified for heard in ear.heard] == [True] * 3
    assert sorted(heard.data["sequence"] for heard in ear.heard) == [1, 2, 3]
    shown = shell("deliveries", "show", one).stdout
    assert "attempt 1 at" in shown
    assert ": 204, " in shown


def _make_dead(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(t.deliveries).values(state="dead"))


def test_a_replay_that_does_not_move_says_what_to_do() -> None:
    progress = {"id": "rpl_1", "waiting": 1, "queued": 0, "sent": 1, "failed": 0, "finished_at": None}
    clock = iter(range(0, 1000, 10))
    slept: list[float] = []
    with pytest.raises(Unavailable, match=r"1 wait.*--send"):
        _wait(lambda: progress, 2, sleep=slept.append, monotonic=lambda: float(next(clock)))
    assert len(slept) > 1


def test_events_are_taken_in_again_after_a_fix(database: Engine, shell: Shell) -> None:
    """An event was stored as rejected, though its body is what the connector reads today."""
    configured(database)
    body = b'{"id":"e1","type":"order.placed"}'
    refused = msgspec.structs.replace(
        recorded(), body=body, key=event_key("x"), refusal=("rejected", "a defect")
    )
    play(database, [refused])
    name = shell.json("events", "list")[0]["id"]
    said = shell("events", "replay", name).stdout
    assert said == "1 rejected\n1 of 1 events taken in again\n"
    row = shell.json("events", "list")[0]
    assert row["id"] == name
    assert row["reason"] != "a defect"
    assert shell("events", "replay", "--state", "rejected", "--source", "shop").stdout == said
    assert shell("events", "replay", "--state", "parked").stdout == "0 of 0 events taken in again\n"


def test_taking_in_again_names_its_faults(sqlite_database: Engine, sqlite_shell: Shell) -> None:
    configured(sqlite_database)
    play(sqlite_database, [recorded(placed())])
    name = sqlite_shell.json("events", "list")[0]["id"]
    assert "select them by filters" in sqlite_shell.fails("events", "replay")
    assert "select them by filters" in sqlite_shell.fails("events", "replay", name, "--state", "parked")
    assert "there is no event" in sqlite_shell.fails("events", "replay", "evt_0000000000000")
    assert "there is no event" in sqlite_shell.fails("events", "show", "evt_0000000000000")
    with sqlite_database.begin() as connection:
        connection.execute(text("DELETE FROM sources"))
        connection.execute(text("UPDATE configuration SET version = version + 1"))
    assert "apply it again" in sqlite_shell.fails("events", "replay", name)


def test_nothing_is_done_twice_by_taking_in_again(database: Engine, shell: Shell) -> None:
    one_order(database)
    shell("events", "replay", "--since", "36500d")
    assert shell("audit").stdout.startswith("the book is right")
    assert shell.json("members", "show", "shop:7000")["balances"][0]["available"] == 59


APPLIED = """
[[tenants]]
name = "acme"
mode = "test"
  [[tenants.programs]]
  name = "main"
  [[tenants.sources]]
  name = "shop"
  connector = "shopify"
  program = "main"
  secrets = ["hush"]
"""


def test_a_file_is_applied_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded database gets its tables by the way."""
    monkeypatch.setenv("LOYALTY_DATA_DIR", str(tmp_path))
    file = tmp_path / "acme.toml"
    file.write_text(APPLIED)
    shell = Shell()
    assert "source shop" in shell("apply", str(file)).stdout
    assert shell("apply", str(file)).stdout == "nothing changed\n"
    file.write_text(APPLIED.replace('"shopify"', '"shopfy"'))
    assert "tenants[0].sources[0].connector" in shell.fails("apply", str(file))
    assert "does not exist" in shell.fails("apply", str(tmp_path / "other.toml"))
