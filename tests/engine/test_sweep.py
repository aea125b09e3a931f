"""The sweep finds whom time has caught up with, and sends them through the door."""

from __future__ import annotations

import sqlite3
import threading
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import event, select
from structlog.testing import capture_logs

from adapter.engine import sweep
from adapter.engine.audit import audit
from adapter.engine.batch import Batcher
from adapter.engine.door import Door
from adapter.errors import Unavailable
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import in_unit_of_work
from tests.shop import DAY, NOW, configure, line, placed, play, recorded, refunded, shipped

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sqlalchemy import Engine

    from adapter.commands import Command
    from adapter.outcome import Outcome

HELD = Program.model_validate(
    {"name": "main", "earning": {"rate": "1", "hold_days": 2}, "expiry": {"months": 1}}
)


def fill(engine: Engine, members: int) -> None:
    configure(engine, HELD)
    commands = [
        recorded(placed(f"{number}", customer=f"{number}"), shipped(f"{number}", at=NOW))
        for number in range(members)
    ]
    play(engine, commands, sizes=[50])


def available(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(
            connection.execute(select(t.balances.c.available).order_by(t.balances.c.member)).scalars()
        )


def test_everyone_who_is_due_is_swept_once(database: Engine) -> None:
    """Seven members in batches of three: all posted; a second sweep has nothing to do; then all expire."""
    fill(database, 7)
    for now, done, points in ((NOW + 2 * DAY, 7, 89), (NOW + 2 * DAY, 0, 89), (NOW + 60 * DAY, 7, 0)):
        with Door(database, partial(int, now)) as door:
            assert sweep.sweep(database, door.offer, now, batch=3) == done
        assert available(database) == [points] * 7
    assert audit(database) == []


def test_the_loop_outlives_what_goes_wrong(sqlite_database: Engine) -> None:
    """Unavailable, then broken, then well: the loop goes on, and stops when it is told to."""
    fill(sqlite_database, 1)
    stop, seen = threading.Event(), []
    with Door(sqlite_database, lambda: NOW + 2 * DAY) as door:

        def offer(command: Command) -> Future[Outcome]:
            seen.append(command)
            if len(seen) == 1:
                raise Unavailable
            if len(seen) == 2:
                raise RuntimeError("broken")
            stop.set()
            return door.offer(command)

        sweep.run(sqlite_database, offer, lambda: NOW + 2 * DAY, stop, interval_s=0.001, batch=10)
    assert len(seen) == 3
    assert available(sqlite_database) == [89]


def test_a_database_that_is_away_is_waited_for(sqlite_database: Engine) -> None:
    """Its reads fail otherwise than a door does; neither is worth a traceback."""
    fill(sqlite_database, 1)
    stop, asked = threading.Event(), []

    def away(*_: object) -> None:
        asked.append(1)
        stop.set()
        raise sqlite3.OperationalError("disk I/O error")

    event.listen(sqlite_database, "do_execute", away)
    with Door(sqlite_database, lambda: NOW) as door, capture_logs() as logs:
        sweep.run(sqlite_database, door.offer, lambda: NOW, stop, interval_s=0.001, batch=10)
    assert asked
    assert [(one["log_level"], one["event"]) for one in logs] == [("warning", "the sweep waits")]


def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(database: Engine) -> None:
    """One webhook or two hundred, of members and orders old and new: not one statement more."""
    configure(database, HELD)
    play(
        database,
        [recorded(placed(f"{number}", customer=f"{number % 5}")) for number in range(20)],
        sizes=[20],
    )
    batcher, counts = Batcher(lambda: NOW), []
    in_unit_of_work(database, lambda connection: batcher(connection, []))  # reads what is configured, once
    statements: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for start, size in ((0, 2), (100, 200)):
        commands = [
            recorded(one)
            for number in range(start, start + size // 2)
            for one in (
                placed(f"new{number}", line(amount="5.00"), customer=f"fresh{number}"),
                refunded(f"{number % 20}", f"r{number}", "1.00"),
            )
        ]
        statements.clear()
        outcomes = in_unit_of_work(database, partial(batcher, commands=commands))
        assert {outcome.state for outcome in outcomes} == {"applied"}
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert counts[0] < 30
