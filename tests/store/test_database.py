"""Units of work: what is tried again, what is not, and rows on both databases."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)

from adapter.errors import DatabaseUnavailable
from adapter.store import bulk, pipeline
from adapter.store import database as db
from adapter.store.arrays import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

ROWS = Table(
    "rows_of_a_test",
    MetaData(),
    Column("env", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("small", SmallInteger),
    Column("big", BigInteger),
    Column("raw", LargeBinary),
)
COLUMNS = ("env", "name", "small", "big", "raw")


@pytest.fixture
def table(database: Engine) -> Iterator[Engine]:
    ROWS.create(database)
    yield database
    ROWS.drop(database)


def wrapped(kind: type[DBAPIError], original: BaseException) -> DBAPIError:
    return kind("SELECT 1", {}, original)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (wrapped(OperationalError, sqlite3.OperationalError("database is locked")), True),
        (wrapped(OperationalError, sqlite3.OperationalError("database or disk is full")), True),
        (wrapped(InterfaceError, psycopg.InterfaceError("connection already closed")), True),
        (wrapped(OperationalError, psycopg.errors.DeadlockDetected()), True),
        (wrapped(DBAPIError, psycopg.errors.SerializationFailure()), True),
        (wrapped(DBAPIError, psycopg.errors.AdminShutdown()), True),
        (wrapped(DBAPIError, psycopg.errors.ReadOnlySqlTransaction()), True),
        (wrapped(DatabaseError, sqlite3.DatabaseError("database disk image is malformed")), True),
        (wrapped(ProgrammingError, sqlite3.ProgrammingError("wrong number of bindings")), False),
        (wrapped(IntegrityError, psycopg.errors.UniqueViolation()), False),
        (wrapped(ProgrammingError, psycopg.errors.UndefinedColumn()), False),
        (ValueError("ours"), False),
    ],
)
def test_what_is_worth_another_try(error: BaseException, again: bool) -> None:
    assert db.is_transient(error) is again


def test_a_lock_is_waited_for_and_the_work_is_done_once(table: Engine) -> None:
    tries: list[float] = []

    def work(connection: Connection) -> int:
        bulk.bulk_insert(connection, ROWS, [(1, "a", None, len(tries), None)], COLUMNS)
        if len(tries) < 3:
            raise wrapped(OperationalError, sqlite3.OperationalError("database is locked"))
        return len(tries)

    assert db.in_unit_of_work(table, work, sleep=tries.append) == 3
    with table.connect() as connection:
        assert [row.big for row in connection.execute(ROWS.select())] == [3]
    assert all(0 <= wait <= 0.5 for wait in tries)


def test_patience_ends_with_an_error_that_says_so(table: Engine) -> None:
    def work(_connection: Connection) -> None:
        raise wrapped(OperationalError, sqlite3.OperationalError("database is locked"))

    with pytest.raises(DatabaseUnavailable, match="database is locked"):
        db.in_unit_of_work(table, work, for_s=0, sleep=lambda _: None)


def test_what_is_wrong_with_the_work_is_not_tried_again(table: Engine) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.exec_driver_sql("SELECT nothing FROM nowhere_that_is")

    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        db.in_unit_of_work(table, work, for_s=0, sleep=lambda _: None)
    assert len(tries) == 1


VALUES = st.lists(
    st.tuples(
        st.integers(-(2**31), 2**31 - 1),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        st.none() | st.integers(-(2**15), 2**15 - 1),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.binary(max_size=40),
    ),
    max_size=20,
    unique_by=lambda row: row[:2],
)


@given(rows=VALUES)
def test_rows_come_back_as_they_went_in(rows: list[tuple[Any, ...]]) -> None:
    """The binary arrays, in both directions, against what a server makes of them."""
    for index, kind in enumerate(("integer", "text", "smallint", "bigint", "bytea")):
        column = [row[index] for row in rows]
        packed = bytes(pack(kind, column))
        assert int.from_bytes(packed[:4], "big") == (1 if column else 0)
        if column:
            assert int.from_bytes(packed[12:16], "big") == len(column)


def test_every_kind_of_value_survives_both_databases(table: Engine) -> None:
    rows = [
        (1, "plain", 1, 2, b"\x00\xff"),
        (1, 'quotes " and \\ {braces}, NULL', None, None, None),
        (2, "ünï ☃", -(2**15), -(2**63), b""),
        (2, "", 2**15 - 1, 2**63 - 1, b"x" * 5000),
    ]
    with db.unit_of_work(table) as connection:
        bulk.bulk_insert(connection, ROWS, rows, COLUMNS)
        bulk.bulk_insert(connection, ROWS, [], COLUMNS)
        found = bulk.select_by_keys(connection, ROWS, ("env", "name"), [row[:2] for row in rows], lock=True)
        assert sorted(tuple(row)[:4] for row in found) == sorted(row[:4] for row in rows)
        assert {bytes(row.raw) for row in found if row.raw is not None} == {b"\x00\xff", b"", b"x" * 5000}
        assert bulk.select_by_keys(connection, ROWS, ("env", "name"), []) == []


def test_an_upsert_sets_what_it_is_told_to_and_nothing_else(table: Engine) -> None:
    mapped = {"env": 1, "name": "a", "small": 9, "big": 9, "raw": None}
    with db.unit_of_work(table) as connection:
        bulk.bulk_insert(connection, ROWS, [(1, "a", 1, 1, None)], COLUMNS)
        bulk.bulk_upsert(connection, ROWS, [mapped], COLUMNS, ["big"])
        assert [(row.small, row.big) for row in connection.execute(ROWS.select())] == [(1, 9)]


ONE = (1, "a", 1, 1, None)


@pytest.mark.parametrize(
    "statements",
    [
        [[ONE], [ONE]],  # the last one is at fault: heard of at the end
        [
            [ONE],
            [ONE],
            *[[(2, str(number), 1, 1, b"x" * 5000)] for number in range(50)],
        ],  # heard of on the way
        [[ONE, ONE]],
    ],
)
def test_what_was_not_waited_for_is_raised_all_the_same(
    table: Engine, statements: list[list[tuple[Any, ...]]]
) -> None:
    def work(connection: Connection) -> None:
        with pipeline.unanswered(connection):
            for rows in statements:
                bulk.bulk_insert(connection, ROWS, rows, COLUMNS)

    with pytest.raises(IntegrityError):
        db.in_unit_of_work(table, work)
    with db.unit_of_work(table) as connection, pipeline.unanswered(connection):
        bulk.bulk_insert(connection, ROWS, [ONE], COLUMNS)
    with table.connect() as connection:
        assert len(connection.execute(ROWS.select()).all()) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_goes_away_meanwhile_is_worth_another_try(table: Engine) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with pipeline.unanswered(connection):
            bulk.bulk_insert(connection, ROWS, [ONE], COLUMNS)
            if len(tries) == 1:
                with table.connect() as other:
                    other.exec_driver_sql(f"SELECT pg_terminate_backend({int(process)}, 5000)")
            bulk.bulk_insert(connection, ROWS, [(2, "b", 1, 1, None)], COLUMNS)

    db.in_unit_of_work(table, work, sleep=lambda _: None)
    assert len(tries) == 2
    with table.connect() as connection:
        assert len(connection.execute(ROWS.select()).all()) == 2
