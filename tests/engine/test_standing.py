"""What an order keeps of where its member stands, and the points for what is no order."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, update

from adapter.clock import iso, parse
from adapter.commands import EnrolMember, Review, UpdateMember
from adapter.engine.audit import audit
from adapter.engine.door import Door
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.database import open_database
from adapter.store.explain import explain_order
from tests.engine.test_audit import read
from tests.engine.test_convergence import AWARD_ON, fresh, lives
from tests.engine.test_tiers import order, sound, sweep
from tests.shop import (
    DAY,
    NOW,
    begin,
    cancelled,
    configure,
    customer,
    line,
    member_of,
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

    from adapter.clock import Millis
    from adapter.commands import Command, RecordEvent

TIERS = {
    "name": "status",
    "measure": "lifetime_points",
    "tiers": [{"name": "basic"}, {"name": "gold", "threshold": "100"}],
}
GOLD = {"rate": "1", "tier_multipliers": {"gold": "2"}}
FIRST = {"rules": [{"name": "base", "rate": "1"}, {"name": "welcome", "bonus": 50, "first_order": True}]}


def program(zone: str = "UTC", **more: Any) -> Program:
    earning = {"award_on": "order.placed", "rate": "1"} | more.pop("earning", {})
    if "rules" in earning:
        del earning["rate"]
    return Program.model_validate({"name": "main", "timezone": zone, "earning": earning, **more})


def capped(*caps: tuple[str, int], **more: Any) -> dict[str, Any]:
    return {"caps": [{"window": window, "points": points} for window, points in caps], **more}


def awards(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        rows = connection.execute(select(t.orders.c.ref, t.orders.c.retained).order_by(t.orders.c.ref))
        return {row.ref: row.retained for row in rows}


# --- tiers ------------------------------------------------------------------------------------------------------------


def test_an_order_keeps_the_tier_of_when_it_was_settled_first(database: Engine) -> None:
    """100 points make gold: order 2 counts twice, order 1 stays what it was, whatever its member is by then."""
    configure(database, program(earning=GOLD, tier_groups=[TIERS]))
    play(database, [order("1", "100.00"), order("2", "30.00"), recorded(refunded("1", amount="50.00"))])
    assert awards(database) == {"1": 50, "2": 60}
    play(database, [recorded(refunded("2", amount="15.00"))])
    assert awards(database) == {"1": 50, "2": 30}
    sound(database)


def test_an_order_that_comes_back_to_its_member_finds_the_tier_that_it_left(database: Engine) -> None:
    """Its own 100 points made 7000 gold. Meanwhile it was 7001's; without that it would be 100 points as well."""
    configure(database, program(earning=GOLD, tier_groups=[TIERS]))
    whose = [("7000", NOW - 9 * DAY), ("7001", NOW - 8 * DAY), ("7000", NOW - 7 * DAY)]
    life = [placed("1", line(amount="100.00"), customer=who, version=at) for who, at in whose]
    play(database, [recorded(one) for one in life])
    assert awards(database) == {"1": 100}
    with database.connect() as connection:
        tiers = connection.execute(select(t.standings.c.tier).order_by(t.standings.c.tier)).scalars().all()
        counted = [row.amount for row in connection.execute(select(t.balances.c.available.label("amount")))]
    assert (tiers, sorted(counted)) == (["gold", "gold"], [0, 100])  # down is never, in this program
    sound(database)


# --- first orders -----------------------------------------------------------------------------------------------------

