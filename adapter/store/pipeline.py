"""Statements that go to the database together.

PostgreSQL is asked over a connection: each answer that is waited for is a journey there and back, in which nobody works.
So what does not depend on each other's answers is asked in one go, and what nobody waits for is not waited for. The server
executes everything in the order in which it was sent, so locks are taken in that order, too. SQLite is in this
process: there is no journey to save.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

Result = TypeVar("Result")


class Query(NamedTuple):
    """A statement as the driver takes it, and its values."""

    statement: str
    values: tuple[Any, ...] = ()


def read(connection: Connection, query: Query | None) -> list[Any]:
    """Return the rows of a query; none where there is nothing to ask."""
    return [] if query is None else list(connection.exec_driver_sql(*query).all())


def read_together(connection: Connection, *queries: Query | None) -> list[list[Any]]:
    """Return the rows of each query, asked in one go and answered in this order; None asks nothing."""
    asked = [query for query in queries if query is not None]
    driver: Any = connection.connection.driver_connection
    if len(asked) <= 1 or not hasattr(driver, "pipeline"):
        return [read(connection, query) for query in queries]
    from psycopg.rows import namedtuple_row

    sent = [(query, driver.cursor(row_factory=namedtuple_row), SimpleNamespace()) for query in asked]
    with unanswered(connection):
        for query, cursor, context in sent:
            _tell(connection.dispatch.before_cursor_execute, connection, cursor, query, context)
            cursor.execute(*query)
    for query, cursor, context in sent:
        _tell(connection.dispatch.after_cursor_execute, connection, cursor, query, context)
    answers = iter(sent)
    return [[] if query is None else next(answers)[1].fetchall() for query in queries]


def _tell(
    listeners: Iterable[Callable[..., Any]],
    connection: Connection,
    cursor: Any,
    query: Query,
    context: SimpleNamespace,
) -> None:
    """Let those hear of a statement who listen to the engine's, as SQLAlchemy does for what goes through it.

    What traces an application listens there, and keeps what it has begun in the context until it hears of the end.
    """
    for hear in listeners:
        hear(connection, cursor, query.statement, query.values, context, False)


Asking = Generator[Query | None, list[Any], Result]
"""Something that asks one question after another and makes a result of the answers."""


def answered(connection: Connection, asking: Asking[Result]) -> Result:
    """Answer its questions one by one; return what it makes of them."""
    try:
        query = next(asking)
        while True:
            query = asking.send(read(connection, query))
    except StopIteration as end:
        return cast("Result", end.value)


def answered_together(connection: Connection, *asking: Asking[None]) -> None:
    """Answer what several ask that need nothing of each other: the first question of each in one go, then the second."""
    waiting = [(one, query) for one in asking for query in _next(one, None)]
    while waiting:
        answers = read_together(connection, *(query for _, query in waiting))
        waiting = [
            (one, query)
            for (one, _), rows in zip(waiting, answers, strict=True)
            for query in _next(one, rows)
        ]


def _next(asking: Asking[None], rows: list[Any] | None) -> Iterator[Query | None]:
    """Yield the next question, if there is one."""
    with suppress(StopIteration):
        yield next(asking) if rows is None else asking.send(rows)


@contextmanager
def unanswered(connection: Connection) -> Iterator[None]:
    """Send statements without waiting for the answer to each: PostgreSQL executes one while the next is made ready.

    What a cursor of the driver's has to return is there at the end; SQLAlchemy's would return nothing. What is wrong
    with one of them is raised by a later one, or at the end.
    """
    driver: Any = connection.connection.driver_connection
    if not hasattr(driver, "pipeline"):
        yield
        return
    errors: Any = connection.dialect.dbapi
    try:
        with driver.pipeline():
            yield
    except errors.Error as error:
        raise cast("DBAPIError", DBAPIError.instance("", None, error, errors.Error)) from error
