"""API keys as they are kept: a hash, the first letters, scopes, and when they end. Never the token."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, insert, select, update

from adapter.clock import Millis, iso
from adapter.errors import NotFound
from adapter.ids import new_id, show
from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Sequence

HINT_LETTERS = 12
View = dict[str, Any]


def new_token(mode: str) -> str:
    """Return a fresh token that says which mode it opens."""
    return f"sk_{mode}_{secrets.token_hex(16)}"


def create(
    connection: Connection,
    env: int,
    token: str,
    scopes: Sequence[str],
    *,
    now: Millis,
    expires_at: Millis | None = None,
) -> View:
    """Keep a key for a token."""
    row = {
        "env": env,
        "id": new_id(now),
        "hash": hashlib.sha256(token.encode()).digest(),
        "hint": token[:HINT_LETTERS],
        "scopes": orjson.dumps(list(scopes)).decode(),
        "created_at": now,
        "expires_at": expires_at,
        "revoked_at": None,
    }
    connection.execute(insert(t.api_keys), row)
    found = connection.execute(_keys(env).where(t.api_keys.c.id == row["id"])).one()
    return _view(found, now)


def listed(connection: Connection, env: int, *, now: Millis, limit: int = 100) -> list[View]:
    """Return the keys of an environment, newest first, also those that open nothing any more."""
    rows = connection.execute(_keys(env).order_by(t.api_keys.c.id.desc()).limit(limit))
    return [_view(row, now) for row in rows]


def revoke(connection: Connection, env: int, key: int, *, now: Millis) -> None:
    """Let a key open nothing any more; one that is revoked stays so since then. Raises `NotFound`."""
    keys = t.api_keys.c
    row = connection.execute(_keys(env).where(keys.id == key)).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no key {show('key', key)} here; see `loyalty-adapter keys list`", field="key"
        )
    if row.revoked_at is None:
        connection.execute(update(t.api_keys).where(keys.env == env, keys.id == key).values(revoked_at=now))


def _keys(env: int) -> Any:
    return select(t.api_keys).where(t.api_keys.c.env == env)


def _view(row: Any, now: Millis) -> View:
    return {
        "id": show("key", row.id),
        "hint": f"{row.hint}…",
        "scopes": orjson.loads(row.scopes),
        "state": _state(row, now),
        "created_at": iso(row.created_at),
        "expires_at": None if row.expires_at is None else iso(row.expires_at),
        "revoked_at": None if row.revoked_at is None else iso(row.revoked_at),
    }


def _state(row: Any, now: Millis) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "active"
