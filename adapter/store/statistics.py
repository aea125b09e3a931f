"""What PostgreSQL knows of tables that are still young.

It collects statistics a minute after the fact at the soonest, and plans for empty tables until then: of two indexes that
begin with the same column it takes either, and reads all of an environment's rows for one. A table doubles within seconds in
its first minutes, which may be somebody's busiest. So whoever works beside the doors has statistics collected again
whenever a table has doubled, which new plans follow from by themselves. SQLite plans by the columns of its indexes alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import bindparam, text
from sqlalchemy.exc import DBAPIError

from adapter.store import tables as t

if TYPE_CHECKING:
    import threading

    from sqlalchemy import Connection, Engine

log = structlog.get_logger()

EVERY_S = 2.0
ROWS_MIN = 500
"""Changed rows below which no plan is bad."""

_DOUBLED = text(
    "SELECT s.relname FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid "
    "WHERE s.relid = to_regclass(s.relname) AND s.relname IN :ours AND pg_has_role(c.relowner, 'USAGE') "
    "AND s.n_mod_since_analyze >= GREATEST(c.reltuples, :least) ORDER BY s.relname"
).bindparams(bindparam("ours", expanding=True))


def run(engine: Engine, stop: threading.Event) -> None:
    """Look after young tables until told to stop."""
    if engine.dialect.name == "sqlite":
        return
    while not stop.wait(EVERY_S):
        try:
            collect(engine)
        except DBAPIError as error:  # the next look is soon enough, whatever it was
            log.warning("statistics.not_collected", reason=str(error.orig))


def collect(engine: Engine) -> list[str]:
    """Have statistics collected of the tables that have doubled since they last were; return which."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        names = doubled(connection)
        for name in names:
            connection.exec_driver_sql(f'ANALYZE (SKIP_LOCKED) "{name}"')
    return names


def doubled(connection: Connection) -> list[str]:
    """Return our tables that have at least doubled since their statistics were collected, or never had any."""
    given = {"ours": list(t.metadata.tables), "least": ROWS_MIN}
    return list(connection.execute(_DOUBLED, given).scalars())
