"""Every list: its pages stay right while things come and go, and its cursors belong to it alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from adapter import ids
from adapter.store import tables as t
from adapter.web.table import ROUTES
from tests.shop import NOW, placed, recorded, shipped
from tests.web.conftest import PROGRAM, STRANGER, Web

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from adapter.web.routing import Route

HOOK = "http://127.0.0.1:9/hook"
NUMBERS = itertools.count(2000)
MEMBER = {"member": "shop:7000"}


def another_shopper(web: Web) -> None:
    number = next(NUMBERS)
    web.play(recorded(placed(str(number), customer=f"c{number}")))


def another_order(web: Web) -> None:
    number = next(NUMBERS)
    web.play(recorded(placed(str(number))))


def another_balance_order(web: Web) -> None:
    body = {"member": "shop:7000", "amount": 5, "source": "user", "due_at": "2026-12-01T00:00:00Z"}
    web.post("/v1/orders", body, status=201)


def another_voucher(web: Web) -> None:
    web.post("/v1/vouchers", {"member": "shop:7000", "percent": "10", "program": "main"}, status=201)


def another_advice(web: Web) -> None:
    web.ask("PUT", "/v1/members/shop:7000/advice", body={"advice": f"CASE {next(NUMBERS)}"})


def another_tier(web: Web) -> None:
    asked = {"program": "main", "group": "status", "tier": "silver", "reason": f"CASE {next(NUMBERS)}"}
    web.post("/v1/members/shop:7000/tier", asked)


def another_program(web: Web) -> None:
    name = f"p{next(NUMBERS) * 7919 % 10_000}"  # before or after the others
    body = PROGRAM.model_copy(update={"name": name, "rewards": ()}).model_dump_json()
    with web.engine.begin() as connection:
        connection.execute(insert(t.programs).values(env=1, name=name, version=1, published_at=0, body=body))
        renew(connection)


def another_redemption(web: Web) -> None:
    given = {"member": "shop:7000", "type": "credit", "amount": 5, "complete": True}
    web.post("/v1/transactions", given, status=201)
    web.post("/v1/redemptions", {"member": "shop:7000", "points": 5}, status=201)


def another_reward(web: Web) -> None:
    new = {"id": f"r{next(NUMBERS) * 7919 % 10_000}", "kind": "item", "cost": 5}
    with web.engine.begin() as connection:
        change_rewards(connection, "main", lambda rewards: [*rewards, new])


def reward_gone(connection: Connection, shown: dict[str, Any]) -> None:
    change_rewards(
        connection, shown["program"], lambda rewards: [one for one in rewards if one["id"] != shown["id"]]
    )


def change_rewards(
    connection: Connection, program: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> None:
    mine = (t.programs.c.env == 1, t.programs.c.name == program)
    body = orjson.loads(connection.execute(select(t.programs.c.body).where(*mine)).scalar_one())
    changed = orjson.dumps({**body, "rewards": change(body["rewards"])}).decode()
    connection.execute(t.programs.update().where(*mine).values(body=changed))
    renew(connection)


def renew(connection: Connection) -> None:
    connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


def gone_from(table: Any, prefix: str) -> Callable[[Connection, dict[str, Any]], None]:
    def remove(connection: Connection, shown: dict[str, Any]) -> None:
        mine = (table.c.env == 1, table.c.id == ids.read(prefix, shown["id"]))
        connection.execute(delete(table).where(*mine))

    return remove


def program_gone(connection: Connection, shown: dict[str, Any]) -> None:
    connection.execute(delete(t.programs).where(t.programs.c.env == 1, t.programs.c.name == shown["name"]))
    renew(connection)


@dataclass(frozen=True)
class Listed:
    """How a list gets another item, and how it loses one; None: nothing is ever removed from it."""

    grow: Callable[[Web], None]
    lose: Callable[[Connection, dict[str, Any]], None] | None


LISTS = {
    "members": Listed(another_shopper, gone_from(t.members, "mem")),
    "member_statement": Listed(another_order, None),
    "member_transactions": Listed(another_order, gone_from(t.transactions, "txn")),
    "transactions": Listed(another_shopper, gone_from(t.transactions, "txn")),
    "orders": Listed(another_balance_order, gone_from(t.balance_orders, "ord")),
    "advices": Listed(another_advice, None),
    "tier_changes": Listed(another_tier, None),
    "vouchers": Listed(another_voucher, gone_from(t.vouchers, "vou")),
    "programs": Listed(another_program, program_gone),
    "endpoints": Listed(
        lambda web: web.post("/v1/endpoints", {"url": HOOK, "events": ["endpoint.test"]}, status=201),
        gone_from(t.endpoints, "end"),
    ),
    "messages": Listed(another_shopper, gone_from(t.messages, "msg")),
    "deliveries": Listed(another_shopper, gone_from(t.deliveries, "dlv")),
    "replays": Listed(
        lambda web: web.post("/v1/replays", {"type": "balance.updated"}, status=202),
        gone_from(t.replays, "rpl"),
    ),
    "events": Listed(another_shopper, gone_from(t.events, "evt")),
    "redemptions": Listed(another_redemption, gone_from(t.redemptions, "rdm")),
    "rewards": Listed(another_reward, reward_gone),
    "report_transfers": Listed(another_shopper, None),
}
WHOLE = {"delivery_attempts"}  # as many as a schedule has steps: never paged
PAGED = [route for route in ROUTES if route.query is not None and "cursor" in route.query.model_fields]


def test_every_list_is_here() -> None:
    assert {route.name for route in PAGED} <= LISTS.keys()
    assert {route.name for route in ROUTES if route.listed} <= LISTS.keys() | WHOLE


@pytest.fixture
def busy(web: Web) -> Web:
    """A few of everything."""
    web.post("/v1/endpoints", {"url": HOOK}, status=201)
    web.play(recorded(placed()), recorded(shipped()))
    for route in PAGED:
        for _ in range(2):
            LISTS[route.name].grow(web)
    return web


def page(web: Web, route: Route, limit: int, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
    query = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
    told = web.ask("GET", route.path.format(**MEMBER), query=query)
    assert len(told["data"]) <= limit
    return told["data"], told["next_cursor"]


def whole(web: Web, route: Route) -> list[dict[str, Any]]:
    found, cursor = page(web, route, 200, None)
    while cursor is not None:
        more, cursor = page(web, route, 200, cursor)
        found += more
    return found


def name_of(item: dict[str, Any]) -> str:
    """Return what tells an item of a list from the others, and never changes."""
    known = [item[name] for name in ("id", "name") if name in item][:1]
    whose = [item["program"]] if "affordable" in item else []  # programs may call their rewards alike
    return "/".join([*whose, *known]) if known else orjson.dumps(item).decode()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("page"), st.integers(1, 4)),
        st.tuples(st.just("grow"), st.just(0)),
        st.tuples(st.just("lose"), st.integers(0, 30)),
    ),
    max_size=9,
)


@pytest.mark.parametrize("route", PAGED, ids=lambda route: route.name)
def test_pages_are_stable_while_things_come_and_go(busy: Web, route: Route) -> None:
    @given(steps=STEPS)
    @settings(
        max_examples=12,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def walked(steps: list[tuple[str, int]]) -> None:
        check_walk(busy, route, steps)

    walked()


def check_walk(web: Web, route: Route, steps: list[tuple[str, int]]) -> None:
    listed = LISTS[route.name]
    there = whole(web, route)
    before = [name_of(item) for item in there]
    first, cursor = page(web, route, 1, None)
    seen = [name_of(item) for item in first]
    lost_unseen: set[str] = set()
    for step, number in [*steps, *[("page", 200)] * 5]:
        if step == "grow":
            listed.grow(web)
        elif step == "lose" and listed.lose is not None and len(there) > 3:
            item = there.pop(number % len(there))
            with web.engine.begin() as connection:
                listed.lose(connection, item)
            lost_unseen |= {name_of(item)} - set(seen)
        elif step == "page" and cursor is not None:
            items, cursor = page(web, route, number, cursor)
            seen += [name_of(item) for item in items]
    assert cursor is None
    assert len(seen) == len(set(seen)), "nothing is shown twice"
    assert not lost_unseen & set(seen), "what had gone is not shown"
    expected = [name for name in before if name not in lost_unseen]
    assert [name for name in seen if name in set(before)] == expected, "all others are shown, in their order"


# --- cursors --------------------------------------------------------------------------------------


def test_a_cursor_of_another_list_is_refused_by_name(busy: Web) -> None:
    cursors = {route.name: page(busy, route, 1, None)[1] for route in PAGED}
    assert None not in cursors.values()
    for route in PAGED:
        for name, cursor in cursors.items():
            if name == route.name:
                continue
            query = {"limit": 1, "cursor": cursor}
            problem = busy.ask("GET", route.path.format(**MEMBER), query=query, status=400)
            assert problem["code"] == "cursor_invalid"
            assert repr(name) in problem["errors"][0]["message"], (route.name, name)


def test_a_cursor_of_another_environment_is_refused_by_name(busy: Web) -> None:
    with busy.engine.begin() as connection:
        row = connection.execute(select(t.identities).where(t.identities.c.customer == "7000")).one()
        connection.execute(
            insert(t.identities).values(env=2, source="shop", customer="7000", member=row.member)
        )
    for route in PAGED:
        query = {"limit": 1, "cursor": page(busy, route, 1, None)[1]}
        problem = busy.ask("GET", route.path.format(**MEMBER), query=query, token=STRANGER, status=400)
        assert "another environment" in problem["detail"], route.name


def test_a_cursor_of_another_member_is_refused(busy: Web) -> None:
    busy.play(recorded(placed("5000", customer="7001")), recorded(placed("5001", customer="7001")))
    for route in PAGED:
        if "{member}" in route.path:
            query = {"limit": 1, "cursor": page(busy, route, 1, None)[1]}
            path = route.path.format(member="shop:7001")
            problem = busy.ask("GET", path, query=query, status=400)
            assert f"another address of {route.name!r}" in problem["detail"]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (["events", 1], "another list"),
        (["events", 1, ""], "another list"),
        (["events", 1, "", "x"], "another list"),
        (["events", 1, "", -1], "another list"),
        (["events", 1, "", 1, 2], "another list"),
        (["events", "1", "", 1], "another environment"),
        ([1, 1, "", 1], "another list"),
        ({"events": 1}, "another list"),
        (["x" * 100, 1, "", 1], "another list, 'xxxxx"),
    ],
)
def test_a_made_up_cursor_is_refused(sqlite_web: Web, place: Any, says: str) -> None:
    from base64 import urlsafe_b64encode

    cursor = urlsafe_b64encode(orjson.dumps(place)).decode()[:200]
    problem = sqlite_web.get("/v1/events", cursor=cursor, status=400)
    assert problem["errors"][0]["field"] == "cursor"
    assert says in problem["detail"]


def test_a_cursor_says_nothing_to_a_later_now(sqlite_web: Web) -> None:
    """What came in meanwhile is on the first page, and never on a later one."""
    for _ in range(3):
        another_shopper(sqlite_web)
    (route,) = (one for one in PAGED if one.name == "events")
    _, cursor = page(sqlite_web, route, 1, None)
    sqlite_web.now = NOW + 1000
    number = next(NUMBERS)
    sqlite_web.play(recorded(placed(str(number), customer="late")))
    rest, _ = page(sqlite_web, route, 200, cursor)
    assert len(rest) == 2