ORDERED = [
    # what comes one after the other → what the orders earn
    ([order("1", "10.00")], {"1": 60}),
    ([order("1", "10.00"), order("2", "10.00")], {"1": 60, "2": 10}),
    # a first order that is off makes room for the next one, and keeps what it was
    ([order("1", "10.00"), recorded(cancelled("1")), order("2", "10.00")], {"1": 0, "2": 60}),
    ([order("1", "10.00"), order("2", "10.00"), recorded(cancelled("1"))], {"1": 0, "2": 10}),
    (
        [order("1", "10.00"), recorded(cancelled("1")), recorded(cancelled("1", at=NOW, off=False)), order("2", "5")],
        {"1": 60, "2": 5},
    ),
    # what waits for its totals is settled later, and then it is the second one
    ([recorded(shipped("1")), order("2", "10.00"), order("1", "10.00")], {"1": 10, "2": 60}),
    # another member's first order is another one
    ([order("1", "10.00"), recorded(placed("2", line(amount="10.00"), customer="7001"))], {"1": 60, "2": 60}),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 9])
@pytest.mark.parametrize(("commands", "earned"), ORDERED)
def test_a_first_order(database: Engine, commands: list[Command], earned: dict[str, int], size: int) -> None:
    configure(database, program(earning=FIRST))
    play(database, commands, sizes=[size])
    assert awards(database) == earned
    sound(database)


def test_who_ordered_before_the_rule_was_there_has_no_first_order(database: Engine) -> None:
    configure(database, program())
    play(database, [order("1", "10.00"), recorded(placed("2", customer="7001")), recorded(cancelled("2"))])
    with database.begin() as connection:
        publish(connection, program(earning=FIRST), version=2, at=NOW + 1)
        connection.execute(update(t.configuration).values(version=2))
    later = NOW + DAY
    new = recorded(placed("4", line(amount="10.00"), at=later, customer="7001"))
    play(database, [order("3", "10.00", later), new], now=later)
    assert awards(database) == {"1": 10, "2": 0, "3": 10, "4": 60}  # all that 7001 had was cancelled
    sound(database)


# --- caps -------------------------------------------------------------------------------------------------------------

CAPPED = [
    # caps, orders (points, days ago) in the order of arrival → what they earn
    ([("day", 100)], [(60, 0), (60, 0), (60, 1)], [60, 40, 60]),
    ([("day", 100)], [(100, 0), (5, 0)], [100, 0]),
    ([("lifetime", 150)], [(60, 0), (60, 90), (60, 900)], [60, 60, 30]),
    ([("month", 100)], [(60, 0), (60, 10), (60, 20)], [60, 40, 60]),  # 18 and 8 November, 29 October
    ([("week", 100)], [(60, 0), (60, 2), (60, 3)], [60, 40, 60]),  # Wednesday, Monday, Sunday
    ([("year", 100)], [(60, 0), (60, 300), (60, 330)], [60, 40, 60]),
    ([("day", 50), ("month", 80)], [(60, 0), (60, 1), (60, 20)], [50, 30, 50]),
]


@pytest.mark.parametrize("size", [1, 9])
@pytest.mark.parametrize(("caps", "orders", "earned"), CAPPED)
def test_the_orders_of_a_window_earn_no_more_than_its_cap(
    database: Engine, caps: list[tuple[str, int]], orders: list[tuple[int, int]], earned: list[int], size: int
) -> None:
    configure(database, program(earning=capped(*caps)))
    commands = [order(str(n), f"{points}.00", NOW - ago * DAY) for n, (points, ago) in enumerate(orders)]
    play(database, commands, sizes=[size])
    assert awards(database) == {str(n): points for n, points in enumerate(earned)}
    sound(database)


def test_a_window_is_the_calendars_in_the_programs_time_zone(database: Engine) -> None:
    """23:30 and 00:30 in Berlin are two days, in UTC one."""
    configure(database, program("Europe/Berlin", earning=capped(("day", 50))))
    late, early = parse("2026-11-17T22:30:00Z"), parse("2026-11-17T23:30:00Z")
    play(database, [order("1", "40.00", late), order("2", "40.00", early), order("3", "40.00", late)])
    assert awards(database) == {"1": 40, "2": 40, "3": 10}
    sound(database)


