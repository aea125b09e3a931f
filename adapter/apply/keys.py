"""API keys: only their hash is kept, and one that was revoked never opens anything again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, insert, select, update

from adapter.apply.change import Action, Change
from adapter.errors import ConfigurationError
from adapter.ids import new_id
from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapter.apply.file import KeyEntry
    from adapter.apply.target import Target


def retire(connection: Connection, target: Target, wanted: Sequence[KeyEntry]) -> Iterator[Change]:
    """Revoke what is not in the file."""
    hashes = {_hash(key) for key in wanted}
    keys = t.api_keys.c
    rows = connection.execute(select(t.api_keys).where(keys.env == target.env, keys.revoked_at.is_(None)))
    for row in rows.all():
        if row.hash not in hashes:
            connection.execute(_one(target.env, row.id).values(revoked_at=target.now))
            yield target.change(Action.REMOVED, "key", f"{row.hint}…", "revoked")


def match(connection: Connection, target: Target, wanted: Sequence[KeyEntry]) -> Iterator[Change]:
    """Create what is new and update what differs.

    Raises `ConfigurationError` for a key that was revoked or that opens another environment.
    """
    for number, key in enumerate(wanted):
        row = connection.execute(select(t.api_keys).where(t.api_keys.c.hash == _hash(key))).first()
        values = {"scopes": orjson.dumps(key.scopes).decode(), "expires_at": key.expires_ms}
        yield _matched(connection, target, number, key, (row, values))


def _matched(
    connection: Connection, target: Target, number: int, key: KeyEntry, found: tuple[Any, dict[str, Any]]
) -> Change:
    row, values = found
    name = f"{key.hint}…"
    if row is None:
        new = {"env": target.env, "id": new_id(target.now), "hash": _hash(key), "hint": key.hint}
        connection.execute(insert(t.api_keys).values(new | values | {"created_at": target.now}))
        return target.change(Action.CREATED, "key", name)
    place = f"{target.place}.keys[{number}].token"
    if row.env != target.env:
        raise ConfigurationError(f"{place}: this key opens another environment; make a new one", field=place)
    if row.revoked_at is not None:
        raise ConfigurationError(f"{place}: this key was revoked, and stays so; make a new one", field=place)
    if (row.scopes, row.expires_at) == (values["scopes"], values["expires_at"]):
        return target.change(Action.UNCHANGED, "key", name)
    connection.execute(_one(target.env, row.id).values(values))
    return target.change(Action.UPDATED, "key", name)


def _one(env: int, key: int) -> Any:
    return update(t.api_keys).where(t.api_keys.c.env == env, t.api_keys.c.id == key)


def _hash(key: KeyEntry) -> bytes:
    return hashlib.sha256(key.token.encode()).digest()
