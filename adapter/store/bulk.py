"""Many rows in one statement, in the two ways in which SQLite and PostgreSQL take them.

A batch of hundreds of commands asks for its rows, and writes them, with as many statements as a batch of one: SQLite takes
a list of values or executes one statement many times, PostgreSQL takes arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, SmallInteger, Table

from adapter.store.pipeline import Query, read

if TYPE_CHECKING:
    from adapter.store.arrays import Packed

Row = Mapping[str, Any] | tuple[Any, ...]

KEYS_ROUNDED_MAX = 512
"""Up to here the keys of a SELECT are filled up to a power of two; SQLite takes 32,766 values in all."""


def select_by_keys(
    connection: Connection,
    table: Table,
    key_columns: Sequence[str],
    keys: Iterable[tuple[Any, ...]],
    *,
    columns: Sequence[str] = (),
    where: str | tuple[str, int] = "",
    lock: bool = False,
) -> list[Any]:
    """Return the rows of `table` whose `key_columns` equal one of `keys`, in one statement: see `by_keys`."""
    return read(
        connection, by_keys(connection, table, key_columns, keys, columns=columns, where=where, lock=lock)
    )


def by_keys(
    connection: Connection,
    table: Table,
    key_columns: Sequence[str],
    keys: Iterable[tuple[Any, ...]],
    *,
    columns: Sequence[str] = (),
    where: str | tuple[str, int] = "",
    lock: bool = False,
) -> Query | None:
    """Return what asks for the rows of `table` whose `key_columns` equal one of `keys`; None without keys.

    `where` is a further condition of ours on the table `t`; what it asks for each key it says by `k`, and a number that
    comes with it by `?`, so that its text stays the same and is prepared once. With `lock`,
    PostgreSQL locks the rows in the order of their keys, so that two units of work never wait for each other; SQLite's
    writer holds the whole database already.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return None
    if connection.dialect.name == "sqlite":
        wanted += [(None,) * len(key_columns)] * (_few(len(wanted)) - len(wanted))
    listed, values = listed_keys(connection, table, key_columns, wanted)
    names, match = _names(table, tuple(columns)), _match(tuple(key_columns))
    condition, *given = (where,) if isinstance(where, str) else where
    if condition:
        match += f" AND {condition.replace('?', mark(connection))}"
    found = for_each(connection, listed, table, match, lock=lock)
    return Query(f"SELECT {names} {found}", (*values, *given))


@lru_cache(maxsize=256)
def _names(table: Table, columns: tuple[str, ...]) -> str:
    return ", ".join(f"t.{_q(name)}" for name in columns or [column.name for column in table.columns])


@lru_cache(maxsize=256)
def _match(key_columns: tuple[str, ...]) -> str:
    return " AND ".join(f"t.{_q(name)} = k.{_q(name)}" for name in key_columns)


def for_each(connection: Connection, listed: str, table: Table, where: str, *, lock: bool = False) -> str:
    """Return what follows the columns of a SELECT: for each of the listed keys `k`, the rows `t` of a table.

    Both databases go from the keys to the table, whatever their statistics say; see `by_keys` of `open_database`. The
    rows come, and are locked, in the order of the keys.
    """
    if connection.dialect.name == "sqlite":
        return f"FROM {listed} CROSS JOIN {table.name} t WHERE {where}"
    end = "OFFSET 0 FOR UPDATE" if lock else "OFFSET 0"
    return f"FROM {listed} CROSS JOIN LATERAL (SELECT t.* FROM {table.name} t WHERE {where} {end}) t"  # noqa: S608 - names of ours


def mark(connection: Connection) -> str:
    """Return what stands for a value in a statement that goes to the driver as it is."""
    return "?" if connection.dialect.name == "sqlite" else "%s"


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
