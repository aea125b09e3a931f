"""Transactions undone by another one: where the points go, what is refused, and that it happens once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from adapter.commands import Elapse, ReverseTransaction
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import read
from tests.engine.test_transactions import amounts
from tests.shop import (
    DAY,
    NOW,
    begin,
    configure,
    customer,
    end,
    member_of,
    merge,
    placed,
    play,
    recorded,
    shipped,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.outcome import Outcome

CREDIT, DEBIT = "credit", "debit"


def enrolled(engine: Engine, **program: Any) -> int:
    said = {"name": "main", "earning": {"rate": "1"}, "expiry": {"months": 12}, **program}
    configure(engine, Program.model_validate(said))
    play(engine, [recorded(customer("7000"))])
    return member_of(engine)


def reverse(member: int, number: int, transaction: int) -> ReverseTransaction:
    return ReverseTransaction(
        env=1, received_at=NOW, id=number, transaction=transaction, member=member, definition=1
    )


def errors(outcomes: list[Outcome]) -> list[str | None]:
    return [outcome.error for outcome in outcomes]


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(
    ("program", "done", "undone", "left"),
    [
        # what was booked, which of it is undone → pending, available, reserved, owed
        ({}, [(1, CREDIT, 100)], 1, (0, 0, 0, 0)),
        ({}, [(1, CREDIT, 100), (2, CREDIT, 50)], 1, (0, 50, 0, 0)),
        ({}, [(1, CREDIT, 100), (2, DEBIT, 30)], 2, (0, 100, 0, 0)),
        ({}, [(1, CREDIT, 100), (2, DEBIT, 30)], 1, (0, 0, 0, 30)),  # 70 are left of the 100
        ({}, [(1, CREDIT, 100), (2, DEBIT, 30), (3, CREDIT, 20)], 1, (0, 0, 0, 10)),  # 70 + 20 of the other
        ({"clawback": {"shortfall": "waived"}}, [(1, CREDIT, 100), (2, DEBIT, 30)], 1, (0, 0, 0, 0)),
        ({"processing_mode": "batch"}, [(1, CREDIT, 100)], 1, (0, 0, 0, 0)),
    ],
)
def test_where_the_points_go(
    database: Engine,
    program: dict[str, Any],
    done: list[tuple[int, str, int]],
    undone: int,
    left: tuple[int, int, int, int],
    size: int,
) -> None:
    member = enrolled(database, **program)
    commands = [begin(member, number, kind, amount, complete=True) for number, kind, amount in done]
    outcomes = play(database, [*commands, reverse(member, 90, undone)], sizes=[size])
    assert errors(outcomes) == [None] * len(outcomes)
    assert outcomes[-1].row is not None
    assert outcomes[-1].row["reverses"] == undone
    assert amounts(database, member) == left
    again = play(database, [reverse(member, 91, undone), reverse(member, 92, 90)], sizes=[2])
    assert errors(again) == ["transaction_reversed", "transaction_final"]
    sound(database)


def test_debited_points_return_to_the_lots_they_came_from(database: Engine) -> None:
    """Of 40 that end tomorrow and 60 that end later 50 were taken: 40 and 10 come back, and 40 still end tomorrow."""
    member = enrolled(database)
    play(
        database,
        [
            begin(member, 1, CREDIT, 40, complete=True, points_end_at=NOW + DAY),
            begin(member, 2, CREDIT, 60, complete=True),
            begin(member, 3, DEBIT, 50),
            end(member, 3, "completed"),
            reverse(member, 90, 3),
        ],
    )
    assert amounts(database, member) == (0, 100, 0, 0)
    play(database, [Elapse(env=1, member=member, definition=1)], now=NOW + DAY)
    assert amounts(database, member) == (0, 60, 0, 0)
    sound(database)


def test_points_that_ended_meanwhile_are_waived(database: Engine) -> None:
    member = enrolled(database)
    play(database, [begin(member, 1, CREDIT, 40, complete=True, points_end_at=NOW + DAY)])
    (outcome,) = play(database, [reverse(member, 90, 1)], now=NOW + DAY)
    assert outcome.error is None
    assert amounts(database, member) == (0, 0, 0, 0)
    sound(database)


def test_what_is_not_undone_says_why(database: Engine) -> None:
    member = enrolled(database, redeeming={"currency": "EUR"})
    play(database, [recorded(placed()), recorded(shipped())])
    with database.connect() as connection:
        award = connection.execute(select(t.transactions.c.id)).scalars().one()
    play(
        database,
        [
            begin(member, 1, CREDIT, 10),
            begin(member, 2, CREDIT, 10),
            end(member, 2, "cancelled"),
        ],
    )
    tried = [
        reverse(member, 90, 1),
        reverse(member, 91, 2),
        reverse(member, 92, award),
        reverse(member, 93, 999),
    ]
    assert errors(play(database, tried)) == [
        "transaction_pending",
        "transaction_cancelled",
        "transaction_of_order",
        "not_found",
    ]


def test_whoever_was_merged_keeps_what_can_be_undone(database: Engine) -> None:
    member = enrolled(database)
    play(database, [recorded(customer("7001"))])
    into = member_of(database, "7001")
    play(
        database,
        [
            begin(member, 1, CREDIT, 100, complete=True),
            begin(member, 2, DEBIT, 30, complete=True),
            merge(member, into),
        ],
    )
    assert errors(play(database, [reverse(into, 90, 2), reverse(into, 91, 1)])) == [None, None]
    assert amounts(database, into) == (0, 0, 0, 0)
    sound(database)


@settings(max_examples=25)
@given(data=st.data())
def test_undoing_everything_newest_first_leaves_nothing(sqlite_database: Engine, data: st.DataObject) -> None:
    """Credits and debits that fit, undone from the last to the first: every account is back at zero."""
    with sqlite_database.begin() as connection:
        for table in reversed(t.metadata.sorted_tables):
            connection.execute(table.delete())
    member = enrolled(sqlite_database)
    booked, available = [], 0
    for number in range(1, data.draw(st.integers(1, 8)) + 1):
        debit = available > 0 and data.draw(st.booleans())
        amount = data.draw(st.integers(1, available if debit else 1000))
        available += -amount if debit else amount
        ends = None if debit else data.draw(st.sampled_from([None, NOW + DAY, NOW + 2 * DAY]))
        kind = DEBIT if debit else CREDIT
        booked.append(begin(member, number, kind, amount, complete=True, points_end_at=ends))
    undone = [reverse(member, 100 + one.id, one.id) for one in reversed(booked)]
    size = data.draw(st.integers(1, 5))
    assert not any(errors(play(sqlite_database, [*booked, *undone], sizes=[size])))
    assert amounts(sqlite_database, member) == (0, 0, 0, 0)
    sound(sqlite_database)