def test_what_goes_back_leaves_room_for_later_orders_and_for_no_earlier_one(database: Engine) -> None:
    configure(database, program(earning=capped(("month", 100))))
    play(database, [order("1", "80.00"), order("2", "80.00"), recorded(cancelled("1")), order("3", "90.00")])
    assert awards(database) == {"1": 0, "2": 20, "3": 80}
    with database.connect() as connection:
        reasons = connection.execute(select(t.orders.c.reason).order_by(t.orders.c.ref)).scalars().all()
    assert reasons == ["cancelled", "window_capped", "window_capped"]
    sound(database)


def test_an_edit_of_an_order_stays_within_the_room_it_had(database: Engine) -> None:
    configure(database, program(earning=capped(("month", 100))))
    play(database, [order("1", "80.00"), order("2", "10.00"), order("3", "50.00")])
    bigger = [
        recorded(placed(ref, line(amount="500.00"), at=NOW, version=NOW + 5)) for ref in ("1", "2", "3")
    ]
    play(database, bigger)
    assert awards(database) == {"1": 100, "2": 20, "3": 10}
    sound(database)


# --- permutations -----------------------------------------------------------------------------------------------------

ASKING = program(
    earning=capped(("day", 70), ("year", 90))
    | {
        "rules": [
            {"name": "base", "rate": "1", "tier_multipliers": {"gold": "2"}},
            {"name": "welcome", "bonus": 50, "first_order": True},
        ]
    },
    tier_groups=[TIERS, TIERS | {"name": "club", "measure": "spend", "currency": "EUR"}],
)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[RecordEvent], list[RecordEvent], list[int]]:
    """One order's webhooks in one order, shuffled with repeats, and batch sizes."""
    commands = [recorded(one) for one in draw(lives("1001"))]
    again = [
        recorded(*one.events, salt="again") for one in draw(st.lists(st.sampled_from(commands), max_size=3))
    ]
    return (
        commands,
        draw(st.permutations([*commands, *again])),
        draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)),
    )


@settings(max_examples=60)
@given(arrivals(), st.sampled_from(AWARD_ON), st.sampled_from([0, 3]))
def test_an_orders_own_events_end_alike_in_any_order(
    arrived: tuple[list[RecordEvent], list[RecordEvent], list[int]], award_on: str, hold_days: int
) -> None:
    """Both start from members with other orders: 7000 is gold and has had a first order, 7001 has used up a cap."""
    in_order, shuffled, sizes = arrived
    rules = ASKING.model_dump()
    rules["earning"] |= {"award_on": award_on, "hold_days": hold_days}
    before = [
        recorded(placed("1", line(amount="300.00"), at=NOW - 300 * DAY), shipped("1", at=NOW - 299 * DAY)),
        recorded(placed("2", line(amount="20.00"), customer="7001"), shipped("2")),
    ]
    with fresh(Program.model_validate(rules)) as one, fresh(Program.model_validate(rules)) as other:
        play(one, [*before, *in_order])
        play(other, before)
        play(other, shuffled, sizes=sizes)
        assert snapshot(other) == snapshot(one)
        assert audit(other) == []
        assert rebuild(other, read) == []


def test_every_permutation_of_an_orders_life_keeps_one_standing() -> None:
    """100.00 of 90 left in the year's cap after the 50 of the first order: 50 + 40, less half of it."""
    life = [
        placed("9", line(1, "100.00")),
        shipped("9"),
        refunded("9", "r1", "50.00", lines=[("1", "1", "50.00")]),
        cancelled("9", off=False),
    ]
    ends = set()
    for arrival in permutations(life):
        with fresh(program(earning=FIRST | capped(("year", 90)))) as engine:
            play(engine, [recorded(one) for one in arrival], sizes=[2, 1])
            ends.add(repr(snapshot(engine)))
            assert awards(engine) == {"9": 45}
    assert len(ends) == 1


# --- sign-up and birthdays --------------------------------------------------------------------------------------------

BONUSES: dict[str, Any] = {"bonuses": {"sign_up": 20, "birthday": 30}, "expiry": {"months": 12}}


