"""What a batch writes of a row that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, event, select

from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import DAY, NOW, begin, configure, enrol, play

if TYPE_CHECKING:
    from typing import Any

MEMBER = 50
PROGRAM = Program.model_validate({"name": "main", "earning": {"rate": "1"}})


def credited(engine: Engine, number: int, days: int) -> tuple[int | None, str]:
    """Credit points that end after so many days; return when the balance is due then, and how its row was overwritten."""
    sent: list[str] = []

    def hear(*told: Any) -> None:
        sent.append(told[2])

    event.listen(engine, "before_cursor_execute", hear)
    ends = NOW + days * DAY
    (outcome,) = play(engine, [begin(MEMBER, number, "credit", 10, complete=True, points_end_at=ends)])
    event.remove(engine, "before_cursor_execute", hear)
    assert outcome.error is None
    with engine.connect() as connection:
        due = connection.execute(select(t.balances.c.next_due_at)).scalar_one()
    return due, " ".join(sql for sql in sent if sql.startswith("INSERT INTO balances") and "DO UPDATE" in sql)


@pytest.mark.parametrize(
    ("days", "due_days", "is_written"), [(30, 30, False), (31, 30, False), (29, 29, True)]
)
def test_when_a_balance_is_due_is_written_where_that_is_news(
    database: Engine, days: int, due_days: int, is_written: bool
) -> None:
    configure(database, PROGRAM)
    play(database, [enrol(MEMBER)])
    assert credited(database, 1000, 30) == (NOW + 30 * DAY, "")
    due, overwritten = credited(database, 1001, days)
    assert due == NOW + due_days * DAY
    assert '"available" = ' in overwritten
    assert ('"next_due_at" = ' in overwritten) is is_written
