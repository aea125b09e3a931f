"""A clock that is set right, or another machine's that is ahead: for no member time goes back."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from adapter import ids
from adapter.clock import CLOCKS_DIFFER_MS
from adapter.engine import batch
from adapter.engine.audit import audit
from adapter.engine.instants import KEPT, Instants
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import DAY, NOW, begin, configure, end, enrol, play, read_numbered, transfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest
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


def test_two_processes_that_decide_in_one_millisecond_stay_in_order(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of the second one count from lower down: what it changes is a millisecond later. Messages are sent by id."""
    configure(database, PROGRAM)
    play(database, [enrol(ADA), begin(ADA, 100, "credit", 50, complete=True)])
    play(database, [begin(ADA, 101, "debit", 20, complete=True)])
    monkeypatch.setattr(batch, "OWN", Instants())
    monkeypatch.setattr(ids, "_count", count(0))
    play(database, [begin(ADA, 102, "debit", 5, complete=True)])
    c = t.messages.c
    told = select(c.sequence, c.created_at).where(c.type == "balance.updated").order_by(c.id)
    with database.connect() as connection:
        in_order = [(sequence, at - NOW) for sequence, at in connection.execute(told)]
    assert in_order == [(1, 0), (2, 0), (3, 1)]


def test_only_so_many_instants_are_remembered() -> None:
    """What is forgotten counts as another process's: it is later for it, which is right in any case."""
    instants = Instants()
    instants.note(1, ["a", "b"])
    assert instants.ours(1, ["a"])
    assert instants.ours(1, [])
    assert not instants.ours(1, ["a", "c"])
    assert not instants.ours(2, ["a"])
    for at in range(2, KEPT + 2):
        instants.note(at, ["a"])
    assert (instants.ours(1, ["a"]), instants.ours(2, ["a"])) == (False, True)
