"""Who is let in: a key that is right, and that does not ask too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.web.auth import Key, Keys
from adapter.web.buckets import Buckets, Taken
from adapter.web.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from adapter.catalog import Catalog
    from adapter.clock import Millis
    from adapter.web.parts import Parts


class Gate:
    """Stands before every route of the API; a process has one."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        self._tally = parts.tally
        self._keys = Keys(parts.engine, settings.key_cache_ms)
        self._burst = settings.rate_burst
        self._buckets = Buckets(settings.rate_per_s, settings.rate_burst) if settings.rate_per_s else None

    def knows(self, headers: Mapping[str, str], now: Millis) -> bool:
        """Return whether `admit` can tell of a request without asking the database. Raises like it for what is no key."""
        return self._keys.remembers(headers, now)

    def admit(
        self, headers: Mapping[str, str], catalog: Catalog, now: Millis, told: MutableMapping[str, str]
    ) -> Key:
        """Return the key of a request; `told` gets the headers that say how often it may still ask.

        Raises `Problem`: 401 for a key that is not right, 429 for one that asks too often.
        """
        key = self._keys.open(headers, catalog, now)
        if self._buckets is None:
            return key
        taken = self._buckets.take((key.env, key.id), now)
        told.update(_limits(self._burst, taken))
        if taken.granted:
            return key
        self._tally.limited.labels(*self._tally.whose(catalog, key.env)).inc()
        raise Problem(
            "rate_limited",
            f"This API key asks more often than it may; ask again in {taken.next_in_s} s.",
            headers=(("Retry-After", str(taken.next_in_s)),),
        )


def _limits(burst: int, taken: Taken) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(burst),
        "RateLimit-Remaining": str(taken.left),
        "RateLimit-Reset": str(taken.full_in_s),
    }
