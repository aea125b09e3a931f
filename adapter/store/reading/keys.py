"""API keys by their hash: a look-up that begins outside an environment, for it decides which one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection, select

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


def find_key(connection: Connection, hashed: bytes) -> StoredKey | None:
    """Return the key with this SHA-256, whatever its state."""
    columns = (
        t.api_keys.c.env,
        t.api_keys.c.id,
        t.api_keys.c.scopes,
        t.api_keys.c.expires_at,
        t.api_keys.c.revoked_at,
    )
    row = connection.execute(select(*columns).where(t.api_keys.c.hash == hashed)).one_or_none()
    if row is None:
        return None
    return StoredKey(row.env, row.id, frozenset(orjson.loads(row.scopes)), row.expires_at, row.revoked_at)
