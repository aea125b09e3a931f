"""Who asks: an API key, which opens one environment and carries scopes.

A token is looked up by its SHA-256 and never kept. Each way in which a key can be wrong has its own code,
because the person who sees the 401 has to do something different each time.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.store.reading.keys import StoredKey, find_key
from adapter.web.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from adapter.catalog import Catalog
    from adapter.clock import Millis

TOKEN_MAX = 256
CACHE_MAX = 10_000
_PREFIXES = {"sk_test_": "test", "sk_live_": "live"}
_HINT = "Send it as `Authorization: Bearer sk_…`, `api-key: sk_…` or `X-Api-Key: sk_…`."


@dataclass(frozen=True, slots=True)
class Key:
    """A key that may be used now, and what it opens."""

    env: int
    id: int
    scopes: frozenset[str]

    def allows(self, scope: str) -> bool:
        """Return whether a scope such as `members:read` is among its own, by name, `members:*` or `*`."""
        noun = scope.partition(":")[0]
        return not self.scopes.isdisjoint(("*", f"{noun}:*", scope))


NOBODY = Key(0, 0, frozenset())
"""Who sends a form to be given a key: it opens nothing."""


def token_of(headers: Mapping[str, str]) -> str:
    """Return the token that a request carries; header names are lower-case.

    Raises `Problem` where there is none, or where it is not a token at all, or where two differ.
    """
    found = {value for name in ("api-key", "x-api-key") if (value := headers.get(name, "").strip())}
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Problem("api_key_malformed", f"The Authorization header is not `Bearer <key>`. {_HINT}")
        found.add(token.strip())
    if not found:
        raise Problem("api_key_missing", f"The request carries no API key. {_HINT}")
    token = found.pop()
    if found:
        raise Problem("api_key_malformed", "The request carries two different API keys; send one.")
    if len(token) > TOKEN_MAX or not token.isascii() or not token.isprintable() or " " in token:
        raise Problem(
            "api_key_malformed", f"The API key is not a key of ours: they are plain ASCII text. {_HINT}"
        )
    return token


def digest(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def check_usable(stored: StoredKey, now: Millis) -> None:
    """Raise `Problem` for a key that was revoked or has expired."""
    if stored.revoked_at is not None and stored.revoked_at <= now:
        raise Problem("api_key_revoked", "This API key was revoked; use another one.")
    if stored.expires_at is not None and stored.expires_at <= now:
        raise Problem("api_key_expired", "This API key has expired; make a new one with `keys create`.")


class Keys:
    """Looks keys up, and remembers each for a moment; a key that was not found is remembered as well."""

    def __init__(self, engine: Engine, cache_ms: int) -> None:
        self._engine = engine
        self._cache_ms = cache_ms
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[Millis, StoredKey | None]] = {}

    def open(self, headers: Mapping[str, str], catalog: Catalog, now: Millis) -> Key:
        """Return the key of a request. Raises `Problem` with the code that says what is wrong with it."""
        token = token_of(headers)
        stored = self._find(token, now)
        if stored is None:
            raise self._unknown(token, now)
        check_usable(stored, now)
        mode = _mode_of(token)
        environment = catalog.environments.get(stored.env)
        if mode is not None and environment is not None and environment.mode != mode:
            raise _wrong_environment(mode, environment.mode)
        return Key(stored.env, stored.id, stored.scopes)

    def remembers(self, headers: Mapping[str, str], now: Millis) -> bool:
        """Return whether the key of a request was looked up a moment ago. Raises `Problem` for what is no key at all."""
        return self._remembered(digest(token_of(headers)), now) is not None

    def _unknown(self, token: str, now: Millis) -> Problem:
        """Say so where the same key exists for the other mode: a mix-up that everybody makes once."""
        mode = _mode_of(token)
        if mode is not None:
            other = "live" if mode == "test" else "test"
            if self._find(token.replace(f"sk_{mode}_", f"sk_{other}_", 1), now) is not None:
                return _wrong_environment(mode, other)
        return Problem("api_key_invalid", "This API key is not known here.")

    def _find(self, token: str, now: Millis) -> StoredKey | None:
        hashed = digest(token)
        if (seen := self._remembered(hashed, now)) is not None:
            return seen[1]
        with self._engine.connect() as connection:
            stored = find_key(connection, hashed)
        with self._lock:
            if len(self._known) >= CACHE_MAX:
                self._known.clear()
            self._known[hashed] = (now, stored)
        return stored

    def _remembered(self, hashed: bytes, now: Millis) -> tuple[Millis, StoredKey | None] | None:
        with self._lock:
            seen = self._known.get(hashed)
        return seen if seen is not None and 0 <= now - seen[0] < self._cache_ms else None


def _mode_of(token: str) -> str | None:
    return next((mode for prefix, mode in _PREFIXES.items() if token.startswith(prefix)), None)


def _wrong_environment(mode: str, other: str) -> Problem:
    return Problem(
        "api_key_wrong_environment",
        f"This is a key for {mode} mode, but what it names is in {other} mode; use the {other} key.",
    )


def require_scope(key: Key, scope: str) -> None:
    """Raise `Problem` (403) naming the scope that the key lacks."""
    if not key.allows(scope):
        raise Problem("scope_missing", f"This API key lacks the scope `{scope}`.", errors=(("scope", scope),))
