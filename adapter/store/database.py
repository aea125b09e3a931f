"""Connections and units of work, on SQLite and on PostgreSQL.

A unit of work is one transaction of the database. On SQLite it begins as a writer (`BEGIN IMMEDIATE`), so that it
never finds out half-way that another writer came first; on PostgreSQL rows are locked by `FOR UPDATE` in the order of
their keys. Locks, serialization failures and lost connections are retried by tenacity for a few seconds; what still
fails then is `DatabaseUnavailable`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import tenacity
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
)
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, InterfaceError, OperationalError

from adapter.errors import DatabaseUnavailable
from adapter.store.address import address_of, ask_first_where_it_was, patience_with, shown

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    import psycopg


Result = TypeVar("Result")

BUSY_TIMEOUT_S = 5
RETRY_FOR_S = 4.0


def open_database(url: str, *, pool_size: int = 8, by_keys: bool = False) -> Engine:
    """Return an engine for a `sqlite:///…` or `postgresql://…` URL, tuned for durable commits.

    With `by_keys`, PostgreSQL never reads a table as a whole where an index leads to the rows: a service asks for few rows
    of tables that grow, and what was planned while they were small is kept. Raises `ConfigurationError` where it is
    no such URL.
    """
    address = address_of(url)
    if address.get_backend_name() == "sqlite":
        return _open_sqlite(address)
    import_module(
        "adapter.store.arrays"
    )  # a connection knows the kinds of arrays there are when it is opened
    engine = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_use_lifo=True,  # what was used last: its server process has most at hand
        connect_args=patience_with(address),
    )
    ask_first_where_it_was(engine)
    if by_keys:
        event.listen(engine, "connect", _go_along_indexes)
    return engine


def _go_along_indexes(connection: psycopg.Connection, _record: object) -> None:
    connection.execute("SET enable_seqscan = off")
    # A plan that has to read a table after all seems so dear by that, that it would be compiled: 5 ms for one row.
    connection.execute("SET jit = off")
    connection.commit()


def _open_sqlite(url: URL) -> Engine:
    path = url.database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        connect_args={
            "timeout": BUSY_TIMEOUT_S,
            "check_same_thread": False,
            # some 300 are said, as lists of 1, 2, 4, … keys each: preparing one costs ten times as much as saying it
            "cached_statements": 512,
        },
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we begin ourselves: the driver would begin as a reader
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-8192",
            "temp_store=MEMORY",
            "wal_autocheckpoint=4000",  # 16 MB: a quarter of the checkpoints, each of which waits for the disk
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("writer", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


@contextmanager
def unit_of_work(engine: Engine) -> Iterator[Connection]:
    """Open one write transaction; commit at the end, roll back on any error.

    A server that takes no writes any more is a standby now, and so is what all connections to it lead to: they are
    thrown away, and the next ones find the primary.
    """
    try:
        with engine.connect().execution_options(writer=True) as connection, connection.begin():
            yield connection
    except DBAPIError as error:
        if _state(error) == READ_ONLY:
            engine.dispose()
        raise


@contextmanager
def answering(engine: Engine) -> Iterator[Engine]:
    """Turn a database that does not answer into `DatabaseUnavailable`, with what it said and what to look at."""
    try:
        yield engine
    except DBAPIError as error:
        if not is_transient(error):
            raise
        first = str(error.orig).strip().splitlines()[0]
        raise DatabaseUnavailable(
            f"the database {shown(engine.url)} does not answer: {first}; is it running?"
        ) from error


READ_ONLY = "25006"
"""PostgreSQL's word for a standby, or for a server that was made read-only: another one will be the primary soon."""


def is_transient(error: BaseException) -> bool:
    """Return whether trying the same unit of work again may succeed."""
    if isinstance(error, IntegrityError):
        return False
    if isinstance(error, (OperationalError, InterfaceError)):
        return True  # locked, full, gone, deadlock detected
    if type(error) is DatabaseError:
        return True  # of no finer kind: the file is damaged, and its operator puts another one there
    state = _state(error)
    return state is not None and (state[:2] in ("08", "40", "53", "55", "57", "58") or state == READ_ONLY)


def _state(error: BaseException) -> str | None:
    """Return PostgreSQL's code of what went wrong."""
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None


def in_unit_of_work(
    engine: Engine,
    work: Callable[[Connection], Result],
    *,
    for_s: float = RETRY_FOR_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Run `work` in one unit of work, again on locks and serialization failures.

    Raises `DatabaseUnavailable` when it still fails after `for_s` seconds.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient),
        wait=tenacity.wait_random_exponential(multiplier=0.01, max=0.5),
        stop=tenacity.stop_after_delay(for_s),
        reraise=True,
        sleep=sleep,
    )

    def once() -> Result:
        with unit_of_work(engine) as connection:
            return work(connection)

    try:
        return retrying(once)
    except DBAPIError as error:
        if is_transient(error):
            raise DatabaseUnavailable(f"the database does not answer: {error.orig}") from error
        raise
