"""A connection whose statements all see one moment of the database, so that figures read one by one agree."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Open a read-only transaction. SQLite's readers see one moment anyway; PostgreSQL is asked for it."""
    options = (
        {}
        if engine.dialect.name == "sqlite"
        else {
            "isolation_level": "REPEATABLE READ",
            "postgresql_readonly": True,
        }
    )
    with engine.connect().execution_options(**options) as connection:
        yield connection
