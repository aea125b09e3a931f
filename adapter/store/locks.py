"""Locks of rows and of names, where PostgreSQL needs them: SQLite's writer is alone anyway."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from adapter.store.pipeline import Query, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection


def lock_names(connection: Connection, names: Iterable[tuple[Any, ...]]) -> None:
    """Hold names until the commit: see `holding_names`."""
    read(connection, holding_names(connection, names))


def holding_names(connection: Connection, names: Iterable[tuple[Any, ...]]) -> Query | None:
    """Return what holds names until the commit, in one order: another unit of work that wants one of them waits.

    For what may have no row yet. SQLite's writer is alone anyway.
    """
    if connection.dialect.name == "sqlite":
        return None
    numbers = {blake2b(repr(name).encode(), digest_size=8).digest() for name in names}
    if not numbers:
        return None
    from adapter.store.arrays import pack

    keys = pack("bigint", sorted(int.from_bytes(number, signed=True) for number in numbers))
    return Query("SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS k", (keys,))


def lock_of(connection: Connection, *aliases: str) -> str:
    """Return the end of a SELECT that locks the rows of these tables; SQLite's writer is alone anyway."""
    return "" if connection.dialect.name == "sqlite" else f" FOR UPDATE OF {', '.join(aliases)}"
