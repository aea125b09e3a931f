"""Cursors as callers get them: the place in a list, sealed with the list and the environment that it belongs to.

A place alone would fit most lists, and show somebody who mixes two up a page that is silently wrong.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from adapter.store.reading.paging import CursorInvalid, decode_place, encode_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping

SEALED = 3  # list, environment, path; the place follows


def seal(cursor: str | None, of: str, env: int, path: Mapping[str, str]) -> str | None:
    """Return a reading's cursor as one of this list, named by its route."""
    return None if cursor is None else encode_cursor(of, env, _mark(path), *decode_place(cursor))


def unseal(cursor: str, of: str, env: int, path: Mapping[str, str]) -> str:
    """Return the reading's own cursor. Raises `CursorInvalid` that says to which list or environment it belongs."""
    place: Any = decode_place(cursor)
    if not isinstance(place, list) or len(place) <= SEALED or not isinstance(place[0], str):
        raise CursorInvalid("This cursor belongs to another list.", field="cursor")
    if place[0] != of:
        raise CursorInvalid(f"This cursor belongs to another list, {place[0][:40]!r}.", field="cursor")
    if place[1] != env:
        raise CursorInvalid("This cursor belongs to another environment.", field="cursor")
    if place[2] != _mark(path):
        raise CursorInvalid(f"This cursor belongs to another address of {of!r}.", field="cursor")
    return encode_cursor(*place[SEALED:])


def _mark(path: Mapping[str, str]) -> str:
    """Return a few letters that stand for what a path names; nothing where it names nothing."""
    if not path:
        return ""
    named = orjson.dumps(sorted(path.items()))
    return hashlib.sha256(named).hexdigest()[:8]
