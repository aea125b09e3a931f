"""One environment never sees another: every route, with the keys of strangers and the ids of somebody else.

The walk is over the table of routes itself. A new route with a parameter or a body that this file has not heard of fails
here, until somebody has said what it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import insert, select

from adapter.program.model import Program
from adapter.store import tables as t
from adapter.web.table import ROUTES
from tests.shop import customer, paid, placed, recorded, refunded, shipped
from tests.web.conftest import PROGRAM, STRANGER, Web, keyed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from adapter.web.routing import Route

SISTER = "sk_live_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"  # the same company, in its live mode
HOOK = "http://127.0.0.1:9/hook"

REFERENCES = {
    "member": "member", "members": "member", "endpoint": "endpoint", "message": "message", "email": "email",
    "order": "order_ref", "source": "source", "code": "code",
    "into": "member", "from": "member", "to": "member",
}  # fmt: skip
"""Parameters, and fields of bodies, that name something; with which of environment 1's names they are tried."""
NEUTRAL = {
    "fields", "limit", "cursor", "state", "type", "version", "since", "until", "as_of", "include_deleted", "program",
    "balance_definition",
    # bodies
    "url", "secrets", "events", "format", "schedule", "timeout", "ordered", "headers", "concurrency", "rate_per_s",
    "description", "overlap", "secret", "release_held", "missing", "amount", "complete", "occurred_at", "ttl",
    "points_expire_at", "points_ttl", "apply", "reason", "metadata", "immediate", "available_at", "due_at", "expires_at",
    "advice",
    "kind", "reward", "points", "value", "payment", "shipping", "tracking", "force",
    "group", "tier",
    "customer", "name", "birthday", "joined_at", "currency", "percent", "rule",
    "lock_s", "last_known", "flagged", "note", "valid_from", "worth", "hold", *Program.model_fields,
}  # fmt: skip
"""Those that name nothing of anybody's: every environment has a program of the same name here."""
NO_NAMES = {
    ("place_order", "source"), ("orders", "source"), ("create_program", "members"), ("draft_program", "members"),
}  # fmt: skip
"""A balance order's `source` is no shop, and what a program says of its `members` names none of them."""
BODIES: dict[str, dict[str, Any]] = {
    "add_endpoint": {"url": "https://example.com/hook"},
    "change_endpoint": {"url": "https://example.com/hook"},
    "create_replay": {"type": "balance.updated"},
    "place_order": {"amount": 5, "source": "user", "due_at": "2026-12-01T00:00:00Z"},
    "begin_transaction": {"type": "credit", "amount": 5, "complete": True},
    "begin_redemption": {"reward": "rwd_totebag"},
    "give_advice": {"advice": "REVIEW"},
    "assign_tier": {"group": "status", "tier": "silver"},
    "transfer_points": {"amount": 5},
    "attribute_voucher": {"percent": "10"},
    "clear_redemption": {"note": "seen"},
    "link_customer": {"customer": "7099"},
    "unlink_customer": {"customer": "7099"},
    "create_program": {"name": "club"},
    "draft_program": {"name": "of-nobody-else"},
}
"""What a route is sent beside the name that is tried; one that needs nothing is not listed."""
SHOWS_ITS_OWN = {"programs", "rewards"}
SUMS = {"report_liability", "report_trial_balance"}  # over what there is: here nothing
CREATES = {"add_endpoint", "enrol_member", "create_program"}  # in the environment of the key, and nowhere else


@pytest.fixture
def named(web: Web) -> dict[str, str]:
    """One of everything in environment 1, by what it is called."""
    with web.engine.begin() as connection:
        connection.execute(
            insert(t.environments).values(id=3, tenant="acme", mode="live", created_at=0, secret=b"secret")
        )
        connection.execute(
            insert(t.programs).values(
                env=3, name="main", version=1, published_at=0, body=PROGRAM.model_dump_json()
            )
        )
        connection.execute(
            insert(t.definitions).values(
                env=3, id=1, program="main", name="points", unit="points", decimals=0
            )
        )
    keyed(web.engine, 3, SISTER)
    endpoint = web.post("/v1/endpoints", {"url": HOOK}, status=201)["id"]
    web.play(
        recorded(customer(email="jo@example.com", name="Jo Secret")),
        *(recorded(event) for event in (placed(), paid(), shipped(), refunded())),
    )
    spent = {"member": "shop:7000", "reward": "rwd_fivecredit", "source": "shop", "order": "1001"}
    redemption = web.post("/v1/redemptions", spent, status=201)
    web.ask("PUT", "/v1/members/shop:7000/advice", body={"advice": "BLOCK"})
    web.post("/v1/members/shop:7000/tier", BODIES["assign_tier"])
    given = {"member": "shop:7000", "percent": "10"}
    gift = web.post("/v1/vouchers", given, status=201)
    delivery = web.get("/v1/deliveries")["data"][0]["id"]
    return {
        "redemption": redemption["id"], "code": redemption["discount"]["code"], "voucher_code": gift["code"],
        "endpoint": endpoint, "delivery": delivery, "voucher": gift["id"],
        "member": web.get("/v1/members/shop:7000")["id"], "email": "jo@example.com", "source": "shop",
        "transaction": web.get("/v1/transactions")["data"][0]["id"],
        "balance_order": web.post("/v1/orders", {"member": "shop:7000"} | BODIES["place_order"], status=201)["id"],
        "event": web.get("/v1/events")["data"][0]["id"],
        "message": web.get("/v1/messages")["data"][0]["id"],
        "replay": web.post(f"/v1/deliveries/{delivery}/replay", status=202)["id"],
        "order": "shop:1001", "order_ref": "1001", "program": "of-nobody-else",
    }  # fmt: skip


