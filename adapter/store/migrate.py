"""Bringing a database up to date, in one unit of work: whole or not at all, by one process at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from adapter.errors import ConfigurationError
from adapter.store.database import unit_of_work

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

INI = Path(__file__).parent / "migrations" / "alembic.ini"
_LOCK = 0x6C6F79616C7479  # "loyalty": the number of PostgreSQL's advisory lock for this


def migrate(engine: Engine) -> bool:
    """Create the tables or bring them up to date; return whether there was anything to do.

    Raises `ConfigurationError` where a newer version of the adapter made the database.
    """
    with unit_of_work(engine) as connection:
        if connection.dialect.name == "postgresql":  # SQLite's writer is alone anyway
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = _config(connection)
        if _is_current(connection, ScriptDirectory.from_config(config)):
            return False
        command.upgrade(config, "head")
        return True


def require_current(engine: Engine) -> None:
    """Raise `ConfigurationError` that says what to do where the database is not the one this version works on."""
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(_config(connection))
        if not _is_current(connection, script):
            there = MigrationContext.configure(connection).get_current_revision()
            state = "has no tables" if there is None else f"is at the older revision {there}"
            raise ConfigurationError(
                f"the database {engine.url.render_as_string()} {state}: run `loyalty-adapter migrate` first",
                field="database_url",
            )


def stamp(engine: Engine) -> None:
    """Say that the database's tables are those of the newest revision, without a look at them."""
    with unit_of_work(engine) as connection:
        command.stamp(_config(connection), "head")


def _is_current(connection: Connection, script: ScriptDirectory) -> bool:
    found = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if found is not None and found not in known:
        raise ConfigurationError(
            f"the database is at revision {found}, which this version does not know: a newer one made it."
            " Install that version again; there is no way back",
            field="database_url",
        )
    return found == script.get_current_head()


def _config(connection: Connection) -> Config:
    config = Config(INI)
    config.attributes["connection"] = connection
    return config
