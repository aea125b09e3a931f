"""Where a command works: the settings, the database that they name, and one environment in it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from adapter.catalog import Environment
    from adapter.settings import Settings


@dataclass(slots=True)
class Place:
    """What the options of the root name. A command's own options may name them anew."""

    config: str | None = None
    tenant: str | None = None
    mode: str | None = None

    def settings(self, **overrides: Any) -> Settings:
        """Read the settings; `overrides` are options of the command. Raises `ConfigurationError`."""
        from adapter.settings import load_settings

        return load_settings(self.config, overrides=overrides)

    @contextmanager
    def database(self) -> Iterator[Engine]:
        """Open the database, which must have its tables.

        Raises `ConfigurationError` where it has none, or is not there, and `DatabaseUnavailable` where it does not answer.
        """
        settings = self.settings()
        _check_file(settings.database_url)
        with opened(settings) as engine:
            check_tables(engine)
            yield engine

    @contextmanager
    def reading(self) -> Iterator[tuple[Connection, int]]:
        """Open one moment of the database to read, and the number of the environment."""
        from adapter.store.reading.snapshot import snapshot

        with self.database() as engine, snapshot(engine) as connection:
            yield connection, self.environment(connection).id

    @contextmanager
    def writing(self) -> Iterator[tuple[Connection, int]]:
        """Open one unit of work and the number of the environment; committed at the end."""
        from adapter.store.database import unit_of_work

        with self.database() as engine, unit_of_work(engine) as connection:
            yield connection, self.environment(connection).id

    def environment(self, connection: Connection) -> Environment:
        """Return the environment that is meant: the only one that fits `--tenant` and `--mode`.

        Raises `ConfigurationError` that lists what there is.
        """
        from adapter.store.configuration import load_catalog

        known = sorted(load_catalog(connection).environments.values(), key=lambda one: (one.tenant, one.mode))
        fitting = [
            one for one in known if self.tenant in (None, one.tenant) and self.mode in (None, one.mode)
        ]
        if len(fitting) == 1:
            return fitting[0]
        if not known:
            raise ConfigurationError("nothing is configured yet: run `loyalty-adapter apply FILE` first")
        listed = ", ".join(f"--tenant {one.tenant} --mode {one.mode}" for one in known)
        wrong = "there are several environments" if fitting else "there is no such environment"
        raise ConfigurationError(f"{wrong}; say one of: {listed}")


pass_place = click.make_pass_decorator(Place)


@contextmanager
def opened(settings: Settings) -> Iterator[Engine]:
    """Open the database of the settings, whatever is in it. Raises `DatabaseUnavailable`."""
    from adapter.logs import configure_logs
    from adapter.store.database import answering, open_database

    configure_logs("warning" if settings.log.level == "info" else settings.log.level, settings.log.format)
    engine = open_database(settings.database_url)
    try:
        with answering(engine):
            yield engine
    finally:
        engine.dispose()


def _check_file(url: str) -> None:
    """Raise `ConfigurationError` where an embedded database is not there yet: to open it would make an empty file."""
    scheme, _, path = url.partition("///")
    if scheme == "sqlite:" and path and not path.startswith((":", "file:")) and not Path(path).exists():
        first = "run `loyalty-adapter serve`, `loyalty-adapter apply FILE` or `loyalty-adapter migrate` first"
        raise ConfigurationError(f"there is no database at {path} yet: {first}")


def check_tables(engine: Engine) -> None:
    """Raise `ConfigurationError` where the database has no tables yet."""
    from sqlalchemy import inspect

    from adapter.store.address import shown

    if not inspect(engine).has_table("environments"):
        raise ConfigurationError(
            f"the database {shown(engine.url)} has no tables: run `loyalty-adapter migrate` first"
        )
