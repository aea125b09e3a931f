"""Where it is told from which lots points came makes no difference: in a transfer's row, or in rows of `allocations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, Engine, func, select

from adapter.clock import to_datetime
from adapter.engine.audit import audit
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.allocated import allocated
from adapter.store.reading.outstanding import add_up
from tests.shop import DAY, NOW, begin, configure, end, enrol, play, tell_lots

if TYPE_CHECKING:
    from adapter.commands import Command

MEMBER = 50
PROGRAM = Program.model_validate({"name": "main", "earning": {"rate": "1"}})
COUNTED = (t.transfers.c.lot, t.allocations.c.lot)


def life() -> list[Command]:
    """Credits of three lots, debits and holds of one and of several, one completed, one given back, one undone."""
    credited = [
        begin(MEMBER, number, "credit", 40, complete=True, points_end_at=NOW + days * DAY)
        for number, days in ((1, 30), (2, 60), (3, 90))
    ]
    return [
        enrol(MEMBER),
        *credited,
        begin(MEMBER, 4, "debit", 10, complete=True),
        begin(MEMBER, 5, "debit", 35),
        begin(MEMBER, 6, "debit", 5),
        begin(MEMBER, 7, "credit", 9),
        end(MEMBER, 5, "completed"),
        end(MEMBER, 6, "cancelled"),
        end(MEMBER, 7, "completed"),
        begin(MEMBER, 8, "debit", 50, complete=True),
    ]


def counted(connection: Connection) -> tuple[int, ...]:
    """Return how many transfers name their lot, and how many rows tell of lots apart."""
    return tuple(connection.execute(select(func.count(column))).scalar_one() for column in COUNTED)


@pytest.mark.parametrize("switched_at", [0, 1, 4, 6, 7, 8, 9, 11, len(life())])
def test_a_book_goes_on_whichever_way_was_written_before(database: Engine, switched_at: int) -> None:
    """First as beside older versions, then in the transfers: at any point of a life the other way is read as well."""
    configure(database, PROGRAM)
    tell_lots(database, in_transfers=False)
    every = life()
    done = play(database, every[:switched_at], sizes=[1])
    tell_lots(database, in_transfers=True)
    done += play(database, every[switched_at:], sizes=[1])
    assert [one.error for one in done] == [None] * len(every)
    assert audit(database) == []
    with database.connect() as connection:
        rows = connection.execute(select(t.transfers)).all()
        told = sorted(
            (*place[3:], one.lot, one.amount)
            for place, of in allocated(connection, rows).items()
            for one in of
        )
        sums = add_up(connection, 1, {1: "UTC"}, now=NOW, as_of=NOW)[1]
        named, apart = counted(connection)
    assert [amount for *_, amount in told] == [40, 40, 40, 10, 30, 5, 5, 9, 30, 5, 5, 9, 35, 15]
    assert named + apart == len(told)
    assert (named == 0) is (switched_at > 10)  # the last debit takes of several lots
    left = {month: parts["available"] for month, parts in sums.expiring.items() if parts["available"]}
    assert left == {f"{to_datetime(NOW + 90 * DAY):%Y-%m}": 25, "never": 9}
