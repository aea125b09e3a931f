"""Bringing a database up to date, by one machine at a time.

An empty database, and an embedded one, gets everything in one unit of work: whole or not at all. A server's that is in use
is brought up to date step by step, each in a commit of its own, while services go on writing: a step that does not get a
lock at once lets go of what it has and tries again later, because whoever comes after it would wait behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import tenacity
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapter.errors import ConfigurationError, DatabaseUnavailable
from adapter.store.address import shown
from adapter.store.database import is_transient, unit_of_work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

log = structlog.get_logger()

INI = Path(__file__).parent / "migrations" / "alembic.ini"
LOCK_TIMEOUT_MS = 1_000
"""How long a step waits for a lock, and everybody who comes after it too; less than shops wait for an answer."""
TRY_FOR_S = 900.0
ASK_AGAIN_AFTER_S = 0.2
_RUNS_FROM = "works with versions that know revision "
_LOCK = 0x6C6F79616C7479  # "loyalty": the number of PostgreSQL's advisory lock for this

Sleep = Callable[[float], None]


def migrate(engine: Engine, *, for_s: float = TRY_FOR_S, sleep: Sleep = time.sleep) -> bool:
    """Create the tables or bring them up to date; return whether there was anything to do.

    Raises `ConfigurationError` where a newer version of the adapter made the database, and `DatabaseUnavailable` where a
    table stays locked by others for `for_s` seconds; what was done until then stays done.
    """
    if engine.dialect.name != "postgresql":  # SQLite's writer is alone anyway
        return _at_once(engine)
    with _alone(engine, sleep) as connection:
        if MigrationContext.configure(connection).get_current_revision() is None:
            return _at_once(engine)
        return _step_by_step(engine, for_s, sleep)


def _at_once(engine: Engine) -> bool:
    with unit_of_work(engine) as connection:
        config = _config(connection)
        if _is_current(connection, ScriptDirectory.from_config(config)):
            return False
        command.upgrade(config, "head")
        _say_who_may_run(connection, ScriptDirectory.from_config(config))
        return True


@contextmanager
def _alone(engine: Engine, sleep: Sleep) -> Iterator[Connection]:
    """Hold the lock of migrations on a connection of its own.

    It is asked for again and again instead of waited for: an index that is made beside writers waits for every statement
    that runs, and one that waited for this lock would be among them.
    """
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # closing it gives the lock back
        asked = text("SELECT pg_try_advisory_lock(:lock)")
        while not connection.execute(asked, {"lock": _LOCK}).scalar_one():
            sleep(ASK_AGAIN_AFTER_S)
        yield connection


def _step_by_step(engine: Engine, for_s: float, sleep: Sleep) -> bool:
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient),
        wait=tenacity.wait_random(0.5, 2),  # who waited behind the step before has its turn
        stop=tenacity.stop_after_delay(for_s),
        before_sleep=lambda tried: log.warning(
            "migrating waits for a lock that others hold", tries=tried.attempt_number
        ),
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(partial(_try_steps, engine))
    except DBAPIError as error:
        if not is_transient(error):
            raise
        first = str(error.orig).strip().splitlines()[0]
        advice = "end the oldest transaction of pg_stat_activity and run it again; what is done stays done"
        raise DatabaseUnavailable(f"the tables could not be changed: {first}; {advice}") from error


def _try_steps(engine: Engine) -> bool:
    with engine.connect() as connection:
        config = _config(connection)
        script = ScriptDirectory.from_config(config)
        if _is_current(connection, script):
            return False
        _say_who_may_run(connection, script)  # before the first step: the others may not all be done
        connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
        connection.commit()
        config.attributes["in_use"] = True
        try:
            command.upgrade(config, "head")
        finally:
            connection.invalidate()  # nobody else shall get one with that timeout
        return True


def require_current(engine: Engine) -> None:
    """Raise `ConfigurationError` that says what to do where the database is not one that this version works on.

    It works on that of a newer version too, as long as nothing was taken away since: while machines are updated one after
    another, those of the old version may have to start again.
    """
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(_config(connection))
        there = MigrationContext.configure(connection).get_current_revision()
        if there not in {None, *_known(script)} and _still_works(connection, script):
            log.info("a newer version made the database; this one still works on it", revision=there)
        elif not _is_current(connection, script):
            state = "has no tables" if there is None else f"is at the older revision {there}"
            raise ConfigurationError(
                f"the database {shown(engine.url)} {state}: run `loyalty-adapter migrate` first",
                field="database_url",
            )


def _still_works(connection: Connection, script: ScriptDirectory) -> bool:
    """Return whether a newer version, which made the database, took nothing away that this one needs."""
    if connection.dialect.name != "postgresql":
        return False  # an embedded database has one machine, and it is updated with it
    said = connection.execute(
        text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')")
    ).scalar_one()
    return said is not None and said.removeprefix(_RUNS_FROM) in _known(script)


def _say_who_may_run(connection: Connection, script: ScriptDirectory) -> None:
    """Note the last revision that takes something away: who knows it, knows of all that is missing."""
    if connection.dialect.name != "postgresql":
        return
    revisions = list(script.walk_revisions())
    contracting = (one.revision for one in revisions if getattr(one.module, "contracts", False))
    oldest = next(contracting, revisions[-1].revision)
    connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{_RUNS_FROM}{oldest}'"))


def _known(script: ScriptDirectory) -> set[str]:
    return {one.revision for one in script.walk_revisions()}


def stamp(engine: Engine) -> None:
    """Say that the database's tables are those of the newest revision, without a look at them."""
    with unit_of_work(engine) as connection:
        command.stamp(_config(connection), "head")


def _is_current(connection: Connection, script: ScriptDirectory) -> bool:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in _known(script):
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
