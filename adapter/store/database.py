"""Connections, units of work, and the few statements in which SQLite and PostgreSQL differ.

A unit of work is one transaction of the database. On SQLite it begins as a writer (`BEGIN IMMEDIATE`), so that it
never finds out half-way that another writer came first; on PostgreSQL rows are locked by `FOR UPDATE` in the order of
their keys. Locks, serialization failures and lost connections are retried by tenacity for a few seconds; what still
fails then is `DatabaseUnavailable`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from hashlib import blake2b
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import tenacity
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, InterfaceError, OperationalError

from adapter.errors import DatabaseUnavailable

if TYPE_CHECKING:
    import sqlite3

    from adapter.store.arrays import Packed

Result = TypeVar("Result")

BUSY_TIMEOUT_S = 5
RETRY_FOR_S = 4.0
_NETWORK: dict[str, int] = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
"""A server that vanished without a word is given up after seconds; the system's own patience is a quarter of an hour."""
Row = Mapping[str, Any] | tuple[Any, ...]


def open_database(url: str, *, pool_size: int = 8) -> Engine:
    """Return an engine for a `sqlite:///…` or `postgresql://…` URL, tuned for durable commits."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(url)
    import_module(
        "adapter.store.arrays"
    )  # a connection knows the kinds of arrays there are when it is opened
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    network = {name: limit for name, limit in _NETWORK.items() if name not in parsed.query}
    return create_engine(
        parsed, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, connect_args=network
    )


def _open_sqlite(url: str) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False})

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
    """Open one write transaction; commit at the end, roll back on any error."""
    with engine.connect().execution_options(writer=True) as connection, connection.begin():
        yield connection


@contextmanager
def answering(engine: Engine) -> Iterator[Engine]:
    """Turn a database that does not answer into `DatabaseUnavailable`, with what it said and what to look at."""
    try:
        yield engine
    except DBAPIError as error:
        if not is_transient(error):
            raise
        first = str(error.orig).strip().splitlines()[0]
        url = engine.url.render_as_string()
        raise DatabaseUnavailable(f"the database {url} does not answer: {first}; is it running?") from error


KEYS_ROUNDED_MAX = 512
"""Up to here the keys of a SELECT are filled up to a power of two; SQLite takes 32,766 values in all."""

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
    state = getattr(getattr(error, "orig", None), "sqlstate", None) if isinstance(error, DBAPIError) else None
    return state is not None and (state[:2] in ("08", "40", "53", "55", "57", "58") or state == READ_ONLY)


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


def select_by_keys(
    connection: Connection,
    table: Table,
    key_columns: Sequence[str],
    keys: Iterable[tuple[Any, ...]],
    *,
    columns: Sequence[str] = (),
    where: str = "",
    lock: bool = False,
) -> list[Any]:
    """Return the rows of `table` whose `key_columns` equal one of `keys`, in one statement.

    `where` is a further condition of ours on the table `t`; what it asks for each key it says by `k`. With `lock`,
    PostgreSQL locks the rows in the order of their keys, so that two units of work never wait for each other; SQLite's
    writer holds the whole database already.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return []
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        wanted += [(None,) * len(key_columns)] * (_few(len(wanted)) - len(wanted))
    listed, values = listed_keys(connection, table, key_columns, wanted)
    names = ", ".join(f"t.{_q(name)}" for name in columns or [column.name for column in table.columns])
    match = " AND ".join(f"t.{_q(name)} = k.{_q(name)}" for name in key_columns)
    tail = f" AND {where}" if where else ""
    if lock and not sqlite:
        tail += f" ORDER BY {', '.join(f't.{_q(name)}' for name in key_columns)} FOR UPDATE OF t"
    # CROSS JOIN: SQLite then goes from the keys to the index, whatever its statistics say
    statement = f"SELECT {names} FROM {listed} CROSS JOIN {table.name} t WHERE {match}{tail}"  # noqa: S608 - names of ours
    return list(connection.exec_driver_sql(statement, values).all())


def _few(length: int) -> int:
    """Return how many keys to ask SQLite for: a power of two, filled up with nulls, which no row equals.

    So there are few statements, and it has them prepared: one of 64 keys takes longer to prepare than to execute.
    """
    return 1 << (length - 1).bit_length() if length <= KEYS_ROUNDED_MAX else length


def listed_keys(
    connection: Connection, table: Table, key_columns: Sequence[str], keys: Iterable[tuple[Any, ...]]
) -> tuple[str, tuple[Any, ...]]:
    """Return what stands in a FROM for keys of a table, named `k`, and the statement's values."""
    make = _sqlite_keys if connection.dialect.name == "sqlite" else _postgres_keys
    return make(table, tuple(key_columns), list(keys))


def _sqlite_keys(
    _table: Table,
    columns: tuple[str, ...],
    keys: list[tuple[Any, ...]],
) -> tuple[str, tuple[Any, ...]]:
    return _sqlite_list(columns, len(keys)), tuple(chain.from_iterable(keys))