def transactions(engine: Engine) -> list[tuple[str | None, int, str, str]]:
    columns = t.transactions.c
    query = select(columns.reason, columns.amount, columns.state, columns.occurred_at).order_by(columns.id)
    with engine.connect() as connection:
        return [
            (row.reason, row.amount, row.state, iso(row.occurred_at)[:16])
            for row in connection.execute(query)
        ]


def enrol(number: int, birthday: str | None, at: Millis = NOW) -> EnrolMember:
    return EnrolMember(
        env=1, id=number, joined_at=at, received_at=at, birthday=birthday, customer=("shop", str(number))
    )


@pytest.mark.parametrize("size", [1, 9])
def test_whoever_becomes_a_member_gets_the_bonus_once(database: Engine, size: int) -> None:
    configure(database, program(**BONUSES))
    again = [recorded(customer(), salt=str(number)) for number in range(3)]
    play(database, [recorded(customer()), order("1", "5.00"), enrol(77, None), *again], sizes=[size])
    given = [one for one in transactions(database) if one[0] == "sign_up"]
    assert given == [("sign_up", 20, "completed", "2026-11-18T11:06")] * 2
    with database.connect() as connection:
        earned = (
            connection.execute(select(t.balances.c.available).order_by(t.balances.c.available))
            .scalars()
            .all()
        )
    assert earned == [20, 25]
    sound(database)


def test_the_bonus_counts_for_the_tier(database: Engine) -> None:
    configure(database, program(bonuses={"sign_up": 100}, tier_groups=[TIERS]))
    play(database, [recorded(customer())])
    with database.connect() as connection:
        assert connection.execute(select(t.standings.c.tier)).scalar_one() == "gold"
    sound(database)


@pytest.mark.parametrize("state", ["paused", "ended"])
def test_a_program_that_is_not_published_gives_no_bonus(database: Engine, state: str) -> None:
    configure(database, program(**BONUSES).model_copy(update={"state": state}))
    play(database, [recorded(customer())])
    assert transactions(database) == []


BIRTHDAYS = [
    # born, time zone → when the next three birthdays begin
    ("1990-12-01", "UTC", ["2026-12-01T00:00", "2027-12-01T00:00", "2028-12-01T00:00"]),
    ("1990-12-01", "Europe/Berlin", ["2026-11-30T23:00", "2027-11-30T23:00", "2028-11-30T23:00"]),
    ("1992-02-29", "UTC", ["2027-02-28T00:00", "2028-02-29T00:00", "2029-02-28T00:00"]),
    ("1990-11-18", "UTC", ["2027-11-18T00:00", "2028-11-18T00:00", "2029-11-18T00:00"]),  # began before the enrolment
]  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("born", "zone", "days"), BIRTHDAYS)
def test_a_birthday_is_credited_on_the_day_once_a_year(
    database: Engine, born: str, zone: str, days: list[str], late: bool
) -> None:
    configure(database, program(zone, bonuses={"birthday": 30}))
    play(database, [enrol(77, born)])
    for number, day in enumerate(days, 1):
        at = parse(day + "Z")
        sweep(database, at - 1)
        assert len(transactions(database)) == (0 if late else number - 1)
        if not late:
            sweep(database, at)
            sweep(database, at + DAY)
        else:
            days_late = parse(days[-1] + "Z") + DAY
            sweep(database, days_late)  # years late: each of them all the same
            break
    assert transactions(database) == [("birthday", 30, "completed", day) for day in days]
    sound(database)


def test_a_birthday_finds_whoever_spends_before_the_sweep_came_by(database: Engine) -> None:
    configure(database, program(bonuses={"birthday": 30}))
    play(database, [enrol(77, "1990-12-01")])
    at = parse("2026-12-01T00:00:00Z")
    assert play(database, [begin(77, 5, "debit", 30, complete=True)], now=at - 1)[0].error is not None
    assert play(database, [begin(77, 6, "debit", 30, complete=True)], now=at)[0].error is None
    sound(database)


