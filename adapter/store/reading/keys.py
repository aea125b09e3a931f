"""API keys by their hash: a look-up that begins outside an environment, for it decides which one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import ColumnElement, Connection, and_, select

from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.clock import Millis


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept."""

    env: int
    id: int
    scopes: frozenset[str]
    expires_at: Millis | None
    revoked_at: Millis | None


_COLUMNS = tuple(t.api_keys.c[name] for name in ("env", "id", "scopes", "expires_at", "revoked_at"))


def find_key(connection: Connection, hashed: bytes) -> StoredKey | None:
    """Return the key with this SHA-256, whatever its state."""
    return _stored(connection, t.api_keys.c.hash == hashed)


def find_key_by_id(connection: Connection, env: int, number: int) -> StoredKey | None:
    """Return a key of this environment, whatever its state."""
    return _stored(connection, and_(t.api_keys.c.env == env, t.api_keys.c.id == number))


def _stored(connection: Connection, which: ColumnElement[bool]) -> StoredKey | None:
    row = connection.execute(select(*_COLUMNS).where(which)).one_or_none()
    if row is None:
        return None
    return StoredKey(row.env, row.id, frozenset(orjson.loads(row.scopes)), row.expires_at, row.revoked_at)