@lru_cache(maxsize=256)
def _sqlite_list(columns: tuple[str, ...], length: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    names = ", ".join(f"column{number} AS {_q(name)}" for number, name in enumerate(columns, 1))
    return f"(SELECT {names} FROM (VALUES {', '.join([row] * length)})) k"  # noqa: S608 - names of ours


def _postgres_keys(
    table: Table,
    columns: tuple[str, ...],
    keys: list[tuple[Any, ...]],
) -> tuple[str, tuple[Any, ...]]:
    names = ", ".join(map(_q, columns))
    listed = f"unnest({_arrays(table, columns)}) AS k({names})"
    return listed, _packed(table, columns, zip(*keys, strict=True))


def rows_as(connection: Connection, alias: str, columns: Sequence[str], parameter: str = "rows") -> str:
    """Return what stands in a FROM for rows of whole numbers, given to `:rows` as JSON: a list of objects.

    So one statement, always with the same text, takes any number of rows on both databases.
    """
    if connection.dialect.name == "sqlite":
        taken = ", ".join(f"json_extract(value, '$.{name}') AS {_q(name)}" for name in columns)
        return f"(SELECT {taken} FROM json_each(:{parameter})) AS {alias}"  # noqa: S608 - names of ours
    typed = ", ".join(f"{_q(name)} bigint" for name in columns)
    return f"json_to_recordset(CAST(:{parameter} AS json)) AS {alias}({typed})"


@contextmanager
def unanswered(connection: Connection) -> Iterator[None]:
    """Send statements without waiting for the answer to each: PostgreSQL executes one while the next is made ready.

    For statements that return nothing. What is wrong with one of them is raised by a later one, or at the end.
    """
    driver: Any = connection.connection.driver_connection
    if not hasattr(driver, "pipeline"):  # SQLite is in this process: there is nothing to wait for
        yield
        return
    errors: Any = connection.dialect.dbapi
    try:
        with driver.pipeline():
            yield
    except errors.Error as error:
        raise cast("DBAPIError", DBAPIError.instance("", None, error, errors.Error)) from error


def lock_names(connection: Connection, names: Iterable[tuple[Any, ...]]) -> None:
    """Hold names until the commit, in one order: another unit of work that wants one of them waits.

    For what may have no row yet. SQLite's writer is alone anyway.
    """
    if connection.dialect.name == "sqlite":
        return
    numbers = {blake2b(repr(name).encode(), digest_size=8).digest() for name in names}
    if not numbers:
        return
    from adapter.store.arrays import pack

    keys = pack("bigint", sorted(int.from_bytes(number, signed=True) for number in numbers))
    statement = "SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS k"
    connection.exec_driver_sql(statement, (keys,)).all()


def lock_of(connection: Connection, *aliases: str) -> str:
    """Return the end of a SELECT that locks the rows of these tables; SQLite's writer is alone anyway."""
    return "" if connection.dialect.name == "sqlite" else f" FOR UPDATE OF {', '.join(aliases)}"


def bulk_insert(connection: Connection, table: Table, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Insert rows in one statement: each a mapping with all of `columns`, or a tuple in their order."""
    _bulk(connection, table, rows, tuple(columns), "")


def bulk_add(
    connection: Connection, table: Table, rows: Sequence[Row], columns: Sequence[str], amount: str
) -> None:
    """Insert rows in one statement; where the primary key exists already, add to the column `amount` instead."""
    _bulk(connection, table, rows, tuple(columns), _conflict(table, (amount,), plus=True))


def bulk_upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    columns: Sequence[str],
    update: Sequence[str],
) -> None:
    """Insert rows in one statement; where the primary key exists already, set the `update` columns instead."""
    _bulk(connection, table, rows, tuple(columns), _conflict(table, tuple(update)))


def _bulk(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    columns: tuple[str, ...],
    conflict: str,
) -> None:
    if not rows:
        return
    values = [row if isinstance(row, tuple) else tuple([row[name] for name in columns]) for row in rows]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_sqlite_insert(table, columns, conflict), values)
    else:
        packed = _packed(table, columns, zip(*values, strict=True))
        connection.exec_driver_sql(_postgres_insert(table, columns, conflict), packed)


@cache
def _conflict(table: Table, update: tuple[str, ...], *, plus: bool = False) -> str:
    if not update:
        return ""
    key = ", ".join(column.name for column in table.primary_key)
    return f" ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(
        f"{_q(name)} = {f'{table.name}.{_q(name)} + ' if plus else ''}excluded.{_q(name)}" for name in update
    )


def _q(name: str) -> str:
    return f'"{name}"'


@cache
def _sqlite_insert(table: Table, columns: tuple[str, ...], conflict: str) -> str:
    names = ", ".join(map(_q, columns))
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks}){conflict}"  # noqa: S608 - names of ours


@cache
def _postgres_insert(table: Table, columns: tuple[str, ...], conflict: str) -> str:
    names = ", ".join(map(_q, columns))
    arrays = _arrays(table, columns)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}){conflict}"  # noqa: S608 - names


def _arrays(table: Table, columns: tuple[str, ...]) -> str:
    return ", ".join(f"%s::{_array(table, name)}[]" for name in columns)


def _packed(table: Table, columns: tuple[str, ...], values: Iterable[Iterable[Any]]) -> tuple[Packed, ...]:
    from adapter.store.arrays import pack  # brings PostgreSQL's driver: 9 MB that SQLite has no use for

    return tuple(pack(_array(table, name), column) for name, column in zip(columns, values, strict=True))


@cache
def _array(table: Table, name: str) -> str:
    kind = table.c[name].type
    if isinstance(kind, SmallInteger):
        return "smallint"
    if isinstance(kind, BigInteger):
        return "bigint"
    if isinstance(kind, Integer):
        return "integer"
    return "bytea" if isinstance(kind, LargeBinary) else "text"
