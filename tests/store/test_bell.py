"""The bell between machines: what is committed on one is heard on another, also after the database was away."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from adapter.store.bell import CHANNEL, Bell, listen
from adapter.store.database import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.clusters import Cluster


@contextmanager
def hearing(engine: Engine) -> Iterator[threading.Semaphore]:
    """Listen on a thread; what is yielded counts how often it was heard."""
    heard, stop = threading.Semaphore(0), threading.Event()
    thread = threading.Thread(target=listen, args=(engine, heard.release, stop))
    thread.start()
    try:
        yield heard
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def test_a_ring_is_heard_by_everybody_who_listens(postgres_database: Engine) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(hearing(postgres_database)) for _ in range(2))
        bell = stack.enter_context(Bell(postgres_database))
        for _ in range(3):
            for one in (first, second):
                assert one.acquire(timeout=60)  # that the line was made, and then each ring
            assert not first.acquire(blocking=False)
            bell.ring()
        assert first.acquire(timeout=60)


def test_lines_that_break_are_made_again(postgres_database: Engine) -> None:
    with hearing(postgres_database) as heard, Bell(postgres_database) as bell:
        assert heard.acquire(timeout=60)
        bell.ring()
        assert heard.acquire(timeout=60)
        with postgres_database.connect() as connection:
            query = text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query LIKE :said AND datname = current_database()"
            )
            assert connection.execute(query, {"said": f"%{CHANNEL}"}).scalars().all() == [True, True]
        assert heard.acquire(timeout=60), "nobody looked when the line was made again"
        bell.ring()
        assert heard.acquire(timeout=60)


def test_the_bell_is_heard_on_the_new_primary(servers: Cluster) -> None:
    servers.create("loyalty")
    engine = open_database(servers.url("loyalty"))
    with hearing(engine) as heard, Bell(engine) as bell:
        assert heard.acquire(timeout=60)
        bell.ring()
        assert heard.acquire(timeout=60)
        servers.fail_over("kill")
        assert heard.acquire(timeout=60)
        while heard.acquire(blocking=False):
            """What was heard until now does not count."""
        bell.ring()
        assert heard.acquire(timeout=60)
    engine.dispose()


@pytest.mark.parametrize("rings", [0, 3])
def test_sqlite_has_no_bell(sqlite_database: Engine, rings: int) -> None:
    with hearing(sqlite_database) as heard, Bell(sqlite_database) as bell:
        for _ in range(rings):
            bell.ring()
    assert not heard.acquire(blocking=False)
