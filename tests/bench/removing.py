"""How long a commit of the door takes beside retention, over the same commit alone.

Messages that every endpoint took are removed by a process of its own, as in the product; meanwhile one order after another
is booked, each in a commit of its own. The same orders are booked before, with nobody beside them.
"""

from __future__ import annotations

import multiprocessing
import time
from functools import partial
from typing import TYPE_CHECKING

from adapter.clock import now
from adapter.engine.batch import Batcher
from adapter.engine.retention import prune
from adapter.ids import new_id
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.bulk import bulk_insert
from adapter.store.database import in_unit_of_work, open_database, unit_of_work
from adapter.store.retention import DAY_MS, RetentionSettings
from tests.bench.service import fresh
from tests.shop import configure, placed, recorded

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Pipe

    from rich.console import Console
    from sqlalchemy import Engine

ORDERS = 1000
WARMED = 20  # batches that are removed before the orders come: how long one takes alone
MESSAGES = 40_000
BODY = b'{"type": "balance.updated", "data": "' + b"x" * 700 + b'"}'
PROGRAM = Program.model_validate({"name": "main", "earning": {"rate": "1"}})


def show(console: Console, name: str, url: str, *, settings: RetentionSettings | None = None) -> None:
    """Print the commits alone and beside retention, and what that removed meanwhile."""
    fresh(url)
    engine = open_database(url)
    configure(engine, PROGRAM)
    _fill(engine)
    alone = _book(engine, 0)
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_remove, args=(url, settings or RetentionSettings(), theirs))
    process.start()
    batches = mine.recv()
    beside = _book(engine, ORDERS)
    mine.send("stop")
    removed = mine.recv()
    process.join()
    engine.dispose()
    console.print(
        f"{name}: a commit alone {_told(alone)}; beside retention {_told(beside)}; its batches {_told(batches)} alone, "
        f"{removed} rows removed meanwhile; p99 beside / alone [bold]{_at(beside, 0.99) / _at(alone, 0.99):.1f}[/]",
    )


def _told(took: list[float]) -> str:
    return f"p50 {_at(took, 0.5):.1f}, p99 {_at(took, 0.99):.1f}, most {max(took):.1f} ms"


def _fill(engine: Engine) -> None:
    """Store messages of long ago, each taken by one endpoint at the first attempt."""
    at = now() - 40 * DAY_MS
    ids = [(new_id(at), new_id(at)) for _ in range(MESSAGES)]
    messages = [(1, one, "balance.updated", at, BODY) for one, _ in ids]
    deliveries = [(1, two, 1, one, "delivered", 1, 0, at, 0, at, at) for one, two in ids]
    attempts = [(1, two, 1, at, 20, 200) for _, two in ids]
    delivery = (
        "env", "id", "endpoint", "message", "state", "attempts", "step", "next_attempt_at", "fence", "created_at",
        "updated_at",
    )  # fmt: skip
    with unit_of_work(engine) as connection:
        bulk_insert(connection, t.messages, messages, ("env", "id", "type", "created_at", "body"))
        bulk_insert(connection, t.deliveries, deliveries, delivery)
        attempt = ("env", "delivery", "number", "started_at", "duration_ms", "status")
        bulk_insert(connection, t.attempts, attempts, attempt)
        connection.exec_driver_sql("ANALYZE")  # a table that has grown for a month has been looked at


def _book(engine: Engine, first: int) -> list[float]:
    """Book orders, each in a commit of its own; return how many milliseconds each took."""
    batcher, took = Batcher(now), []
    for number in range(first, first + ORDERS):
        order = recorded(placed(f"{number}", customer=f"{number % 100}"))
        began = time.perf_counter()
        in_unit_of_work(engine, partial(batcher, commands=[order]))
        took.append((time.perf_counter() - began) * 1000)
    return took


def _remove(url: str, settings: RetentionSettings, pipe: Pipe) -> None:
    """Remove until told to stop: first say how long batches take with nobody beside, then how many rows it was."""
    engine = open_database(url)
    began, batches = time.perf_counter(), list[float]()

    def pause(seconds: float) -> bool:
        nonlocal began
        batches.append((time.perf_counter() - began) * 1000)
        if len(batches) == WARMED:
            pipe.send(batches)
        stop = pipe.poll(seconds)
        began = time.perf_counter()
        return stop

    removed = prune(engine, settings, now(), pause=pause)
    pipe.send(removed.total() - WARMED * settings.batch)
    engine.dispose()


def _at(took: list[float], share: float) -> float:
    return sorted(took)[int(share * len(took))]
