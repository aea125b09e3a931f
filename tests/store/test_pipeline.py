"""Questions that go to the database together: answered in their order, heard by listeners, and wrong as one alone is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from adapter.errors import DatabaseUnavailable
from adapter.store import database as db
from adapter.store.pipeline import Asking, Query, answered, answered_together, read_together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

ONE, TWO, THREE = (Query(f"SELECT {number} AS number") for number in (1, 2, 3))


@pytest.fixture
def connection(database: Engine) -> Iterator[Connection]:
    with database.begin() as connection:
        yield connection


@pytest.fixture
def heard(connection: Connection) -> list[str]:
    """Return the statements that whoever listens hears of."""
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
    return statements


def asks(kept: list[int], *queries: Query | None) -> Asking[None]:
    """Ask one question after another and keep what is answered."""
    for query in queries:
        rows = yield query
        kept.extend(row.number for row in rows)


@pytest.mark.parametrize(
    ("queries", "numbers"),
    [
        ((), []),
        ((None,), [[]]),
        ((ONE,), [[1]]),
        ((ONE, None, THREE), [[1], [], [3]]),
        ((None, TWO, ONE), [[], [2], [1]]),
        ((Query("SELECT 7 AS number WHERE 1 = 0"), TWO), [[], [2]]),
    ],
)
def test_answers_come_in_the_order_of_their_questions(
    connection: Connection, queries: tuple[Query | None, ...], numbers: list[list[int]]
) -> None:
    assert [[row.number for row in rows] for rows in read_together(connection, *queries)] == numbers


def test_several_ask_side_by_side(connection: Connection, heard: list[str]) -> None:
    first: list[int] = []
    second: list[int] = []
    third: list[int] = []
    answered_together(connection, asks(first, ONE, THREE), asks(second), asks(third, None, TWO, ONE))
    assert (first, second, third) == ([1, 3], [], [2, 1])
    assert heard == [query.statement for query in (ONE, THREE, TWO, ONE)]


def test_one_asks_and_makes_something_of_the_answers(connection: Connection) -> None:
    def summed() -> Asking[int]:
        (one,) = yield ONE
        nothing = yield None
        (two,) = yield TWO
        return int(one.number + two.number + len(nothing))

    assert answered(connection, summed()) == 3


def test_what_traces_statements_hears_of_the_beginning_and_the_end_of_each(connection: Connection) -> None:
    spans: list[list[str]] = []

    def begin(
        _connection: object, _cursor: object, statement: str, _values: object, context: Any, _many: bool
    ) -> None:
        context.span = [statement]
        spans.append(context.span)

    def end(
        _connection: object, _cursor: object, statement: str, _values: object, context: Any, _many: bool
    ) -> None:
        context.span.append(statement)

    event.listen(connection, "before_cursor_execute", begin)
    event.listen(connection, "after_cursor_execute", end)
    read_together(connection, ONE, None, TWO)
    assert spans == [[ONE.statement] * 2, [TWO.statement] * 2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_round_is_one_journey(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    journeys = []
    pipeline = psycopg.Connection.pipeline

    def counted(self: psycopg.Connection) -> AbstractContextManager[psycopg.Pipeline]:
        journeys.append(self)
        return pipeline(self)

    monkeypatch.setattr(psycopg.Connection, "pipeline", counted)
    answered_together(connection, asks([], ONE, TWO), asks([], TWO, THREE), asks([], THREE, ONE))
    assert len(journeys) == 2


def test_what_is_wrong_with_one_is_raised_and_the_unit_of_work_undone(database: Engine) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (number integer)")

    def work(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO kept VALUES (1)")
        read_together(connection, ONE, Query("SELECT number FROM nowhere"), TWO)

    with pytest.raises((DBAPIError, DatabaseUnavailable), match="nowhere"):
        db.in_unit_of_work(database, work, for_s=0)
    with database.begin() as connection:
        assert read_together(connection, Query("SELECT number FROM kept"), ONE) == [[], [(1,)]]
        connection.exec_driver_sql("DROP TABLE kept")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_goes_away_before_it_answers_is_worth_another_try(database: Engine) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> list[int]:
        tries.append(1)
        process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        if len(tries) == 1:
            with database.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({int(process)}, 5000)")
        return [rows[0].number for rows in read_together(connection, ONE, TWO)]

    assert db.in_unit_of_work(database, work, sleep=lambda _: None) == [1, 2]
    assert len(tries) == 2
