"""Limits of a balance over time: how often, and how much, one member may be credited or debited through the API."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from adapter.clock import to_datetime
from adapter.program.ending import later, start_of
from adapter.program.part import Name, Part

if TYPE_CHECKING:
    from datetime import datetime

    from adapter.clock import Millis

IN_MONTHS = {"month": 1, "year": 12}
IN_DAYS = {"day": 1, "week": 7}


class Limit(Part):
    """Most that one member may be credited or debited through the API in a time: transactions, or units of the balance.

    It is the calendar's time in the program's time zone, this `per` and the `length - 1` before it; where it is sliding,
    so much time up to the moment. What was cancelled, rejected or ran out does not count, nor what orders earn and
    redemptions spend.
    """

    name: Name
    of: Literal["credit", "debit"]
    counts: Literal["transactions", "amount"]
    most: Annotated[int, Field(ge=0, le=10**12)]
    per: Literal["hour", "day", "week", "month", "year"]
    length: Annotated[int, Field(ge=1, le=1000)] = 1
    sliding: bool = False

    def since(self, now: Millis, timezone: str) -> Millis:
        """Return the first instant that counts now."""
        moment = to_datetime(now).astimezone(ZoneInfo(timezone))
        if self.sliding:
            return _instant(self._before(moment, self.length)) + 1
        return _instant(self._before(self._begun(moment), self.length - 1))

    def _begun(self, moment: datetime) -> datetime:
        if self.per == "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        return start_of(moment, self.per)

    def _before(self, moment: datetime, length: int) -> datetime:
        if self.per == "hour":
            return moment - timedelta(hours=length)
        return later(moment, -IN_MONTHS.get(self.per, 0) * length, -IN_DAYS.get(self.per, 0) * length)


def _instant(moment: datetime) -> Millis:
    return max(round(moment.timestamp() * 1000), 0)
