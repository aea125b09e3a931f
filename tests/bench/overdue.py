"""How soon the first of a million due deliveries is sent once `work` starts, beside the start with a single one.

They are of a thousand messages for each of a thousand endpoints, made by set-based SQL. On PostgreSQL it is measured before
the server has statistics of the tables, and after.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from adapter.clock import now
from adapter.ids import first_id
from adapter.store import tables as t
from adapter.store.configuration import raise_version
from adapter.store.database import open_database, unit_of_work
from tests.bench.filling import numbers
from tests.bench.sending import BODY, receive
from tests.bench.service import fresh
from tests.delivery.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from sqlalchemy import Engine

ENDPOINTS, MESSAGES = 1_000, 1_000
PATIENCE_S = 120
"""How long the first one may take before nothing is measured any more."""


def show(console: Console, name: str, url: str) -> None:
    """Print the seconds from the start of the process to the first request that came."""
    fresh(url)
    engine = open_database(url)
    with _receiver() as (address, heard):
        world = _one_due(engine, address)
        alone_s = _started(url, heard)
        _fill(world, address)
        states = ["without statistics ", "with statistics "] if engine.dialect.name == "postgresql" else [""]
        for state in states:
            if state == "with statistics ":
                _analyze(engine)
            took_s = _started(url, heard)
            console.print(
                f"{name}: {ENDPOINTS * MESSAGES} due: the first one sent after [bold]{took_s:.1f}[/] s {state}"
                f"(with a single one due: {alone_s:.1f} s)"
            )
    engine.dispose()


def _one_due(engine: Engine, address: str) -> World:
    world = World(engine, now=now())
    world.environment(1, "test")
    world.endpoint(f"{address}/0", timeout=15)
    world.message()
    return world


def _fill(world: World, address: str) -> None:
    engine, first = world.engine, world.deliveries()[0].endpoint
    row = dict(world.endpoint_row(first)._mapping)
    postgres = engine.dialect.name == "postgresql"
    at = world.now
    id_ = first_id(at) + 10_000_000
    body = f"'\\x{BODY.hex()}'::bytea" if postgres else f"x'{BODY.hex()}'"
    endpoint = f"CASE WHEN i % {ENDPOINTS} = 0 THEN {first} ELSE {id_} + i % {ENDPOINTS} END"
    with unit_of_work(engine) as connection:
        for number in range(1, ENDPOINTS):
            connection.execute(
                t.endpoints.insert().values(**row | {"id": id_ + number, "url": f"{address}/{number}"})
            )
        raise_version(connection)
    with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
        if postgres:  # nobody looks at the tables before the first measurement
            for table in ("messages", "deliveries"):
                cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        cursor.execute(
            "INSERT INTO messages (env, id, type, created_at, body, format)"
            f" SELECT 1, {id_} + i, 'balance.updated', {at}, {body}, 'native' FROM {numbers(MESSAGES, postgres)} AS s"
        )
        cursor.execute(
            "INSERT INTO deliveries (env, id, endpoint, message, state, attempts, step, next_attempt_at, fence,"
            f" created_at, updated_at) SELECT 1, {id_} + i, {endpoint}, {id_} + i / {ENDPOINTS}, 'due', 0, 0, {at}, 0,"
            f" {at}, {at} FROM {numbers(ENDPOINTS * MESSAGES, postgres)} AS s"
        )
        raw.commit()
        if not postgres:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _analyze(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")


@contextmanager
def _receiver() -> Iterator[tuple[str, multiprocessing.synchronize.Event]]:
    """Run a receiver that says when it is asked; yield its URL, and what it sets at each request."""
    mine, theirs = multiprocessing.Pipe()
    heard = multiprocessing.Event()
    process = multiprocessing.Process(target=receive, args=(theirs, heard.set), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{mine.recv()}/hook", heard
    finally:
        process.terminate()
        process.join()


def _started(url: str, heard: multiprocessing.synchronize.Event) -> float:
    """Start `work`, and return how long it took until the receiver was asked."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "LOYALTY_DATABASE_URL": url,
            "LOYALTY_DATA_DIR": folder,
            "LOYALTY_LOG__LEVEL": "error",
        }
        command = [sys.executable, "-m", "adapter.cli", "work"]
        heard.clear()
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            if not heard.wait(PATIENCE_S):
                raise RuntimeError(f"nothing was sent within {PATIENCE_S} s")
            return time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
