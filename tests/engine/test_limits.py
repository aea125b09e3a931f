"""Limits of a day and a tier, locks, advice and what a till granted offline, decided in the book, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from adapter.commands import Advise, BeginRedemption, ClearFlag, MoveRedemption
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.program.redeeming import worth
from adapter.store import tables as t
from tests.engine.test_audit import read
from tests.shop import DAY, NOW, begin, configure, customer, member_of, play, recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from adapter.commands import Command
    from adapter.outcome import Outcome

CREDIT = "credit"
HOUR = 3_600_000
REDEEMING = {
    "currency": "EUR",
    "increment": "10.00",
    "minimum": "10.00",
    "per_transaction": "50.00",
    "per_day": "100.00",
}
REWARDS = [
    {"id": "mug", "kind": "item", "cost": 1234},
    {"id": "five", "kind": "discount", "cost": 500, "value": "5.00", "currency": "EUR"},
    {"id": "giant", "kind": "item", "cost": 5001},
]


def enrolled(engine: Engine, points: int = 20_000, **rules: Any) -> int:
    program = {
        "name": "main",
        "rewards": REWARDS,
        "redeeming": {**REDEEMING, **rules},
        "timezone": "Europe/Berlin",
    }
    configure(engine, Program.model_validate(program))
    play(engine, [recorded(customer("7000"))])
    member = member_of(engine)
    if points:
        play(engine, [begin(member, 1, CREDIT, points, complete=True)])
    return member


def redeem(member: int, number: int, points: int | None = None, **more: Any) -> BeginRedemption:
    fields: dict[str, Any] = {"env": 1, "definition": 1, "received_at": NOW, "code": f"CODE-{number}", **more}
    return BeginRedemption(id=number, member=member, points=points, **fields)


def move(member: int, number: int, state: str, **more: Any) -> MoveRedemption:
    fields: dict[str, Any] = {"env": 1, "definition": 1, "received_at": NOW, **more}
    return MoveRedemption(redemption=number, member=member, state=state, **fields)


def codes(outcomes: Sequence[Outcome]) -> list[str | None]:
    return [outcome.error for outcome in outcomes]


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize(
    ("asked", "errors"),
    [
        # 50.00 twice is 100.00, the limit of the day; nothing is left of it
        ([5000, 5000, 1000], [None, None, "over_limit_per_day"]),
        ([6000], ["over_limit_per_transaction"]),
        ([900], ["below_minimum"]),
        ([1500], ["not_an_increment"]),
        # 12.34 for a mug and 5.00 off count as well: 50.00 + 12.34 + 5.00 leave 32.66
        ([5000, "mug", "five", 4000, 3000], [None, None, None, "over_limit_per_day", None]),
        (["giant"], ["over_limit_per_transaction"]),
        # what was refused counts for nothing
        ([5000, 6000, 5000], [None, "over_limit_per_transaction", None]),
    ],
    ids=str,
)
def test_limits(database: Engine, asked: list[Any], errors: list[str | None], size: int) -> None:
    member = enrolled(database)
    commands = [
        redeem(member, number, one) if isinstance(one, int) else redeem(member, number, reward=one)
        for number, one in enumerate(asked, 10)
    ]
    assert codes(play(database, commands, sizes=[size])) == errors
    sound(database)


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("back", ["released", "reversed"])
def test_what_came_back_counts_no_more(database: Engine, back: str, size: int) -> None:
    member = enrolled(database)
    commands: list[Command] = [redeem(member, 10, 5000), redeem(member, 11, 5000), redeem(member, 12, 1000)]
    commands += [move(member, 10, back), redeem(member, 13, 5000), redeem(member, 14, 1000)]
    assert codes(play(database, commands, sizes=[size])) == [
        None, None, "over_limit_per_day", None, None, "over_limit_per_day",
    ]  # fmt: skip
    sound(database)


def test_a_hold_that_ran_out_counts_no_more(database: Engine) -> None:
    """Held for a minute; as of its end it is over, though the sweep has not come by."""
    member = enrolled(database, hold_minutes=1)
    assert codes(play(database, [redeem(member, number, 5000) for number in (10, 11)])) == [None, None]
    assert codes(play(database, [redeem(member, 12, 1000)], now=NOW + 59_999)) == ["over_limit_per_day"]
    assert codes(play(database, [redeem(member, 13, 1000)], now=NOW + 60_000)) == [None]
    sound(database)


@pytest.mark.parametrize(
    ("day", "later", "error"),
    [
        # NOW is 12:06:40 in Berlin: the next calendar day begins 11 h 53 min 20 s later
        ("calendar", 42_799_999, "over_limit_per_day"),
        ("calendar", 42_800_000, None),
        ("rolling", DAY - 1, "over_limit_per_day"),
        ("rolling", DAY, None),
    ],
)
def test_a_new_day_begins(database: Engine, day: str, later: int, error: str | None) -> None:
    member = enrolled(database, day=day)
    spends: list[Command] = [redeem(member, 10, 5000), redeem(member, 11, 5000)]
    play(database, [*spends, move(member, 10, "applied"), move(member, 11, "applied")])
    assert codes(play(database, [redeem(member, 12, 1000)], now=NOW + later)) == [error]


def test_figures_and_the_field_at_fault(database: Engine) -> None:
    member = enrolled(database)
    play(database, [redeem(member, 10, 5000)])
    (outcome,) = play(database, [redeem(member, 11, value=6000)])
    assert (outcome.error, outcome.field) == ("over_limit_per_transaction", "value")
    play(database, [redeem(member, 12, 3000)])
    (outcome,) = play(database, [redeem(member, 13, 4000)])
    assert (outcome.error, outcome.field) == ("over_limit_per_day", "points")
    assert outcome.figures == {
        "points": 4000,
        "value": "40.00",
        "limit": "100.00",
        "left": "20.00",
        "used": "80.00",
    }


# --- advice and locks -------------------------------------------------------------------------------------------------


def advise(member: int, number: int, advice: str | None) -> Advise:
    return Advise(env=1, id=number, member=member, advice=advice, received_at=NOW)


@pytest.mark.parametrize("size", [1, 20])
def test_a_blocked_member_redeems_nothing(database: Engine, size: int) -> None:
    member = enrolled(database)
    commands: list[Command] = [
        advise(member, 50, "REVIEW"), redeem(member, 10, 1000),
        advise(member, 51, "BLOCK"), redeem(member, 11, 1000), redeem(member, 12, reward="mug"),
        advise(member, 52, None), redeem(member, 13, 1000),
    ]  # fmt: skip
    blocked = "redemption_blocked"
    assert codes(play(database, commands, sizes=[size])) == [None, None, None, blocked, blocked, None, None]
    sound(database)


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("ended_by", ["applied", "released", "reversed"])
def test_a_lock_ends_with_its_redemption(database: Engine, ended_by: str, size: int) -> None:
    member = enrolled(database)
    commands: list[Command] = [
        redeem(member, 10, 1000, locks_until=NOW + HOUR), redeem(member, 11, 1000), redeem(member, 12, reward="mug"),
        move(member, 10, ended_by), redeem(member, 13, 1000),
    ]  # fmt: skip
    locked = "balance_locked"
    assert codes(play(database, commands, sizes=[size])) == [None, locked, locked, None, None]
    sound(database)


def test_a_lock_past_its_time_is_over(database: Engine) -> None:
    """Locked for 60 s: at 59.999 s it holds, at 60 s it does not; at 10.001 s there are 50 s left, rounded up."""
    member = enrolled(database)
    play(database, [redeem(member, 10, 1000, locks_until=NOW + 60_000)])
    (early,) = play(database, [redeem(member, 11, 1000)], now=NOW + 10_001)
    assert (early.error, early.retry_after_s) == ("balance_locked", 50)
    assert codes(play(database, [redeem(member, 12, 1000)], now=NOW + 59_999)) == ["balance_locked"]
    assert codes(play(database, [redeem(member, 13, 1000)], now=NOW + 60_000)) == [None]
    sound(database)


def test_a_lock_ends_with_its_hold(database: Engine) -> None:
    """A lock of an hour, of a redemption that is over after a minute."""
    member = enrolled(database, hold_minutes=1)
    play(database, [redeem(member, 10, 1000, locks_until=NOW + HOUR)])
    assert codes(play(database, [redeem(member, 11, 1000)], now=NOW + 60_000)) == [None]


def test_a_lock_is_of_one_member(database: Engine) -> None:
    member = enrolled(database)
    play(database, [recorded(customer("7001"))])
    other = member_of(database, "7001")
    play(database, [begin(other, 2, CREDIT, 1000, complete=True)])
    asked = [redeem(member, 10, 1000, locks_until=NOW + HOUR), redeem(other, 11, 1000)]
    assert codes(play(database, asked, sizes=[2])) == [None, None]


# --- what a till granted offline -----------------------------------------------------------------------------------------


def balance(engine: Engine, member: int) -> tuple[int, int, int]:
    """Return available, reserved, owed."""
    columns = t.balances.c
    query = select(columns.available, columns.reserved, columns.owed).where(columns.member == member)
    with engine.connect() as connection:
        return tuple(connection.execute(query).one())


OFFLINE = [
    # there are, last known, granted → error; available and owed afterwards
    (450, 450, 450, None, 0, 0),
    (450, 450, 451, "over_last_known", 450, 0),
    (450, 1000, 600, None, 0, 150),
    (0, 1000, 600, None, 0, 600),
    (1000, 600, 600, None, 400, 0),
    (1000, 0, 600, "over_last_known", 1000, 0),
]


@pytest.mark.parametrize(("there", "known", "granted", "error", "left", "owed"), OFFLINE)
def test_up_to_the_last_known_balance(
    database: Engine, there: int, known: int, granted: int, error: str | None, left: int, owed: int
) -> None:
    member = enrolled(database, there, increment="0", minimum="0")
    (outcome,) = play(database, [redeem(member, 10, granted, last_known=known, occurred_at=NOW - HOUR)])
    assert outcome.error == error
    assert balance(database, member) == (left, 0, owed)
    if error is None:
        assert outcome.row is not None
        assert outcome.row["state"] == "applied"
        assert outcome.row["flagged"].startswith("granted by the last known balance")
        assert ("were not there" in outcome.row["flagged"]) == (owed > 0)
    sound(database)


def test_no_limit_takes_back_what_was_granted(database: Engine) -> None:
    """It was handed out: advice, a lock and limits do not undo that. It counts against the day all the same."""
    member = enrolled(database)
    play(database, [advise(member, 50, "BLOCK")])
    assert codes(play(database, [redeem(member, 10, 9000, last_known=20_000)])) == [None]
    play(database, [advise(member, 51, None)])
    assert codes(play(database, [redeem(member, 11, 2000), redeem(member, 12, 1000)])) == [
        "over_limit_per_day",
        None,
    ]
    sound(database)


def test_what_is_owed_is_repaid_and_a_reversal_gives_back(database: Engine) -> None:
    """600 of 450 leave 150 owed; 200 credited repay them and leave 50; reversed, 600 come back."""
    member = enrolled(database, 450, increment="0", minimum="0")
    play(database, [redeem(member, 10, 600, last_known=600), begin(member, 2, CREDIT, 200, complete=True)])
    assert balance(database, member) == (50, 0, 0)
    assert codes(play(database, [move(member, 10, "reversed", force=True)])) == [None]
    assert balance(database, member) == (650, 0, 0)
    sound(database)


def test_a_flag_is_cleared_once_by_a_person(database: Engine) -> None:
    member = enrolled(database)
    play(database, [redeem(member, 10, 1000, last_known=1000), redeem(member, 11, 1000)])

    def clear(number: int) -> ClearFlag:
        return ClearFlag(
            env=1, redemption=number, member=member, definition=1, note="seen the till", received_at=NOW
        )

    (first,) = play(database, [clear(10)])
    assert first.row is not None
    assert (first.row["flag_note"], first.row["flag_cleared_at"]) == ("seen the till", NOW)
    assert codes(play(database, [clear(10), clear(11), clear(12)])) == [
        "redemption_not_flagged", "redemption_not_flagged", "not_found",
    ]  # fmt: skip
    sound(database)


# --- always ---------------------------------------------------------------------------------------------------------------


STEP = st.one_of(
    st.tuples(st.just("redeem"), st.sampled_from([500, 1000, 2000, 3000, 5000, 7000])),
    st.tuples(st.sampled_from(["applied", "released", "reversed"]), st.integers(0, 6)),
    st.tuples(st.just("wait"), st.sampled_from([30_000, 6 * HOUR, 13 * HOUR])),
)


@settings(max_examples=25)
@given(
    steps=st.lists(STEP, min_size=3, max_size=14),
    size=st.sampled_from([1, 3, 20]),
    day=st.sampled_from(["calendar", "rolling"]),
)
def test_no_day_ever_sees_more_than_its_limit(
    sqlite_database: Engine, steps: list[tuple[str, int]], size: int, day: str
) -> None:
    """Count from the rows, in any window of a day, what is held or spent: never more than 100.00, nor 50.00 at once."""
    with sqlite_database.begin() as connection:
        for table in reversed(t.metadata.sorted_tables):
            connection.execute(table.delete())
    member = enrolled(sqlite_database, 100_000, day=day, hold_minutes=525_600)
    batch: list[Command] = []
    now, begun = NOW, 0
    for step, value in steps:
        if step == "wait":
            play(sqlite_database, batch, now=now, sizes=[size])
            batch, now = [], now + value
        elif step == "redeem":
            batch.append(redeem(member, 100 + begun, value, received_at=now))
            begun += 1
        elif begun:
            batch.append(move(member, 100 + value % begun, step, received_at=now))
    play(sqlite_database, batch, now=now, sizes=[size])
    rules = Program.model_validate({"name": "main", "redeeming": {**REDEEMING, "day": day}}).redeeming
    with sqlite_database.connect() as connection:
        rows = connection.execute(select(t.redemptions)).all()
    kept = [row for row in rows if row.state in ("pending", "applied")]
    assert all(worth(row.cost, rules) <= 50 for row in kept)
    for first in kept:
        window = [row for row in kept if first.created_at <= row.created_at < first.created_at + DAY]
        if day == "rolling":
            assert worth(sum(row.cost for row in window), rules) <= 100
        else:
            same = [row for row in window if _berlin_day(row.created_at) == _berlin_day(first.created_at)]
            assert worth(sum(row.cost for row in same), rules) <= 100
    assert audit(sqlite_database) == []


def _berlin_day(at: int) -> int:
    return (at + HOUR) // DAY  # in November


def test_without_limits_nothing_is_looked_up_for_a_day(sqlite_database: Engine) -> None:
    member = enrolled(sqlite_database, per_day=None)
    sent: list[str] = []
    event.listen(sqlite_database, "before_cursor_execute", lambda _c, _cursor, sql, *_more: sent.append(sql))
    play(sqlite_database, [redeem(member, 10, 1000)])
    assert [sql for sql in sent if "sum(t.cost)" in sql] == []
    sent.clear()
    play(sqlite_database, [begin(member, 2, "debit", 10)])
    assert [sql for sql in sent if "FROM (SELECT" in sql and "redemptions" in sql] == []
    assert [sql for sql in sent if "advices" in sql] == []


def test_a_days_redemptions_are_looked_up_along_an_index(sqlite_database: Engine) -> None:
    member = enrolled(sqlite_database)
    sent: list[tuple[str, Any]] = []
    event.listen(
        sqlite_database,
        "before_cursor_execute",
        lambda _c, _cursor, sql, values, *_more: sent.append((sql, values)),
    )
    play(sqlite_database, [redeem(member, 10, 1000)])
    asked = [one for one in sent if "redemptions" in one[0] and one[0].startswith("SELECT")]
    with sqlite_database.connect() as connection:
        steps = [
            row[3]
            for sql, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    assert any(
        "ix_redemptions_day (env=? AND member=? AND definition=? AND created_at>?)" in step for step in steps
    )
    assert any("ix_redemptions_lock" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN t")] == []
