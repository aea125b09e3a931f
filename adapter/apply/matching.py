"""Making the database match: first what goes, then what comes, so that a name can move between tenants."""

from __future__ import annotations

from secrets import token_bytes
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, func, insert, select, update

from adapter.apply import dialects, endpoints, keys, programs, sources
from adapter.apply.change import Action, Change, told
from adapter.apply.file import ApplyFile, TenantEntry, read_file
from adapter.apply.target import Target
from adapter.store import tables as t
from adapter.store.configuration import load_catalog, lock_configuration
from adapter.store.database import in_unit_of_work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapter.catalog import Catalog
    from adapter.clock import Millis

SECRET_BYTES = 32


def apply(engine: Engine, path: Path, *, now: Millis) -> list[str]:
    """Make the database match a file and return the lines that say what that took.

    Raises `ConfigurationError` that names every place at fault; then nothing has changed.
    """
    return told(make_match(engine, read_file(path), now=now))


def make_match(engine: Engine, file: ApplyFile, *, now: Millis) -> tuple[Change, ...]:
    """Make the database match a checked file, in one unit of work, and return what was done to each thing."""
    return in_unit_of_work(engine, lambda connection: _apply(connection, file, now))


def _apply(connection: Connection, file: ApplyFile, now: Millis) -> tuple[Change, ...]:
    version = lock_configuration(connection)
    created = [_environment(connection, tenant, now) for tenant in file.tenants]
    catalog = load_catalog(connection)
    targets = [(_target(catalog, n, tenant, now), tenant) for n, tenant in enumerate(file.tenants)]
    changes = [change for change in created if change is not None]
    for target, tenant in targets:
        changes += _retire(connection, target, tenant)
    for target, tenant in targets:
        changes += _match(connection, target, tenant)
    if any(change.changed for change in changes):
        connection.execute(update(t.configuration).values(version=version + 1))
    return tuple(changes)


def _environment(connection: Connection, tenant: TenantEntry, now: Millis) -> Change | None:
    environments = t.environments.c
    there = select(environments.id).where(
        environments.tenant == tenant.name, environments.mode == tenant.mode
    )
    if connection.execute(there).first() is not None:
        return None
    highest = connection.execute(select(func.coalesce(func.max(environments.id), 0))).scalar_one()
    row = {"id": highest + 1, "tenant": tenant.name, "mode": tenant.mode, "created_at": now}
    connection.execute(insert(t.environments).values(row | {"secret": token_bytes(SECRET_BYTES)}))
    return Change(Action.CREATED, tenant.where, "environment", str(highest + 1))


def _target(catalog: Catalog, number: int, tenant: TenantEntry, now: Millis) -> Target:
    (env,) = (
        one.id
        for one in catalog.environments.values()
        if (one.tenant, one.mode) == (tenant.name, tenant.mode)
    )
    return Target(env, tenant.where, f"tenants[{number}]", catalog, now)


def _retire(connection: Connection, target: Target, tenant: TenantEntry) -> Iterator[Change]:
    if tenant.keys is not None:
        yield from keys.retire(connection, target, tenant.keys)
    if tenant.sources is not None:
        yield from sources.retire(connection, target, tenant.sources)
    if tenant.dialects is not None:
        yield from dialects.retire(connection, target, tenant.dialects)
    if tenant.endpoints is not None:
        yield from endpoints.retire(connection, target, tenant.endpoints)


def _match(connection: Connection, target: Target, tenant: TenantEntry) -> Iterator[Change]:
    if tenant.programs is not None:
        yield from programs.match(connection, target, tenant.programs)
    yield from keys.match(connection, target, tenant.keys or ())
    yield from sources.match(connection, target, tenant.sources or ())
    yield from dialects.match(connection, target, tenant.dialects or ())
    yield from endpoints.match(connection, target, tenant.endpoints or ())
