"""Reading what is configured: a snapshot of it, and a cache that looks at most once a second whether it changed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from sqlalchemy import select, text

from adapter.catalog import (
    Catalog,
    Definition,
    DialectSettings,
    Endpoint,
    EndpointSecret,
    Environment,
    ProgramVersion,
    Source,
)
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.pipeline import Query, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

REFRESH_AFTER_S = 1.0


def load_catalog(connection: Connection) -> Catalog:
    """Read everything that is configured."""
    configured = connection.execute(select(t.configuration)).one_or_none()
    programs: dict[tuple[int, str], list[ProgramVersion]] = {}
    ordered = select(t.programs).order_by(t.programs.c.env, t.programs.c.name, t.programs.c.version)
    for row in connection.execute(ordered):
        kept = ProgramVersion(row.version, row.published_at, Program.model_validate_json(row.body))
        programs.setdefault((row.env, row.name), []).append(kept)
    endpoints = [_endpoint(row) for row in connection.execute(select(t.endpoints).order_by(t.endpoints.c.id))]
    by_env: dict[int, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_env.setdefault(endpoint.env, []).append(endpoint)
    return Catalog(
        version=0 if configured is None else configured.version,
        publishes=configured is not None and bool(configured.publishes),
        names_lots=configured is None or bool(configured.names_lots),
        environments={
            row.id: Environment(row.id, row.tenant, row.mode, bytes(row.secret))
            for row in connection.execute(select(t.environments))
        },
        programs={key: tuple(value) for key, value in programs.items()},
        definitions={
            (row.env, row.id): Definition(row.id, row.program, row.name, row.unit, row.decimals)
            for row in connection.execute(select(t.definitions))
        },
        sources={row.name: _source(row) for row in connection.execute(select(t.sources))},
        endpoints={(endpoint.env, endpoint.id): endpoint for endpoint in endpoints},
        endpoints_of={env: tuple(group) for env, group in by_env.items()},
        dialects={(row.env, row.name): _dialect(row) for row in connection.execute(select(t.dialects))},
    )


def lock_configuration(connection: Connection) -> int:
    """Have whoever else changes what is configured wait until this unit of work is over; return its version."""
    connection.execute(
        text("INSERT INTO configuration (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING")
    )
    return int(connection.execute(select(t.configuration.c.version).with_for_update()).scalar_one())


def raise_version(connection: Connection) -> None:
    """Tell every process that what is configured has changed."""
    connection.execute(
        text(
            "INSERT INTO configuration (id, version) VALUES (1, 1)"
            " ON CONFLICT (id) DO UPDATE SET version = configuration.version + 1"
        )
    )


class CatalogCache:
    """Keeps the newest catalog; looks at its version at most once a second, or when told to."""

    def __init__(self, engine: Engine, refresh_after_s: float = REFRESH_AFTER_S) -> None:
        self._engine = engine
        self._refresh_after_s = refresh_after_s
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None
        self._checked = 0.0

    @property
    def fresh(self) -> bool:
        """Return whether `get` needs no look at the database."""
        return time.monotonic() - self._checked < self._refresh_after_s

    def get(self, *, fresh: bool = False) -> Catalog:
        """Return a catalog that is at most `refresh_after_s` old, or the newest when `fresh`."""
        with self._lock:
            if self._catalog is None or fresh or not self.fresh:
                with self._engine.connect() as connection:
                    self._catalog = newest(connection, self._catalog)
                self._checked = time.monotonic()
            return self._catalog

    def learn(self, catalog: Catalog) -> None:
        """Take a newer catalog that somebody just read."""
        with self._lock:
            if self._catalog is None or catalog.version > self._catalog.version:
                self._catalog = catalog


VERSION = Query("SELECT version FROM configuration")
"""Asks which version of everything that is configured is the newest one."""


def newest(connection: Connection, known: Catalog | None) -> Catalog:
    """Return `known` if nothing changed since, else a new snapshot."""
    return newest_of(connection, known, read(connection, VERSION))


def newest_of(connection: Connection, known: Catalog | None, versions: Sequence[Any]) -> Catalog:
    """Return the same where the answer to `VERSION` is there already."""
    version = versions[0].version if versions else 0
    if known is not None and known.version == version:
        return known
    return load_catalog(connection)


def _source(row: Any) -> Source:
    return Source(
        row.env,
        row.name,
        row.connector,
        row.program,
        row.orders_of,
        tuple(orjson.loads(row.secrets)),
        orjson.loads(row.options),
    )


def _dialect(row: Any) -> DialectSettings:
    return DialectSettings(
        row.env, row.name, row.program, row.definition, row.customers_of, orjson.loads(row.options)
    )


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        env=row.env,
        id=row.id,
        url=row.url,
        secrets=tuple(msgspec.json.decode(row.secrets, type=list[EndpointSecret])),
        events=tuple(orjson.loads(row.events)),
        format=row.format,
        schedule=tuple(orjson.loads(row.schedule)),
        timeout_s=row.timeout_s,
        ordered=bool(row.ordered),
        headers=orjson.loads(row.headers),
        concurrency=row.concurrency,
        rate_per_s=row.rate_per_s,
        description=row.description,
        state=row.state,
        disabled_reason=row.disabled_reason,
    )
