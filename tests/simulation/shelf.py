"""Where the books of the runs stand, and the short way to them: what is asked goes to the driver at once.

A run asks a thousand times, mostly for a row or two. What SQLAlchemy does around each question (a place in a pool, a
context, what it finds out about the answer) took two fifths of the time, and SQLite prepared the same statements for
every run. So an engine's connections are brief ones, and its book is put back to where runs begin instead of a new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, TextClause, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import DBAPIError, OperationalError

from adapter.store import tables as t
from adapter.store.database import open_database

if TYPE_CHECKING:
    from adapter.catalog import Catalog

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""What is in a book, by the names of its tables."""


NAMED = sqlite.dialect(paramstyle="named")
"""How SQLAlchemy writes what SQLite takes together with a value for each name."""


class Crash(BaseException):
    """The process ends here, whatever it was doing."""


@dataclass
class Faults:
    """Strikes once: at the so-manieth statement from now, or at the commit, before it or right after it."""

    left: int | None = None
    at_commit: str | None = None
    error: type[BaseException] = Crash
    commits: int = 0

    def arm(self, where: str, statements: int, error: type[BaseException]) -> None:
        self.left = statements if where == "statement" else None
        self.at_commit = None if where == "statement" else where
        self.error = error

    def disarm(self) -> None:
        self.left = self.at_commit = None

    def strike(self) -> None:
        self.disarm()
        if self.error is Crash:
            raise Crash
        raise OperationalError("the database went away", None, sqlite3.OperationalError("gone"))

    def on_statement(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.strike()

    def on_commit(self, book: sqlite3.Connection) -> None:
        where = self.at_commit
        if where == "before commit":
            self.strike()
        self.commits += 1
        book.commit()
        if where == "after commit":
            self.strike()


class Brief(Connection):
    """A connection to the book of an engine, with as much of one as the product makes use of."""

    def __init__(self, engine: Engine) -> None:  # what SQLAlchemy would keep of a connection is not needed
        self.engine = engine
        self.dialect = engine.dialect
        self._shelf = _shelves[engine]
        self._how = "BEGIN"
        self._begun = False

    @property
    def connection(self) -> Any:
        return self._shelf

    @property
    def closed(self) -> bool:
        return False

    def execution_options(self, **options: Any) -> Brief:
        if options.get("writer"):
            self._how = "BEGIN IMMEDIATE"
        return self

    def begin(self) -> Any:
        self._begin()
        return Unit(self)

    def _begin(self) -> None:
        self._shelf.faults.on_statement()
        self._shelf.book.execute(self._how)
        self._begun = True

    def commit(self) -> None:
        self._shelf.faults.on_commit(self._shelf.book)
        self._begun = False

    def rollback(self) -> None:
        self._shelf.book.rollback()
        self._begun = False

    def close(self) -> None:
        if self._begun:
            self.rollback()

    def exec_driver_sql(self, statement: str, parameters: Any = None, _options: Any = None) -> Any:
        if not self._begun:
            self._begin()
        shelf = self._shelf
        shelf.faults.on_statement()
        ask = shelf.book.executemany if isinstance(parameters, list) else shelf.book.execute
        try:
            found = ask(statement, parameters or ())
        except sqlite3.Error as error:
            raise DBAPIError.instance(statement, parameters, error, sqlite3.Error) from error
        columns = shelf.columns.get(statement)
        if columns is None:
            named = [name for name, *_ in found.description or ()]
            columns = shelf.columns[statement] = SimpleResultMetaData(named)
        return IteratorResult(columns, found)

    def execute(self, statement: Any, parameters: Any = None, **_options: Any) -> Any:
        if isinstance(statement, TextClause):  # SQLite knows names as `text` writes them
            return self.exec_driver_sql(statement.text, parameters)
        return self.exec_driver_sql(*self._shelf.put_in_words(statement, parameters))


class Unit:
    """One transaction."""

    def __init__(self, connection: Brief) -> None:
        self._connection = connection

    def __enter__(self) -> Brief:
        return self._connection

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._connection.rollback()
            return
        try:
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise


class Shelf:
    """An engine with one book, which is put back to where a run begins; what was prepared for it stays so."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.catalogs: dict[int, Catalog] = {}  # of the book as it is now, by their version
        self.columns: dict[str, SimpleResultMetaData] = {}  # of answers, by their statements
        self.compiled: dict[Any, Any] = {}  # statements, by what SQLAlchemy knows them by
        self.engine = open_database("sqlite://")
        made = sqlite3.connect(":memory:", check_same_thread=False, cached_statements=1024)
        event.listen(self.engine, "do_connect", lambda *_: made)
        t.metadata.create_all(self.engine)
        self.book: Any = made
        self.engine._connection_cls = Brief
        _shelves[self.engine] = self

    @property
    def driver_connection(self) -> Any:
        return self.book

    def put(self, begun: Rows, faults: Faults) -> Engine:
        """Have the book be as runs begin with it."""
        self.clear()
        self.book.rollback()
        self.book.execute("BEGIN")
        for name in t.metadata.tables:
            self.book.execute(f"DELETE FROM {name}")
            if rows := begun.get(name):
                marks = ", ".join("?" * len(rows[0]))
                self.book.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        self.book.commit()
        self.faults = faults
        return self.engine

    def put_in_words(self, statement: Any, parameters: Any) -> tuple[str, Any]:
        """Return a statement as SQLite takes it, and its values by their names."""
        several = parameters if isinstance(parameters, list) else [parameters or {}]
        compiled, extracted, collected, _ = statement._compile_w_cache(
            NAMED, compiled_cache=self.compiled, column_keys=sorted(several[0])
        )
        values = [
            compiled.construct_params(each, extracted_parameters=extracted, _collected_params=collected)
            for each in several
        ]
        return compiled.string, values if isinstance(parameters, list) else values[0]

    def rows(self) -> Rows:
        """Return all that is in the book."""
        return {name: self.book.execute(f"SELECT * FROM {name}").fetchall() for name in t.metadata.tables}

    def clear(self) -> None:
        self.catalogs.clear()


_shelves: dict[Engine, Shelf] = {}
shelf_called = cache(lambda _name: Shelf())


def shelf_of(engine: Engine) -> Shelf | None:
    """Return the shelf of an engine, if it is one of a run."""
    return _shelves.get(engine)
