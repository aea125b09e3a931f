"""Too few points: not yet posted, run out, or spent already; said with figures and in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from adapter.book.shortage import RECENT_CHANGES
from adapter.program.model import Program
from adapter.store.recent import next_posts, spent_and_expired
from tests.shop import (
    DAY,
    NOW,
    begin,
    configure,
    customer,
    end,
    line,
    member_of,
    placed,
    play,
    recorded,
    refunded,
    shipped,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.commands import Command
    from adapter.outcome import Outcome

CREDIT, DEBIT = "credit", "debit"
PROGRAM = Program.model_validate(
    {
        "name": "main",
        "balance_definitions": [{"name": "points"}, {"name": "cash", "decimals": 2}],
        "earning": {"rate": "1", "hold_days": 14},
    }
)


def enrolled(engine: Engine) -> int:
    configure(engine, PROGRAM)
    play(engine, [recorded(customer("7000"))])
    return member_of(engine)


def refused(engine: Engine, member: int, amount: int, *, now: int = NOW, **more: Any) -> Outcome:
    (outcome,) = play(engine, [begin(member, 999, DEBIT, amount, complete=True, **more)], now=now)
    assert outcome.error == "insufficient_balance"
    return outcome


def figures(outcome: Outcome) -> dict[str, int | str]:
    """Return the figures that are not zero."""
    return {name: amount for name, amount in (outcome.figures or {}).items() if amount}


WHY: list[tuple[list[Any], dict[str, int], str]] = [
    # what happened before, on 100 points; asked for: 500
    ([], {"available": 100}, "100 are available, 400 too few."),
    (
        [(CREDIT, 40, False)],
        {"available": 100, "pending": 40},
        "100 are available, 400 too few; 40 are pending.",
    ),
    (
        [(DEBIT, 30, True)],
        {"available": 70, "redeemed": 30},
        "70 are available, 430 too few; 30 were redeemed lately, the last at 2026-11-18T11:06:40.000Z.",
    ),
    (
        [(DEBIT, 30, True), (DEBIT, 20, True), (DEBIT, 10, False)],
        {"available": 40, "reserved": 10, "redeemed": 50},
        "40 are available, 460 too few; 10 are held; 50 were redeemed lately, the last at 2026-11-18T11:06:40.000Z.",
    ),
]


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(("steps", "says", "sentence"), WHY, ids=lambda value: str(value)[:50])
def test_what_is_missing_is_told(
    database: Engine, steps: list[Any], says: dict[str, int], sentence: str, size: int
) -> None:
    member = enrolled(database)
    commands: list[Command] = [begin(member, 1, CREDIT, 100, complete=True)]
    commands += [
        begin(member, number, kind, amount, complete=complete)
        for number, (kind, amount, complete) in enumerate(steps, 2)
    ]
    commands.append(begin(member, 999, DEBIT, 500, complete=True))
    last = play(database, commands, sizes=[size])[-1]
    assert figures(last) == {"requested": 500, **says}
    assert last.reason == sentence


def test_points_that_ran_out_are_told(database: Engine) -> None:
    member = enrolled(database)
    play(database, [begin(member, 1, CREDIT, 80, complete=True, points_end_at=NOW + DAY)])
    before = refused(database, member, 81)
    after = refused(
        database, member, 81, now=NOW + DAY
    )  # the sweep has not come by: this very refusal lets them run out
    assert figures(before) == {"requested": 81, "available": 80}
    assert figures(after) == {"requested": 81, "expired": 80}
    assert (
        after.reason
        == "0 are available, 81 too few; 80 expired lately, the last at 2026-11-19T11:06:40.000Z."
    )


def test_when_pending_points_post_is_told(database: Engine) -> None:
    """89 points of an order shipped 8 days ago post 14 days after that; 10 of another one wait to be shipped."""
    member = enrolled(database)
    play(database, [recorded(placed()), recorded(shipped(at=NOW - 8 * DAY))])
    play(database, [recorded(placed("1002", line(amount="10.00")))])
    outcome = refused(database, member, 50)
    assert figures(outcome) == {"requested": 50, "pending": 99}
    assert outcome.reason == (
        "0 are available, 50 too few; 99 are pending, of which the next 89 post at 2026-11-24T11:06:40.000Z."
    )


def test_points_that_came_back_were_not_spent(database: Engine) -> None:
    member = enrolled(database)
    play(database, [begin(member, 1, CREDIT, 50, complete=True), begin(member, 2, DEBIT, 50)])
    play(database, [end(member, 2, "cancelled")])
    assert figures(refused(database, member, 60)) == {"requested": 60, "available": 50}


def test_what_is_owed_is_told(database: Engine) -> None:
    """89 points were posted and spent; then all of the order was refunded."""
    member = enrolled(database)
    play(database, [recorded(placed(at=NOW - 60 * DAY)), recorded(shipped(at=NOW - 50 * DAY))])
    play(database, [begin(member, 1, DEBIT, 89, complete=True), recorded(refunded(amount="89.99"))])
    outcome = refused(database, member, 1)
    assert figures(outcome) == {"requested": 1, "owed": 89, "redeemed": 89}
    assert outcome.reason is not None
    assert "89 are owed" in outcome.reason


def test_decimals_are_shown(database: Engine) -> None:
    member = enrolled(database)
    play(database, [begin(member, 1, CREDIT, 1250, complete=True, definition=2)])
    outcome = refused(database, member, 1300, definition=2)
    assert outcome.reason == "12.50 are available, 0.50 too few."


def test_what_was_long_ago_is_not_told(database: Engine) -> None:
    member = enrolled(database)
    play(database, [begin(member, 1, CREDIT, 50, complete=True), begin(member, 2, DEBIT, 50, complete=True)])
    assert figures(refused(database, member, 1, now=NOW + 89 * DAY))["redeemed"] == 50
    assert "redeemed" not in figures(refused(database, member, 1, now=NOW + 90 * DAY))


def test_a_long_history_costs_what_a_short_one_costs(database: Engine) -> None:
    """Of 300 spends the last hundred changes count; and each refusal looks them up along a key."""
    member = enrolled(database)
    play(database, [begin(member, 1, CREDIT, 300, complete=True)])
    spends = [begin(member, number, DEBIT, 1, complete=True) for number in range(2, 302)]
    play(database, spends, sizes=[300])
    assert figures(refused(database, member, 1))["redeemed"] == RECENT_CHANGES


def test_the_reasons_are_looked_up_along_keys(sqlite_database: Engine) -> None:
    member = enrolled(sqlite_database)
    sent: list[tuple[str, Any]] = []
    with sqlite_database.connect() as connection:
        event.listen(
            connection,
            "before_cursor_execute",
            lambda _c, _cursor, sql, values, *_more: sent.append((sql, values)),
        )
        list(spent_and_expired(connection, {(1, member, 1): 500}, NOW))
        next_posts(connection, {(1, member, 1): 500}, NOW)
        asked = [one for one in sent if one[0] != "BEGIN"]
        steps = [
            row[3]
            for sql, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    assert len(asked) == 2
    assert [step for step in steps if step.startswith(("SCAN t", "SCAN n"))] == []
    assert any("PRIMARY KEY (env=? AND member=? AND definition=? AND sequence>?)" in step for step in steps)
    assert any("ix_lots_due_early" in step for step in steps)


def test_a_batch_without_refusals_asks_nothing_more(sqlite_database: Engine) -> None:
    member = enrolled(sqlite_database)
    sent: list[str] = []
    event.listen(sqlite_database, "before_cursor_execute", lambda _c, _cursor, sql, *_more: sent.append(sql))
    play(sqlite_database, [begin(member, 1, CREDIT, 50, complete=True)])
    quiet = len(sent)
    assert not [sql for sql in sent if "'expired') OR" in sql]
    sent.clear()
    refused(sqlite_database, member, 60)
    assert len([sql for sql in sent if "'expired') OR" in sql]) == 1
    assert len(sent) <= quiet + 2