def test_a_birthday_that_becomes_known_later_is_for_the_next_one(database: Engine) -> None:
    configure(database, program(bonuses={"birthday": 30}))
    play(database, [recorded(customer())])
    told = UpdateMember(env=1, id=5, member=member_of(database), received_at=NOW, birthday="1990-11-10")
    play(database, [told])
    sweep(database, parse("2027-11-09T23:59:59.999Z"))
    assert transactions(database) == []
    sweep(database, parse("2027-11-10T00:00:00Z"))
    assert transactions(database) == [("birthday", 30, "completed", "2027-11-10T00:00")]
    sound(database)


def test_of_two_doors_at_once_one_credits_a_birthday(database: Engine, database_url: str) -> None:
    configure(database, program(bonuses={"birthday": 30}))
    play(database, [enrol(number, "1990-12-01") for number in range(100, 120)])
    now = parse("2026-12-01T00:00:00Z")
    other = open_database(database_url)
    with Door(database, lambda: now) as one, Door(other, lambda: now) as two:
        futures = [
            door.offer(Review(env=1, member=number, program="main"))
            for number in range(100, 120)
            for door in (one, two)
        ]
        assert {future.result(30).error for future in futures} == {None}
    other.dispose()
    assert len(transactions(database)) == 20
    assert audit(database) == []


# --- what it costs ----------------------------------------------------------------------------------------------------


def statements(engine: Engine, commands: list[Command]) -> int:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    play(engine, commands, sizes=[len(commands)])
    event.remove(engine, "before_cursor_execute", note)
    return len(seen)


@pytest.mark.parametrize("rules", [{}, {"earning": GOLD}])
def test_where_no_program_asks_there_is_no_new_statement(database: Engine, rules: dict[str, Any]) -> None:
    configure(database, program(**rules))
    play(database, [order("1", "10.00")])
    seen: list[str] = []
    event.listen(database, "before_cursor_execute", lambda _c, _k, statement, *_r: seen.append(statement))
    play(database, [order("2", "10.00")])
    tables = ("memberships", "standings", "measures", "tier_changes", "bonuses")
    assert [one for one in seen if any(name in one for name in tables)] == []


def test_a_batch_takes_as_many_statements_whatever_its_size(database: Engine) -> None:
    configure(database, ASKING)

    def batch(first: int, number: int) -> list[Command]:
        return [recorded(placed(str(first + n), customer=str(n))) for n in range(number)]

    play(database, batch(0, 40))
    one, many = statements(database, batch(100, 1)), statements(database, batch(200, 40))
    assert many == one


def test_explaining_an_order_says_where_its_member_stood(database: Engine) -> None:
    configure(database, ASKING)
    play(database, [order("1", "100.00")])
    with database.connect() as connection:
        told = explain_order(connection, load_catalog(connection), 1, "shop:1", now=NOW)
    assert told["standing"] == {"tier": "basic", "first_order": True, "room": 70}
    sentence = (
        "When it was settled first, the member was basic and it was the member's first order and the program's caps "
        "left room for 70 points; the order keeps that."
    )
    assert sentence in told["sentences"]
    assert orjson.dumps(told)


def test_what_is_loaded_of_a_member_does_not_grow_with_the_orders(database: Engine) -> None:
    """Sixty orders of a month are one sum of that month, and those of a day one of that day."""
    rules = program(
        earning=capped(("month", 10**6)), tier_groups=[TIERS | {"measure": "spend", "currency": "EUR"}]
    )
    configure(database, rules)
    play(database, [order(str(number), "10.00") for number in range(60)], sizes=[7])
    with database.connect() as connection:
        rows = connection.execute(select(t.measures.c.unit, t.measures.c.amount)).all()
    assert sorted(map(tuple, rows)) == [("EUR", 600_000_000), ("awards/month", 600)]
    sound(database)
