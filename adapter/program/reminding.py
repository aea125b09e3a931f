"""When members are reminded of points and vouchers that end: some days before the day on which they can last be used.

A day is the calendar's in the program's time zone, and the hour of the day the program's. So whatever ends on one day
is told of together, and a member hears at most once a day.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from adapter.clock import to_datetime
from adapter.program.part import Part

if TYPE_CHECKING:
    from adapter.clock import Millis

Days = Annotated[int, Field(ge=1, le=366)]


class Reminders(Part):
    """How long before something of theirs ends members are reminded: no days, no reminders."""

    days_before: Annotated[tuple[Days, ...], Field(max_length=10)] = ()
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "09:00"  # the time of day


def reminds_at(ends_at: Millis | None, reminders: Reminders, timezone: str, after: Millis) -> Millis | None:
    """Return the first instant after another at which a member is reminded of what ends then; None: never."""
    if ends_at is None or not reminders.days_before:
        return None
    zone = ZoneInfo(timezone)
    last_day = to_datetime(ends_at - 1).astimezone(zone).date()
    hour = time.fromisoformat(reminders.at)
    instants = [
        round(datetime.combine(last_day - timedelta(days=days), hour, zone).timestamp() * 1000)
        for days in reminders.days_before
    ]
    return min((at for at in instants if at > after), default=None)
