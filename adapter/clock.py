"""Time, as the book keeps it: whole milliseconds since 1970, UTC.

Instants travel as integers (`Millis`) so that they compare, hash and store alike in Python, SQLite and
PostgreSQL. Nothing in `book/`, `program/` or `connectors/` asks the clock: `now` is always an argument.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Millis = int
"""Milliseconds since 1970-01-01T00:00:00Z."""

Clock = Callable[[], Millis]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
_MILLISECOND = timedelta(milliseconds=1)
CLOCKS_DIFFER_MS = 300_000
"""How far the clock of whoever tells us something, of another machine, or our own of before may be ahead."""
LATEST: Millis = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last instant that ISO 8601 can write


def now() -> Millis:
    """Return the wall clock's instant."""
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=1024)
def iso(at: Millis) -> str:
    """Write an instant as ISO 8601 with milliseconds: `2026-11-20T12:00:00.000Z`."""
    moment = EPOCH + timedelta(milliseconds=at)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


def parse(text: str) -> Millis:
    """Read an ISO 8601 instant; one without a zone is UTC.

    Raises `ValueError` for anything else, and for years that no calendar of ours reaches.
    """
    moment = datetime.fromisoformat(text)
    return (moment - (_NAIVE_EPOCH if moment.tzinfo is None else EPOCH)) // _MILLISECOND


def to_millis(moment: datetime) -> Millis:
    """Return the instant of an aware datetime; what is below a millisecond is cut off."""
    return (moment - EPOCH) // _MILLISECOND


def to_datetime(at: Millis) -> datetime:
    """Return the instant as an aware datetime in UTC."""
    return EPOCH + timedelta(milliseconds=at)
