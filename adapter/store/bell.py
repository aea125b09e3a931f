"""A bell between machines: a door rings when it has committed, and who sends or publishes hears it, and need not look.

PostgreSQL carries it, as NOTIFY and LISTEN. It is rung after the commit and beside it: a NOTIFY within would have the
commits of all doors wait for one another. What nobody heard is found all the same, by whoever looks next; so a ring may
be lost with its machine, and through a pooler that shares connections between transactions nothing is heard at all. On
SQLite everybody just looks.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import structlog
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

log = structlog.get_logger()

CHANNEL = "loyalty_committed"
AT_MOST_EVERY_S = 0.02
"""Rings that come sooner after one another are one: a busy dispatcher looks no more often by itself."""
STOP_WITHIN_S = 0.5
AGAIN_AFTER_S = 0.5
"""How soon a line that broke is made again; until then everybody looks, as on SQLite."""


class Bell:
    """Rings for the doors of this process, on a thread and a connection of its own: no door waits for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rung = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def __enter__(self) -> Self:
        if self._engine.dialect.name == "postgresql":
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._closed.set()
        self._rung.set()
        if self._thread.ident is not None:
            self._thread.join()

    def ring(self) -> None:
        """Say that something was committed. Waits for nothing, and never fails."""
        self._rung.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with _line(self._engine) as line:
                    line.execute("SET synchronous_commit = off")  # a ring has nothing to keep
                    self._ring_on(line)
            except _broken(self._engine) as error:
                log.debug("the bell does not ring", why=str(error))
                self._rung.set()  # for what could not be told
                self._closed.wait(AGAIN_AFTER_S)

    def _ring_on(self, line: Any) -> None:
        while True:
            self._rung.wait()
            if self._closed.is_set():
                return
            self._rung.clear()
            line.execute(f"NOTIFY {CHANNEL}")
            self._closed.wait(AT_MOST_EVERY_S)


def listen(engine: Engine, heard: Callable[[], None], stop: threading.Event) -> None:
    """Call `heard` whenever a bell rings, until told to stop; and each time a line was made, for what was missed before."""
    if engine.dialect.name != "postgresql":
        return
    while not stop.is_set():
        try:
            with _line(engine) as line:
                line.execute(f"LISTEN {CHANNEL}")
                heard()
                while not stop.is_set():
                    for _ in line.notifies(timeout=STOP_WITHIN_S, stop_after=1):
                        heard()
        except _broken(engine) as error:
            log.debug("the bell cannot be heard", why=str(error))
            stop.wait(AGAIN_AFTER_S)


@contextmanager
def _line(engine: Engine) -> Iterator[Any]:
    """Open a connection of the driver's that is nobody else's and commits each statement by itself."""
    with engine.connect() as connection:
        line: Any = connection.connection.driver_connection
        connection.detach()  # it is closed at the end, and takes nobody's place in the pool
        line.autocommit = True
        try:
            yield line
        except _broken(engine):
            connection.invalidate()  # nothing is said on it any more, not even that it ends
            raise


def _broken(engine: Engine) -> tuple[type[Exception], ...]:
    driver: Any = engine.dialect.loaded_dbapi
    return DBAPIError, driver.Error
