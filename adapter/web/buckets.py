"""How often a key may ask: a bucket of tokens for each API key.

A request takes one token; tokens come back at a steady rate, up to a full bucket. So a burst is welcome and a runaway
client is not. The buckets are this process's own: with several web processes each grants the whole rate. One that all
share would cost every read a write.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.clock import Millis

TOKEN = 1000
"""A token, in the unit that buckets count in: a rate in tokens a second gives whole units each millisecond."""
BUCKETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether there was a token; how many are left; in how many seconds the bucket is full, and the next one there."""

    granted: bool
    left: int
    full_in_s: int
    next_in_s: int


class Buckets:
    """The buckets of all keys: `burst` tokens each, filled at `per_s` a second."""

    def __init__(self, per_s: int, burst: int) -> None:
        self._per_s = per_s
        self._full = burst * TOKEN
        self._lock = threading.Lock()
        self._levels: dict[tuple[int, int], tuple[Millis, int]] = {}

    def take(self, key: tuple[int, int], now: Millis) -> Taken:
        """Take a token of the key (env, id), if there is one."""
        with self._lock:
            level = self._level(key, now)
            granted = level >= TOKEN
            level -= TOKEN if granted else 0
            if key not in self._levels and len(self._levels) >= BUCKETS_MAX:
                self._forget_full(now)
            self._levels[key] = (now, level)
        return Taken(granted, level // TOKEN, self._seconds(self._full - level), self._seconds(TOKEN - level))

    def _level(self, key: tuple[int, int], now: Millis) -> int:
        """Return what is in a bucket now; a clock that was set back adds nothing."""
        at, level = self._levels.get(key, (now, self._full))
        return min(self._full, level + max(now - at, 0) * self._per_s)

    def _seconds(self, units: int) -> int:
        """Return in how many whole seconds so much is there, rounded up."""
        return max(-(-units // (self._per_s * TOKEN)), 0)

    def _forget_full(self, now: Millis) -> None:
        """Drop the buckets that are as good as new, or all of them where none is."""
        levels = self._levels
        self._levels = {key: levels[key] for key in levels if self._level(key, now) < self._full}
        if len(self._levels) >= BUCKETS_MAX:
            self._levels = {}
