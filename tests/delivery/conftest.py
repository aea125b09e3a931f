"""Fixtures of delivery's tests: a world to deliver in, and receivers to deliver to."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from tests.delivery.world import Receiver, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine


def _world(engine: Engine) -> Iterator[World]:
    made = World(engine)
    made.environment(1, "test")
    yield made
    for dispatcher in made.dispatchers:
        dispatcher.drain()


@pytest.fixture
def world(database: Engine) -> Iterator[World]:
    """A test environment, once on each database."""
    yield from _world(database)


@pytest.fixture
def small_world(sqlite_database: Engine) -> Iterator[World]:
    """A test environment on SQLite, for what does not depend on the database."""
    yield from _world(sqlite_database)


@pytest.fixture
def receivers() -> Iterator[Callable[[], Receiver]]:
    """Start a receiver, as often as it is called."""
    started: list[tuple[Receiver, threading.Thread]] = []

    def start() -> Receiver:
        receiver = Receiver()
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        started.append((receiver, thread))
        return receiver

    yield start
    for receiver, thread in started:
        receiver.shutdown()
        thread.join()
        for connection in receiver.connections:
            with contextlib.suppress(OSError):
                connection.close()
        receiver.server_close()


@pytest.fixture
def receiver(receivers: Callable[[], Receiver]) -> Receiver:
    """One subscriber."""
    return receivers()
