"""Limits of a balance over time: what the API's credits and debits of a member may come to together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, text

from adapter.store import tables as t
from adapter.store.booked import booked_since
from tests.engine.test_bounds import member_with, program
from tests.engine.test_transactions import CREDIT, DEBIT, sound
from tests.shop import (
    DAY,
    NOW,
    begin,
    configure,
    customer,
    end,
    member_of,
    placed,
    play,
    publish,
    recorded,
    shipped,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.commands import ApiCommand

HOUR = 3_600_000
TWICE = {"name": "twice", "of": "credit", "counts": "transactions", "most": 2, "per": "day"}
HUNDRED = {"name": "hundred", "of": "debit", "counts": "amount", "most": 100, "per": "day", "sliding": True}
OVER = "over_limit_of_balance"


def errors(engine: Engine, *commands: ApiCommand, now: int = NOW) -> list[str | None]:
    """Play them one after the other, and then all of them could have been one batch."""
    return [outcome.error for outcome in play(engine, commands, now=now)]


@pytest.mark.parametrize("size", [1, 3])
def test_so_many_transactions_and_no_more(database: Engine, size: int) -> None:
    member = member_with(database, 0, limits=[TWICE])
    asked = [begin(member, number, CREDIT, 10, complete=True) for number in (1, 2, 3)]
    outcomes = play(database, asked, sizes=[size])
    assert [outcome.error for outcome in outcomes] == [None, None, OVER]
    assert outcomes[2].figures == {"limit": "2", "used": "2", "per": "day"}
    assert errors(database, begin(member, 4, DEBIT, 5)) == [None]  # of debits nothing was said
    assert errors(database, begin(member, 5, CREDIT, 1, complete=True), now=NOW + DAY) == [None]
    sound(database)


def test_so_much_in_the_last_day(database: Engine) -> None:
    member = member_with(database, 500, limits=[HUNDRED])
    assert errors(database, begin(member, 2, DEBIT, 60), begin(member, 3, DEBIT, 41)) == [None, OVER]
    assert errors(database, begin(member, 4, DEBIT, 40), now=NOW + HOUR) == [None]
    assert errors(database, begin(member, 5, DEBIT, 60), now=NOW + DAY - 1) == [OVER]
    assert errors(database, begin(member, 6, DEBIT, 60), now=NOW + DAY) == [None]
    sound(database)


def test_what_came_to_nothing_does_not_count(database: Engine) -> None:
    member = member_with(database, 500, limits=[HUNDRED])
    assert errors(database, begin(member, 2, DEBIT, 100, deadline=NOW + HOUR)) == [None]
    assert errors(database, begin(member, 3, DEBIT, 1)) == [OVER]
    assert errors(database, begin(member, 4, DEBIT, 100), now=NOW + HOUR) == [None]  # its time is over
    # cancelled and begun anew in one batch, and in two
    assert errors(database, end(member, 4, "cancelled"), begin(member, 5, DEBIT, 100), now=NOW + HOUR) == [
        None,
        None,
    ]
    assert errors(database, end(member, 5, "completed"), begin(member, 6, DEBIT, 1), now=NOW + HOUR) == [
        None,
        OVER,
    ]
    sound(database)


def test_orders_neither_count_nor_are_bounded(database: Engine) -> None:
    configure(database, program(limits=[{**TWICE, "most": 1}]))
    play(database, [recorded(customer("7000"))])
    member = member_of(database)
    for ref in ("1001", "1002"):
        play(database, [recorded(placed(ref)), recorded(shipped(ref))])
    assert errors(database, begin(member, 1, CREDIT, 1)) == [None]
    assert errors(database, begin(member, 2, CREDIT, 1)) == [OVER]
    sound(database)


def test_a_retired_balance_takes_nothing_more(database: Engine) -> None:
    member = member_with(database, 100)
    with database.begin() as connection:
        publish(connection, program(retired=True), version=2, at=NOW + 1)
        connection.execute(t.configuration.update().values(version=2))
    assert errors(database, begin(member, 2, CREDIT, 1), now=NOW + 1) == ["definition_retired"]


def test_a_limit_is_looked_up_along_its_index(database: Engine) -> None:
    """With so many older ones that no planner would read all of the member's."""
    member = member_with(database, 100, limits=[HUNDRED])
    with database.connect() as connection:
        one = dict(connection.execute(select(t.transactions)).mappings().one())
        older = [one | {"id": 1000 + number, "created_at": NOW - number * DAY} for number in range(2000)]
        connection.execute(insert(t.transactions), older)
        connection.execute(text("ANALYZE"))
        if connection.dialect.name != "sqlite":
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # there is nobody else's in the table
        query = next(booked_since(connection, {(1, member, 1, CREDIT, NOW)}, NOW))
        assert query is not None
        plan = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        shown = str(connection.exec_driver_sql(f"{plan} {query.statement}", query.values).all())
        connection.rollback()
    assert "ix_transactions_booked" in shown
