"""A copy of the database while it is in use, and a database out of such a copy.

SQLite copies itself within one reading transaction, which keeps no writer waiting; PostgreSQL's own `pg_dump` does the
same for a server. A copy is a file that is there whole or not at all, and it holds every commit that was answered
before it was begun.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect

from adapter.errors import ConfigurationError
from adapter.store.address import address_of, for_programs, shown
from adapter.store.database import answering, open_database

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

_SQLITE = b"SQLite format 3\0"
_PGDUMP = b"PGDMP"


def back_up(engine: Engine, file: Path) -> int:
    """Write a copy of the database to a new file, and return its bytes.

    Raises `ConfigurationError` where the file is there already or cannot be written, or a tool is missing or fails.
    """
    if file.exists():
        raise ConfigurationError(f"{file} is there already; name a new file", field="file")
    beside = file.with_name(f"{file.name}.part")
    try:
        beside.unlink(missing_ok=True)
        if engine.dialect.name == "sqlite":
            _copy_sqlite(engine, beside)
        else:
            _run("pg_dump", engine.url, "--format=custom", "--no-owner", f"--file={beside}")
        _make_durable(beside)
        beside.rename(file)
        _make_durable(file.parent)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(f"{file} cannot be written: {error}", field="file") from error
    finally:
        beside.unlink(missing_ok=True)
    return file.stat().st_size


def restore(url: str, file: Path) -> None:
    """Make the database of a URL, which must have no tables yet, what a copy holds.

    Raises `ConfigurationError` where there are tables, or the file is no copy, or one of the other kind of database.
    """
    kind = _kind_of(file)
    target = address_of(url)
    if kind != target.get_backend_name():
        raise ConfigurationError(
            f"{file} is a copy of {kind}, and LOYALTY_DATABASE_URL names {target.get_backend_name()}; a copy goes back "
            "to the kind of database it came from",
            field="file",
        )
    if kind == "sqlite":
        _restore_sqlite(target, file)
        return
    engine = open_database(url)
    try:
        with answering(engine):
            _require_empty(engine)
    finally:
        engine.dispose()
    _run("pg_restore", target, "--no-owner", "--exit-on-error", "--single-transaction", str(file))


def _kind_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            begins = opened.read(len(_SQLITE))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error}", field="file") from error
    if begins == _SQLITE:
        return "sqlite"
    if begins.startswith(_PGDUMP):
        return "postgresql"
    raise ConfigurationError(f"{file} is no copy that `loyalty-adapter backup` made", field="file")


def _copy_sqlite(engine: Engine, file: Path) -> None:
    with engine.connect() as connection:
        source = connection.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        source.execute("VACUUM INTO ?", (str(file),))
    with closing(sqlite3.connect(file)) as copy:
        (found,) = copy.execute("PRAGMA quick_check").fetchone()
        if found != "ok":
            raise ConfigurationError(f"the copy is damaged: {found}; is the disk sound?", field="file")


def _restore_sqlite(target: URL, file: Path) -> None:
    database = Path(target.database or "")
    if database.exists() and database.stat().st_size:
        engine = open_database(target.render_as_string(hide_password=False))
        try:
            _require_empty(engine)
        finally:
            engine.dispose()
    database.parent.mkdir(parents=True, exist_ok=True)
    beside = database.with_name(f"{database.name}.part")
    for name in (
        "",
        "-wal",
        "-shm",
    ):  # those of an empty database that was there would be taken for the copy's
        database.with_name(database.name + name).unlink(missing_ok=True)
    shutil.copyfile(file, beside)
    _make_durable(beside)
    beside.rename(database)
    _make_durable(database.parent)


def _require_empty(engine: Engine) -> None:
    if inspect(engine).get_table_names():
        raise ConfigurationError(
            f"the database {shown(engine.url)} has tables already; restore into a new one", field="file"
        )


def _run(tool: str, url: URL, *options: str) -> None:
    """Run one of PostgreSQL's own tools. The password goes by the environment, where no list of processes shows it."""
    where, password = for_programs(url)
    environment = dict(os.environ) | ({"PGPASSWORD": password} if password else {})
    try:
        ran = subprocess.run(  # noqa: S603 - a tool's name of ours, and a list of arguments, which no shell reads
            [tool, f"--dbname={where}", *options],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        advice = "install PostgreSQL's client programs (Debian: postgresql-client)"
        raise ConfigurationError(f"{tool} is not on this machine: {advice}") from error
    if ran.returncode:
        raise ConfigurationError(f"{tool} failed: {ran.stderr.strip()[-500:]}")


def _make_durable(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
