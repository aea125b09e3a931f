"""A simulation says what a changed program would have given, and is right: applied, it gives just that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from sqlalchemy import select, text

from adapter.engine.simulate import Change, Simulation, count_events, simulate
from adapter.errors import ConfigurationError
from adapter.events import Event
from adapter.program.model import Cap, Earning, Program
from adapter.store import tables as t
from tests.engine.test_convergence import arrivals, fresh
from tests.program.rules import earnings
from tests.shop import (
    DAY,
    NOW,
    configure,
    customer,
    line,
    placed,
    play,
    publish,
    recorded,
    refunded,
    shipped,
    snapshot,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.catalog import Source
    from adapter.commands import RecordEvent
    from connectors.base import RawEvent


def read(source: Source, raw: RawEvent) -> RecordEvent:
    events = msgspec.json.decode(raw.body, type=tuple[Event, ...])
    return recorded(*events, source=source.name, received_at=raw.received_at)


def program(*rules: dict[str, Any], **more: Any) -> Program:
    earning = {"rules": list(rules)} if rules else {"rate": "1"}
    return Program.model_validate({"name": "main", "earning": earning, **more})


BASE = {"name": "base", "rate": "2"}
COFFEE = {"name": "coffee", "per_item": "50", "only": {"skus": ["BAG"]}}
BAGS = line(2, "30.00", quantity="2", sku="BAG")
LIFE = [
    customer("7000"),
    placed("1001", line(1, "60.00"), BAGS, at=NOW - 10 * DAY),
    shipped("1001"),
    refunded("1001", "r1", "15.00", lines=[("2", "1", "15.00")]),
    placed("1002", line(1, "0.40"), customer="7001", at=NOW - 5 * DAY),
    placed("1003", line(1, "10.00"), customer=None, email="guest@example.com", at=NOW - 4 * DAY),
]


def live_through(engine: Engine) -> None:
    configure(engine, program())
    play(engine, [recorded(event) for event in LIFE], sizes=[2])


def rows(engine: Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {name: list(connection.execute(select(table))) for name, table in t.metadata.tables.items()}


def test_totals_rules_and_members_before_and_after(database: Engine) -> None:
    """1001: 90 → 2 * 90 + 2 * 50 = 280. One bag back: 90 * 75/90 = 75 → 180 * 75/90 + 100 * 15/30 = 200. 1002: 0 → 0."""
    live_through(database)
    before, done = rows(database), list[int]()
    found = simulate(database, Change(1, program(BASE, COFFEE)), read, done.append)
    assert rows(database) == before, "nothing is written"
    assert sum(done) == count_events(database, 1) == len(LIFE)
    assert (found.orders, found.unread, found.unit, found.decimals) == (3, 0, "points", 0)
    assert (found.before.award, found.after.award) == (90, 280)
    assert (found.before.retained, found.after.retained) == (75, 200)
    assert (found.before.earning, found.after.earning) == (1, 1)
    assert (dict(found.before.rules), dict(found.after.rules)) == ({"base": 90}, {"base": 180, "coffee": 100})
    assert dict(found.after.reasons) == {"rounds_to_zero": 1, "unknown_member": 1}
    assert members(found) == {("shop:7000",): (1, 75, 200), ("shop:7001",): (1, 0, 0)}


def test_a_draft_is_tried_as_it_would_be_published(database: Engine) -> None:
    live_through(database)
    draft = simulate(database, Change(1, program(BASE, COFFEE, state="draft")), read)
    assert (draft.after.award, draft.after.retained) == (280, 200)
    ended = simulate(database, Change(1, program(BASE, COFFEE, state="ended")), read)
    assert (ended.after.award, ended.after.reasons["program_ended"]) == (0, 2)


def test_tiers_first_orders_and_caps_are_simulated(database: Engine) -> None:
    """100 are 100 + 50 for the first order: gold. The second 100 are 200 then, of which the cap of 300 leaves 150."""
    configure(database, program())
    life = [
        placed(ref, line(1, "100.00"), at=NOW - ago * DAY) for ref, ago in (("1", 10), ("2", 5), ("3", 2))
    ]
    play(database, [recorded(one, shipped(str(n), at=NOW - DAY)) for n, one in enumerate(life, 1)])
    changed = program(
        {"name": "base", "rate": "1", "tier_multipliers": {"gold": "2"}},
        {"name": "welcome", "bonus": 50, "first_order": True},
        tier_groups=[
            {
                "name": "status",
                "measure": "lifetime_points",
                "tiers": [{"name": "basic"}, {"name": "gold", "threshold": "150"}],
            }
        ],
    )
    caps = changed.earning.model_copy(update={"caps": (Cap(window="month", points=300),)})
    found = simulate(database, Change(1, changed.model_copy(update={"earning": caps})), read)
    assert (found.before.award, found.after.award) == (300, 300)
    assert dict(found.after.rules) == {"base": 250, "welcome": 50}
    assert dict(found.after.reasons) == {"window_capped": 1}  # the third one earns nothing


def members(found: Simulation) -> dict[tuple[str, ...], tuple[int, int, int]]:
    return {one.names: (one.orders, one.before, one.after) for one in found.holders.values()}


def test_only_orders_since_are_compared(database: Engine) -> None:
    live_through(database)
    at = NOW - 5 * DAY
    found = simulate(database, Change(1, program({"name": "x", "rate": "5"}), at), read)
    assert members(found) == {("shop:7001",): (1, 0, 2)}
    assert found.orders == 2


def test_the_program_as_it_is_changes_nothing_even_where_it_has_versions(database: Engine) -> None:
    """From `since` on it takes the place of the versions of then; what was placed before keeps its own."""
    configure(database, program())
    with database.begin() as connection:
        publish(connection, program(BASE), version=2, at=NOW - 6 * DAY)
    play(database, [recorded(event) for event in LIFE])
    found = simulate(database, Change(1, program(BASE), NOW - 6 * DAY), read)
    assert (found.before, found.after.award) == (found.after, 0)
    whole = simulate(database, Change(1, program(BASE)), read)
    assert (whole.before.award, whole.after.award) == (90, 180)


def test_who_would_be_a_member_is_named_as_the_shop_does(database: Engine) -> None:
    configure(database, program(members={"auto_enrol": False}))
    play(database, [recorded(placed("1001", customer="7000"))])
    found = simulate(database, Change(1, program()), read)
    assert members(found) == {("shop:7000",): (1, 0, 89)}
    assert [one.member for one in found.holders.values()] == [None]
    assert dict(found.before.reasons) == {"not_enrolled": 1}


def test_orders_of_removed_sources_are_left_out_and_counted(database: Engine) -> None:
    live_through(database)
    with database.begin() as connection:
        connection.execute(text("DELETE FROM sources"))
    found = simulate(database, Change(1, program(BASE)), read)
    assert (found.orders, found.unread, found.holders) == (0, 3, {})


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"name": "second"}, "no program 'second' to compare with; there are: main"),
        ({"balance_definitions": [{"name": "points", "decimals": 2}]}, "awarded in 'points' with 0 decimals"),
        ({"balance_definitions": [{"name": "miles"}]}, "keep it first"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    sqlite_database: Engine, other: dict[str, Any], says: str
) -> None:
    live_through(sqlite_database)
    change = Change(1, Program.model_validate({"name": "main", **other}))
    with pytest.raises(ConfigurationError, match=says):
        simulate(sqlite_database, change, read)


@settings(max_examples=25)
@given(arrivals(), earnings())
def test_a_simulation_says_what_the_program_gives_once_it_is_real(
    arrived: tuple[list[RecordEvent], list[RecordEvent], list[int]], rules: Earning
) -> None:
    """The same webhooks under the changed program from the start: the same awards, member by member."""
    changed = Program(name="main", earning=rules)
    with fresh(program(), ("shop", "pay")) as plain, fresh(changed, ("shop", "pay")) as real:
        play(plain, arrived[1], sizes=arrived[2])
        play(real, arrived[0])
        found = simulate(plain, Change(1, changed), read)
        orders = snapshot(real)["orders"]
    assert found.after.award == sum(row[3] for row in orders.values())
    kept: dict[Any, int] = {}
    for whose, _, _, _, retained, *_ in orders.values():
        kept[whose] = kept.get(whose, 0) + retained
    assert {names: after for names, (_, _, after) in members(found).items()} == kept
