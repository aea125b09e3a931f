"""Committers of one door: who decides when, and what may overlap. Events, not time, say what happened before what."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import Connection, Engine, event, func, select

from adapter.commands import Elapse, EndTransaction, Once
from adapter.engine import turns
from adapter.engine.audit import audit
from adapter.engine.door import Door, DoorSettings
from adapter.engine.turns import Turn, Turns, names_of
from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import NOW, configure, placed, recorded, shipped

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN = Program.model_validate({"name": "main", "earning": {"rate": "1"}})
LONG_S = 60


def begun(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_who_passes_on_commits_while_the_next_one_decides() -> None:
    shared = Turns()
    first, second = Turn(shared), Turn(shared)
    first.decide([recorded(placed("1", customer="1"))])
    decided = threading.Event()

    def other() -> None:
        second.decide([recorded(placed("2", customer="2"))])
        decided.set()

    begun(other)
    assert not decided.is_set()
    assert shared.deciding.locked()
    first.pass_on()
    assert decided.wait(LONG_S)
    first.end()
    second.end()
    assert not shared.deciding.locked()


@pytest.mark.parametrize("order", ["1", "2"])
def test_what_speaks_of_the_same_waits_for_the_commit(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """An order that is being committed, and one more of a customer of whom one is being committed."""
    monkeypatch.setattr(turns, "PATIENCE_S", LONG_S)
    shared = Turns()
    first, second = Turn(shared), Turn(shared)
    first.decide([recorded(placed("1", customer="1"))])
    first.pass_on()
    happened: list[str] = []

    def other() -> None:
        second.decide([recorded(shipped(order) if order == "1" else placed(order, customer="1"))])
        happened.append("decided")
        second.end()

    thread = begun(other)
    happened.append("committed")
    first.end()
    thread.join(LONG_S)
    assert happened == ["committed", "decided"]


def test_nobody_is_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting is for speed alone: the database would keep them apart."""
    monkeypatch.setattr(turns, "PATIENCE_S", 0.01)
    shared = Turns()
    first, second = Turn(shared), Turn(shared)
    first.decide([recorded(placed("1"))])
    first.pass_on()
    second.decide([recorded(shipped("1"))])
    second.end()
    first.end()


def test_a_batch_that_is_decided_again_takes_its_turn_again() -> None:
    shared = Turns()
    first, second = Turn(shared), Turn(shared)
    commands = [recorded(placed("1"))]
    first.decide(commands)
    first.pass_on()
    second.take()
    again = begun(lambda: first.decide(commands))
    second.decide(commands)  # what failed is not being committed any more: nobody waits for it
    second.end()
    again.join(LONG_S)
    assert not again.is_alive()
    first.end()


def test_what_commands_speak_of() -> None:
    once = Once(key=b"key", request=b"request", ends_at=NOW)
    ended = EndTransaction(
        env=1, received_at=NOW, once=once, transaction=5, member=7, definition=1, state="completed"
    )
    assert names_of([ended]) == {(1, 7), b"key"}
    assert names_of([Elapse(env=1, member=8, definition=1)]) == {(1, 8)}
    order = recorded(placed("1", customer="9"))
    assert names_of([order]) >= {order.key, (1, "1"), (1, "9")}
    fact = recorded(shipped("1"))
    assert names_of([fact]) == {fact.key, (1, "1")}


def test_while_one_batch_commits_another_one_is_decided(postgres_database: Engine) -> None:
    """The first commit waits until a second unit of work has sent all it has."""
    configure(postgres_database, MAIN)
    commits = count(1)
    sent = threading.Event()

    def hold_the_first(_connection: Connection) -> None:
        if next(commits) == 1:
            assert sent.wait(LONG_S)
        else:
            sent.set()

    event.listen(postgres_database, "commit", hold_the_first)
    settings = DoorSettings(batch_max=1, answer_timeout_s=2 * LONG_S)
    with Door(postgres_database, lambda: NOW, settings) as door:
        offered = [door.offer(recorded(placed(f"{number}", customer=f"{number}"))) for number in range(2)]
        assert {future.result(2 * LONG_S).state for future in offered} == {"applied"}


def test_repeats_that_overlap_are_one_event_each(database: Engine) -> None:
    """Every webhook four times, from many threads, of few customers: as if each had come once."""
    configure(database, MAIN)
    events = [
        recorded(happened)
        for number in range(60)
        for happened in (placed(f"{number}", customer=f"{number % 7}"), shipped(f"{number}"))
    ]
    settings = DoorSettings(batch_max=5, answer_timeout_s=LONG_S)
    with Door(database, lambda: NOW, settings) as door, ThreadPoolExecutor(16) as pool:
        repeats = [msgspec.structs.replace(command) for command in events for _ in range(4)]
        outcomes = list(pool.map(door.submit, repeats))
    assert sum(not outcome.duplicate for outcome in outcomes) == len(events)
    with database.connect() as connection:
        stored = connection.execute(select(func.count()).select_from(t.events)).scalar_one()
        points = connection.execute(select(func.sum(t.balances.c.available))).scalar_one()
    assert (stored, points) == (len(events), 60 * 89)
    assert audit(database) == []