def kept(web: Web) -> dict[str, list[Any]]:
    """Return every row of environment 1."""
    with web.engine.connect() as connection:
        return {
            name: [
                tuple(row)
                for row in connection.execute(
                    select(table).where(table.c.env == 1).order_by(*table.primary_key)
                )
            ]
            for name, table in t.metadata.tables.items()
            if "env" in table.c
        }


def fields_of(route: Route) -> set[str]:
    return {*asked_of(route.query), *asked_of(route.body)}


def asked_of(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    """Return the fields of a query or a body, by the names that callers send."""
    return {} if model is None else {one.alias or name: one for name, one in model.model_fields.items()}


def names(route: Route, field: str) -> bool:
    """Return whether a parameter or a field of a body names something."""
    return field in REFERENCES and (route.name, field) not in NO_NAMES


def referred(route: Route, field: str) -> str:
    """Return which of environment 1's names a field is tried with: vouchers have codes of their own."""
    return "voucher_code" if field == "code" and route.tag == "Vouchers" else REFERENCES[field]


def tried(route: Route, named: dict[str, str]) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """Return the requests that try a route: path, query, body."""
    path = route.path.format(**named)
    body = BODIES.get(route.name, {})
    asked, given = asked_of(route.query), asked_of(route.body)
    required = {name: named[referred(route, name)] for name, one in asked.items() if one.is_required()}
    named_in_body = {name for name, one in given.items() if one.is_required() and names(route, name)}
    body = {**body, **{name: named[referred(route, name)] for name in named_in_body}}
    found: list[tuple[str, dict[str, str], dict[str, Any]]] = [(path, required, body)]
    found += [
        (path, {**required, name: named[referred(route, name)]}, body) for name in asked if names(route, name)
    ]
    found += [
        (path, required, {**body, name: named[referred(route, name)]}) for name in given if names(route, name)
    ]
    return found


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_this_walk_knows_every_parameter(route: Route) -> None:
    assert fields_of(route) <= NEUTRAL | REFERENCES.keys(), "does it name something? then it is tried below"


def test_every_route_is_closed_without_a_key(sqlite_web: Web) -> None:
    for route in ROUTES:
        path = route.path.replace("{", "").replace("}", "")
        for headers in ({}, {"api-key": "sk_test_guess"}):
            answer = sqlite_web.client.open(path, method=route.method, json={}, headers=headers)
            assert answer.status_code == 401, route.name


@pytest.mark.parametrize("token", [STRANGER, SISTER], ids=["another company", "the same company, live"])
def test_nothing_of_another_environment_is_seen_or_touched(
    web: Web, named: dict[str, str], token: str
) -> None:
    before = kept(web)
    some = ("members", "balances", "deliveries", "events", "transactions", "redemptions")
    assert all(before[name] for name in some)
    for route in sorted(
        ROUTES, key=lambda route: route.method
    ):  # reads first: strangers may make things of their own
        for path, query, body in tried(route, named):
            answer = web.client.open(
                path,
                method=route.method,
                query_string=query,
                json=body if route.takes_body else None,
                headers={"api-key": token},
            )
            assert_nothing_is_told(route, answer, (path, query, body))
    assert kept(web) == before


def assert_nothing_is_told(route: Route, answer: Any, asked: Any) -> None:
    said = answer.get_json()
    if answer.status_code == 404:
        assert said["code"] in ("not_found", "member_unknown"), asked
    elif route.bulk:
        assert said["succeeded"] == 0, asked
        assert {one["problem"]["code"] for one in said["data"]} <= {"not_found", "member_unknown"}, asked
    elif route.name in CREATES:
        assert answer.status_code == 201, (asked, said)
    elif route.name == "create_replay":
        assert (answer.status_code, said["selected"]) == (202, 0), asked
    elif route.name in SUMS:
        assert set(figures(said)) <= {0}, asked
    else:
        assert "{" not in route.path, (asked, said)
        assert (answer.status_code, route.method) == (200, "GET"), (asked, said)
        assert said["data"] == [] or route.name in SHOWS_ITS_OWN, asked
    text = orjson.dumps(said).decode()
    assert "Jo Secret" not in text
    assert HOOK not in text


def figures(said: Any) -> Iterator[int]:
    """Return every number in an answer, however deep."""
    if isinstance(said, int):
        yield said
    elif isinstance(said, (dict, list)):
        for one in said.values() if isinstance(said, dict) else said:
            yield from figures(one)


def test_the_walk_finds_things_with_the_right_key(web: Web, named: dict[str, str]) -> None:
    """Were the names wrong, the walk above would prove nothing."""
    own = {**named, "program": "main"}
    for route in ROUTES:
        if route.method != "GET":
            continue
        for path, query, _ in tried(route, own):
            answer = web.ask("GET", path, query=query, status=route.status)
            if route.listed and route.name != "delivery_attempts":
                assert answer["data"], (path, query)
            if route.bulk:
                assert answer["failed"] == 0
