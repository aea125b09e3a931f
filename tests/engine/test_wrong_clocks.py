"""A clock that is set right, or another machine's that is ahead: for no member time goes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from adapter.clock import CLOCKS_DIFFER_MS
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import DAY, NOW, begin, configure, end, enrol, play, read_numbered, transfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from adapter.commands import Command

PROGRAM = Program.model_validate({"name": "main", "earning": {"rate": "1"}, "expiry": {"months": 12}})
ADA, BEA = 5, 6
STORY: tuple[Command, ...] = (
    enrol(ADA),
    enrol(BEA),
    begin(ADA, 100, "credit", 50, complete=True),
    begin(ADA, 101, "debit", 20),
    transfer(102, ADA, BEA, 30),
    end(ADA, 101, "completed"),
    begin(BEA, 104, "debit", 30, complete=True),
)
"""Each of these takes the one before it."""


def lived(engine: Engine, ahead_ms: int) -> None:
    """Live through the story with a clock that is further behind at each step, having been so far ahead."""
    for number, command in enumerate(STORY):
        play(engine, [command], now=NOW + ahead_ms - number * ahead_ms // len(STORY))


def of(engine: Engine, query: Any) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(query).scalars().all()


def test_what_comes_after_a_change_is_later_than_it(database: Engine) -> None:
    configure(database, PROGRAM)
    lived(database, CLOCKS_DIFFER_MS)
    posted = of(database, select(t.events.c.posted_at).order_by(t.events.c.id))
    assert len(posted) == len(STORY)
    for member in (ADA, BEA):
        c = t.messages.c
        told = select(c.sequence).where(c.member == member, c.type == "balance.updated").order_by(c.id)
        assert list(of(database, told)) == list(range(1, len(of(database, told)) + 1))
        at = of(
            database,
            select(t.transfers.c.posted_at)
            .where(t.transfers.c.member == member)
            .order_by(t.transfers.c.sequence, t.transfers.c.n),
        )
        assert list(at) == sorted(at)
    assert rebuild(database, read_numbered) == []
    assert audit(database) == []


def test_messages_are_due_by_the_clock_all_the_same(database: Engine) -> None:
    configure(database, PROGRAM)
    lived(database, CLOCKS_DIFFER_MS)
    due = of(database, select(t.deliveries.c.next_attempt_at))
    posted = of(database, select(t.events.c.posted_at))
    assert min(due) <= NOW + CLOCKS_DIFFER_MS // len(STORY) + 1
    assert max(due) == NOW + CLOCKS_DIFFER_MS < max(posted)


def test_a_clock_that_was_wrong_by_more_is_not_followed(database: Engine) -> None:
    """Else all members whom a batch takes together would live in that future, and their points end there."""
    configure(database, PROGRAM)
    play(database, [enrol(ADA)], now=NOW + DAY)
    play(database, [begin(ADA, 100, "credit", 50, complete=True)], now=NOW)
    assert of(database, select(t.transfers.c.posted_at)) == [NOW]


def test_a_neighbour_whose_clock_was_wrong_takes_nobody_back(database: Engine) -> None:
    configure(database, PROGRAM)
    play(database, [enrol(ADA)], now=NOW + DAY)
    play(database, [enrol(BEA), begin(BEA, 100, "credit", 50, complete=True)], now=NOW + 60_000)
    together = [begin(ADA, 101, "credit", 50, complete=True), begin(BEA, 102, "debit", 20, complete=True)]
    play(database, together, now=NOW, sizes=[2])
    c = t.transfers.c
    posted = of(database, select(c.posted_at).where(c.member == BEA).order_by(c.sequence))
    assert list(posted) == [NOW + 60_000, NOW + 60_001]
    told = select(t.messages.c.sequence).where(t.messages.c.member == BEA, t.messages.c.sequence.is_not(None))
    assert list(of(database, told.order_by(t.messages.c.id))) == [1, 2]
