"""Days as a program's members live them: in its time zone, from midnight to midnight.

A day is a number (`date.toordinal()`), so that it is a key of rows. A yearly day of 29 February is 28 February where
the year has none, and a month's day that a month does not have is its last one.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from adapter.clock import LATEST, Millis, to_datetime
from adapter.program.moments import opening

if TYPE_CHECKING:
    from collections.abc import Iterator

Day = int
Window = Literal["day", "week", "month", "year", "lifetime"]

ALWAYS: Day = 0
"""The first day of the window that never ends; no calendar has it."""


def day_of(at: Millis, timezone: str) -> Day:
    """Return the day that an instant is on."""
    return to_datetime(at).astimezone(ZoneInfo(timezone)).toordinal()


def midnight(day: Day, timezone: str) -> Millis:
    """Return the first instant of a day."""
    return opening(date.fromordinal(day).isoformat(), timezone)


def months_after(day: Day, months: int) -> Day:
    """Return the day so many months later, or earlier where they are negative."""
    start = date.fromordinal(day)
    years, month = divmod(start.month - 1 + months, 12)
    year = min(max(start.year + years, date.min.year), date.max.year)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(start.day, last)).toordinal()


def anniversaries(start: Day, timezone: str, after: Millis) -> Iterator[Millis]:
    """Yield the instants at which so many whole years are over, those after an instant."""
    return (at for at, _ in periods(start, timezone, after, months=12))


def periods(start: Day, timezone: str, after: Millis, *, months: int) -> Iterator[tuple[Millis, int]]:
    """Yield the instants at which so many whole periods are over, those after an instant, and how many months those are."""
    begun = 12 * (to_datetime(after).year - date.fromordinal(start).year - 1)
    number = max(begun // months, 1)
    while True:
        at = midnight(months_after(start, months * number), timezone)
        if at > LATEST - 366 * 86_400_000:
            return
        if at > after:
            yield at, months * number
        number += 1


def window_start(at: Millis, window: Window, timezone: str) -> Day:
    """Return the first day of the calendar window that an instant is in; weeks begin on Monday."""
    if window == "lifetime":
        return ALWAYS
    day = date.fromordinal(day_of(at, timezone))
    if window == "week":
        day -= timedelta(days=day.weekday())
    elif window == "month":
        day = day.replace(day=1)
    elif window == "year":
        day = day.replace(month=1, day=1)
    return day.toordinal()
