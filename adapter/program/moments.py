"""Moments as a marketer writes them: a date, a local time of the program's time zone, or an exact instant.

TOML has all three: `2026-11-27`, `2026-11-27T18:00:00` and `2026-11-27T18:00:00Z`; as text they are the same ISO 8601.
They are kept as that text, because what the first two mean depends on the program's time zone.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

if TYPE_CHECKING:
    from adapter.clock import Millis


def _moment(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    try:
        return _read(value).isoformat()
    except (TypeError, ValueError):
        raise ValueError("write a date (2026-11-27) or a time (2026-11-27T18:00:00)") from None


def _read(text: str) -> date:
    return date.fromisoformat(text) if len(text) == len("2026-11-27") else datetime.fromisoformat(text)


Moment = Annotated[str, BeforeValidator(_moment)]


@lru_cache(maxsize=1024)
def opening(moment: str, timezone: str) -> Millis:
    """Return the first instant from this moment on; of a date its midnight."""
    return _instant(_read(moment), timezone)


@lru_cache(maxsize=1024)
def closing(moment: str, timezone: str) -> Millis:
    """Return the first instant after this moment; of a date the midnight after it."""
    read = _read(moment)
    return _instant(read if isinstance(read, datetime) else read + timedelta(days=1), timezone)


def _instant(read: date, timezone: str) -> Millis:
    if not isinstance(read, datetime):
        read = datetime(read.year, read.month, read.day)  # noqa: DTZ001 - the zone is set below
    at = read if read.tzinfo else read.replace(tzinfo=ZoneInfo(timezone))
    return round(at.timestamp() * 1000)
