"""Points that end because their member did nothing for long, and reminders of points that end soon."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from adapter.clock import iso, parse
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.database import open_database
from adapter.store.reading.balances import balance_now, expiring
from adapter.store.reading.liability import Asked, liability
from adapter.store.reading.roster import Roster
from tests.engine.test_audit import read
from tests.engine.test_transactions import CREDIT, DEBIT, amounts, sound, told
from tests.shop import (
    DAY,
    NOW,
    begin,
    configure,
    customer,
    end,
    line,
    member_of,
    merge,
    placed,
    play,
    publish,
    recorded,
    refunded,
    shipped,
    transfer,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.commands import Command

IDLE: dict[str, Any] = {"inactive_days": 10}
OVER = NOW + 10 * DAY


def program(**changes: Any) -> Program:
    return Program.model_validate({"name": "main", "earning": {"rate": "1"}, "expiry": IDLE} | changes)


def member_in(engine: Engine, **changes: Any) -> int:
    configure(engine, program(**changes))
    play(engine, [recorded(customer("7000"))])
    return member_of(engine)


def sweep(engine: Engine, now: int) -> None:
    while commands := due_balances(engine, now, 10):
        play(engine, list(commands), now=now)


def seen(engine: Engine, member: int, now: int) -> int:
    with engine.connect() as connection:
        return balance_now(connection, 1, member, 1, now)[0].available


def reminded(engine: Engine) -> list[Any]:
    """Return the reminders that were told: amount, and how much ends when."""
    with engine.connect() as connection:
        query = (
            select(t.messages.c.body).where(t.messages.c.type == "points.expiring").order_by(t.messages.c.id)
        )
        bodies = [orjson.loads(body)["data"] for body in connection.execute(query).scalars()]
    return [(one["amount"], {part["at"]: part["amount"] for part in one["ends"]}) for one in bodies]


# --- doing nothing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize(("late", "left"), [(-1, 100), (0, 0), (1, 0)])
def test_all_points_end_to_the_millisecond(database: Engine, late: int, left: int, swept: bool) -> None:
    member = member_in(database)
    play(database, [begin(member, number, CREDIT, 50, complete=True) for number in (1, 2)])
    if swept:
        sweep(database, OVER + late)
    assert seen(database, member, OVER + late) == left
    (outcome,) = play(database, [begin(member, 3, DEBIT, 100, complete=True)], now=OVER + late)
    assert outcome.error == (None if left else "insufficient_balance")
    assert amounts(database, member) == (0, 0, 0, 0)
    assert ("points.expired" in told(database)) == (not left)
    sound(database)


ACTIVITIES = [
    # what counts, what the member did a day before the end → days that it put the end off by
    (("earn", "spend"), "nothing", 0),
    (("earn", "spend"), "credit", 9),
    (("earn", "spend"), "debit", 9),
    (("earn", "spend"), "hold", 0),  # only held: nothing was spent
    (("earn", "spend"), "completed hold", 9),
    (("earn", "spend"), "released hold", 0),
    (("earn", "spend"), "pending credit", 0),
    (("earn", "spend"), "order", 9),
    (("earn",), "debit", 0),
    (("earn",), "credit", 9),
    (("spend",), "credit", 0),
    (("spend",), "debit", 9),
]


@pytest.mark.parametrize(("activity", "did", "days"), ACTIVITIES, ids=str)
def test_what_counts_puts_the_end_off(
    database: Engine, activity: tuple[str, ...], did: str, days: int
) -> None:
    member = member_in(database, expiry=IDLE | {"activity": activity})
    play(database, [begin(member, 1, CREDIT, 100, complete=True)])
    done: dict[str, list[Command]] = {
        "nothing": [],
        "credit": [begin(member, 2, CREDIT, 5, complete=True)],
        "debit": [begin(member, 2, DEBIT, 5, complete=True)],
        "hold": [begin(member, 2, DEBIT, 5)],
        "completed hold": [begin(member, 2, DEBIT, 5), end(member, 2, "completed")],
        "released hold": [begin(member, 2, DEBIT, 5), end(member, 2, "cancelled")],
        "pending credit": [begin(member, 2, CREDIT, 5)],
        "order": [recorded(placed("1", line(amount="5.00")), shipped("1"))],
    }
    play(database, done[did], now=OVER - DAY)
    ends = OVER + days * DAY
    assert seen(database, member, ends - 1) > 0
    assert seen(database, member, ends) == 0
    sweep(database, ends - 1)
    assert amounts(database, member)[1] > 0
    sweep(database, ends)
    assert amounts(database, member)[1] == 0
    sound(database)


def test_a_fixed_end_counts_where_it_comes_first(database: Engine) -> None:
    member = member_in(database, expiry=IDLE | {"days": 15})
    play(database, [begin(member, 1, CREDIT, 100, complete=True)])
    play(database, [begin(member, 2, CREDIT, 7, complete=True)], now=NOW + 8 * DAY)
    assert [seen(database, member, NOW + days * DAY) for days in (14, 15, 17, 18)] == [107, 7, 7, 0]
    sweep(database, NOW + 18 * DAY)
    with database.connect() as connection:
        rows = connection.execute(select(t.lots.c.expired, t.lots.c.idled).order_by(t.lots.c.id)).all()
    assert [tuple(row) for row in rows] == [(100, 0), (7, 7)], "the second did not reach its own end"
    sound(database)


def test_a_hold_outlives_it_and_is_gone_when_released(database: Engine) -> None:
    member = member_in(database)
    play(database, [begin(member, 1, CREDIT, 100, complete=True), begin(member, 2, DEBIT, 100)])
    play(database, [end(member, 2, "cancelled")], now=OVER)
    assert amounts(database, member) == (0, 0, 0, 0)
    play(database, [begin(member, 3, CREDIT, 5, complete=True)], now=OVER)
    assert seen(database, member, OVER + 10 * DAY - 1) == 5, "points that are earned begin it anew"
    sound(database)


@pytest.mark.parametrize("swept", [False, True])
def test_an_order_that_comes_after_the_end_brings_nothing_back(database: Engine, swept: bool) -> None:
    member = member_in(database)
    play(database, [recorded(placed("1", line(amount="80.00")), shipped("1"))])
    if swept:
        sweep(database, OVER)
    play(database, [recorded(placed("2", line(amount="30.00")), shipped("2"))], now=OVER)
    assert amounts(database, member) == (0, 30, 0, 0)
    play(database, [recorded(refunded("1", amount="80.00"))], now=OVER)
    assert amounts(database, member) == (0, 30, 0, 0), "what the member lost is not taken once more"
    sound(database)


def test_a_batch_that_posts_late_counts_from_its_boundary(database: Engine) -> None:
    """Due before the end, it puts the end off; due after it, it comes too late: however late the sweep is."""
    early, late = OVER - DAY, OVER + DAY
    member = member_in(database)
    for number, (at, left) in enumerate(((early, 105), (late, 5))):
        day = number * 100 * DAY
        play(
            database,
            [
                begin(member, 10 * number + 1, CREDIT, 100, complete=True),
                begin(member, 10 * number + 2, CREDIT, 5, complete=True, available_at=at + day),
            ],
            now=NOW + day,
        )
        assert seen(database, member, OVER + 2 * DAY + day) == left
        sweep(database, OVER + 2 * DAY + day)
        assert amounts(database, member)[:2] == (0, left)
        sweep(database, OVER + 50 * DAY + day)
    sound(database)


MERGED = [
    # days of the last activity of who goes and who goes on, merged on day 15 → what is left, the day it all ends
    (6, 12, 100, 22),
    (12, 6, 100, 22),
    (12, 0, 50, 25),  # all of theirs was over: what is received begins anew
    (12, None, 50, 25),
]


@pytest.mark.parametrize(("goes", "goes_on", "left", "ends"), MERGED, ids=str)
def test_of_two_members_who_become_one_the_later_end_counts(
    database: Engine, goes: int, goes_on: int | None, left: int, ends: int
) -> None:
    one = member_in(database)
    play(database, [recorded(customer("7001"))])
    other = member_of(database, "7001")
    days = {one: goes} if goes_on is None else {one: goes, other: goes_on}
    for member, day in sorted(days.items(), key=lambda entry: entry[1]):
        play(database, [begin(member, 100 + day, CREDIT, 50, complete=True)], now=NOW + day * DAY)
    play(database, [merge(one, other)], now=NOW + 15 * DAY)
    assert amounts(database, other)[1] == left
    assert [seen(database, other, NOW + ends * DAY + late) for late in (-1, 0)] == [left, 0]
    sound(database)


def test_a_gift_is_an_activity_of_the_giver_and_not_of_the_receiver(database: Engine) -> None:
    giver = member_in(database)
    play(database, [recorded(customer("7001"))])
    receiver = member_of(database, "7001")
    play(database, [begin(one, one % 1000, CREDIT, 50, complete=True) for one in (giver, receiver)])
    play(database, [transfer(5000, giver, receiver, 20)], now=NOW + 5 * DAY)
    assert [seen(database, one, OVER - 1) for one in (giver, receiver)] == [30, 70]
    assert [seen(database, one, OVER) for one in (giver, receiver)] == [30, 0]
    play(database, [transfer(6000, giver, receiver, 10)], now=OVER)
    assert seen(database, receiver, OVER + 10 * DAY - 1) == 10, "where all was over it begins anew"
    sound(database)


def test_being_active_touches_no_lot(database: Engine) -> None:
    member = member_in(database)
    play(database, [begin(member, number, CREDIT, 1, complete=True) for number in range(1, 41)], sizes=[40])
    columns = t.lots.c
    with database.connect() as connection:
        before = connection.execute(select(t.lots).order_by(columns.id)).all()
    play(database, [begin(member, 50, DEBIT, 1, complete=True)], now=NOW + DAY)
    with database.connect() as connection:
        after = connection.execute(select(t.lots).order_by(columns.id)).all()
        assert connection.execute(select(t.balances.c.idle_at)).scalar_one() == OVER + DAY
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1, "the one that was spent"


def test_a_changed_term_holds_from_the_next_activity(database: Engine) -> None:
    member = member_in(database)
    play(database, [begin(member, 1, CREDIT, 100, complete=True)])
    with database.begin() as connection:
        publish(connection, program(expiry={}), version=2, at=NOW + DAY)
        connection.execute(t.configuration.update().values(version=2))
    assert (seen(database, member, OVER - 1), seen(database, member, OVER)) == (100, 0)
    play(database, [begin(member, 2, DEBIT, 1, complete=True)], now=NOW + 2 * DAY)
    assert seen(database, member, NOW + 9000 * DAY) == 99
    sound(database)


@pytest.mark.parametrize(
    ("days", "soon"), [(1, 100), (9, 100), (40, 100)]
)  # the horizon is thirty days; the end is ten away
def test_what_ends_soon_is_shown_alike_everywhere(database: Engine, days: int, soon: int) -> None:
    member = member_in(database, expiry=IDLE | {"days": days}, point_value="0.01", currency="EUR")
    play(database, [begin(member, 1, CREDIT, 100, complete=True)])
    first = min(NOW + days * DAY, OVER)
    with database.connect() as connection:
        balance, passed = balance_now(connection, 1, member, 1, NOW)
        ends = expiring(connection, balance, passed, NOW, NOW + 30 * DAY)
        catalog = load_catalog(connection)
        roster = Roster(connection, catalog, 1, now=NOW, horizon=NOW + 30 * DAY)
        roster.read(["shop:7000"])
        assert (ends.amount, ends.next_at) == (soon, first)
        assert roster.entry("shop:7000").expiring == ends
        report = liability(connection, catalog, Asked(1, NOW))["definitions"][0]
        assert [(one["expires"], one["points"]) for one in report["by_expiry"]] == [(iso(first)[:7], 100)]
        late = liability(connection, catalog, Asked(1, first))["definitions"][0]
        assert (late["lapsed"], late["outstanding"]) == (100, 0)


# --- reminders --------------------------------------------------------------------------------------------------------

AT_NINE = {"days_before": [30, 7], "at": "09:00"}
ENDS = parse("2027-01-01T00:00:00Z")  # the last day is 31 December; 30 days before it is 1 December


def reminding(engine: Engine, **changes: Any) -> int:
    return member_in(engine, expiry={}, reminders=AT_NINE, **changes)


def test_each_reminder_is_told_once(database: Engine) -> None:
    member = reminding(database)
    play(database, [begin(member, 1, CREDIT, 100, complete=True, points_end_at=ENDS)])
    first, second = parse("2026-12-01T09:00:00Z"), parse("2026-12-24T09:00:00Z")
    ends = {iso(ENDS): 100}
    for at, number in ((first - 1, 0), (first, 1), (first + DAY, 1), (second - 1, 1), (second, 2), (ENDS, 2)):
        sweep(database, at)
        assert reminded(database) == [(100, ends)] * number, iso(at)
    sound(database)


def test_only_what_is_still_there_is_told(database: Engine) -> None:
    member = reminding(database)
    play(database, [begin(member, 1, CREDIT, 100, complete=True, points_end_at=ENDS)])
    play(database, [begin(member, 2, DEBIT, 30, complete=True), begin(member, 3, DEBIT, 20)])
    sweep(database, parse("2026-12-02T00:00:00Z"))
    assert reminded(database) == [(50, {iso(ENDS): 50})]
    play(database, [begin(member, 4, DEBIT, 50, complete=True)], now=parse("2026-12-02T00:00:00Z"))
    sweep(database, ENDS)
    assert len(reminded(database)) == 1
    sound(database)


def test_what_is_due_on_a_day_is_one_message(database: Engine) -> None:
    member = reminding(database)
    soon = parse("2026-12-08T12:00:00Z")  # seven days before its last day is 1 December too
    play(
        database,
        [
            begin(member, 1, CREDIT, 100, complete=True, points_end_at=ENDS),
            begin(member, 2, CREDIT, 5, complete=True, points_end_at=ENDS - 3_600_000),
            begin(member, 3, CREDIT, 7, complete=True, points_end_at=soon),
        ],
    )
    sweep(database, parse("2026-12-01T09:00:00Z"))
    assert reminded(database) == [(112, {iso(soon): 7, iso(ENDS - 3_600_000): 5, iso(ENDS): 100})]
    sound(database)


def test_a_debit_that_comes_before_the_sweep_tells_first(database: Engine) -> None:
    member = reminding(database)
    play(database, [begin(member, 1, CREDIT, 100, complete=True, points_end_at=ENDS)])
    at = parse("2026-12-01T09:00:00Z")
    play(database, [begin(member, 2, DEBIT, 30, complete=True)], now=at)
    sweep(database, at)
    assert reminded(database) == [(100, {iso(ENDS): 100})]


def test_what_comes_too_late_for_the_first_reminder_gets_the_second(database: Engine) -> None:
    member = reminding(database)
    at = parse("2026-12-05T00:00:00Z")
    play(database, [begin(member, 1, CREDIT, 100, complete=True, points_end_at=ENDS)], now=at)
    sweep(database, parse("2026-12-24T08:59:59.999Z"))
    assert reminded(database) == []
    sweep(database, parse("2026-12-24T09:00:00Z"))
    assert len(reminded(database)) == 1


def test_the_hour_is_the_programs(database: Engine) -> None:
    member = reminding(database, timezone="Europe/Berlin")
    ends = parse(
        "2027-03-29T22:00:00Z"
    )  # the midnight after 29 March in Berlin; summer time begins on the 28th
    play(database, [begin(member, 1, CREDIT, 9, complete=True, points_end_at=ends)])
    for at, number in (
        ("2027-02-27T07:59:59.999Z", 0),
        ("2027-02-27T08:00:00Z", 1),
        ("2027-03-22T08:00:00Z", 2),
    ):
        sweep(database, parse(at))
        assert len(reminded(database)) == number


def test_who_does_nothing_is_reminded_once_unless_active_again(database: Engine) -> None:
    member = member_in(database, expiry={"inactive_days": 40}, reminders={"days_before": [10]})
    play(database, [begin(member, 1, CREDIT, 100, complete=True)])
    ends = NOW + 40 * DAY
    at = parse(iso(ends - 10 * DAY)[:10] + "T09:00:00Z")
    play(database, [begin(member, 2, CREDIT, 5, complete=True, points_end_at=ends - 5 * DAY)], now=NOW)
    own = (5, {iso(ends - 5 * DAY): 5})
    sweep(database, at - 1)
    assert reminded(database) == [own]
    sweep(database, at)
    assert reminded(database) == [own, (100, {iso(ends): 100})]
    play(database, [begin(member, 3, DEBIT, 1, complete=True)], now=at)
    sweep(database, at + 30 * DAY - 1)
    assert len(reminded(database)) == 2
    sweep(database, at + 30 * DAY)
    assert reminded(database)[2:] == [(100, {iso(at + 40 * DAY): 100})]
    sound(database)


# --- everything at random -------------------------------------------------------------------------------------------------

STEP = st.one_of(
    st.tuples(st.sampled_from([CREDIT, DEBIT]), st.integers(1, 60), st.booleans(), st.integers(0, 9)),
    st.tuples(st.sampled_from(["completed", "cancelled"]), st.integers(0, 5), st.none()),
    st.tuples(st.just("order"), st.integers(1, 4), st.integers(1, 80)),
    st.tuples(st.just("refund"), st.integers(1, 4), st.integers(1, 50)),
    st.tuples(st.just("days"), st.integers(1, 9), st.booleans()),
)


def command_of(step: Any, member: int, begun: int, now: int) -> Command:
    """Return the command of a step; `begun` is the number of the newest transaction."""
    word, first, second = step[:3]
    if word in (CREDIT, DEBIT):
        at = now + step[3] * DAY
        more = {"available_at": at} if word == CREDIT else {"deadline": at + DAY}
        return begin(member, begun + 1, word, first, complete=second, **more)
    if word == "order":
        return recorded(placed(f"{first}", line(amount=f"{second}.00"), version=now), shipped(f"{first}"))
    if word == "refund":
        return recorded(refunded(f"{first}", f"r{now}{second}", f"{second}.00", at=now))
    return end(member, max(begun - first, 1), word)


@given(steps=st.lists(STEP, max_size=25))
@settings(max_examples=60)
def test_it_does_not_matter_when_the_sweep_comes_by(
    sqlite_template: Any, tmp_path_factory: Any, steps: list[Any]
) -> None:
    """One book is swept every day and the other hardly ever: what members have is the same at every step."""
    folder = tmp_path_factory.mktemp("books")
    engines = []
    for name in ("eager", "lazy"):
        shutil.copyfile(sqlite_template, folder / name)
        engines.append(open_database(f"sqlite:///{folder / name}"))
    rules = {"inactive_days": 6, "days": 14}
    members = [member_in(engine, expiry=rules, reminders={"days_before": [3]}) for engine in engines]
    now, begun = NOW, 1
    for step in steps:
        if step[0] == "days":
            now += step[1] * DAY
            sweep(engines[0], now)
            if step[2]:
                sweep(engines[1], now)
        for engine, member in zip(engines, members, strict=True):
            if step[0] != "days":
                play(engine, [command_of(step, member, begun, now)], now=now)
        begun += step[0] in (CREDIT, DEBIT)
        assert len({seen(engine, member, now) for engine, member in zip(engines, members, strict=True)}) == 1
    for engine in engines:
        assert audit(engine) == []
        assert rebuild(engine, read) == []
        engine.dispose()
