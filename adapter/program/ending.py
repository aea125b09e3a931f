"""When points end: after a term, at the end of a period, on a day of the year, or when a member does nothing for long.

Everything is the calendar's in the program's time zone. A day that a month does not have is its last one; a period or
a day ends with the midnight after it, so a day in which the clocks change is as long as it is there.

    months = 12                         twelve months after they became available, to the same time of day
    months = 12, end_of = "month"       at the end of the month in which that is
    end_of = "year"                     at the end of the year in which they became available
    on = "31-12"                        at the end of the next 31 December; credited on that day, with it
    inactive_months = 6                 all of a member's points, six months after the last activity
"""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from adapter.clock import LATEST, Millis, to_datetime
from adapter.program.part import Part

MONTHS = {"month": 1, "quarter": 3, "year": 12}
LEAP_YEAR = 2024  # has every day that a year can have
FAR: Millis = LATEST - 300 * 366 * 86_400_000  # from here on no calendar reaches the longest term

Activity = Literal["earn", "spend"]


class Expiry(Part):
    """When credited points end. Nothing given: never. Of a fixed end and inactivity the earlier counts."""

    months: Annotated[int, Field(ge=1, le=1200)] | None = None
    days: Annotated[int, Field(ge=1, le=36500)] | None = None
    end_of: Literal["month", "quarter", "year"] | None = None  # not before the end of this period
    on: Annotated[str, Field(pattern=r"^\d\d-\d\d$")] | None = None  # day and month: the next such day
    inactive_months: Annotated[int, Field(ge=1, le=1200)] | None = None  # since the member's last activity
    inactive_days: Annotated[int, Field(ge=1, le=36500)] | None = None
    activity: Annotated[tuple[Activity, ...], Field(min_length=1)] = ("earn", "spend")  # what puts it off

    @property
    def fixed(self) -> bool:
        """Return whether points end by themselves, whatever their member does."""
        return not (self.months is None and self.days is None and self.end_of is None and self.on is None)

    @property
    def by_inactivity(self) -> bool:
        """Return whether points end when their member does nothing."""
        return not (self.inactive_months is None and self.inactive_days is None)

    @property
    def ends(self) -> bool:
        """Return whether points end at all."""
        return self.fixed or self.by_inactivity

    @field_validator("on")
    @classmethod
    def _is_a_day(cls, written: str | None) -> str | None:
        if written is not None:
            day, month = _day_and_month(written)
            if not (1 <= month <= MONTHS["year"] and 1 <= day <= calendar.monthrange(LEAP_YEAR, month)[1]):
                raise ValueError("write a day and a month that there are, such as 31-12")
        return written

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if self.on is not None and (self.months or self.days or self.end_of):
            raise ValueError("on: a day of the year stands alone, without months, days and end_of")
        return self


def _day_and_month(written: str) -> tuple[int, int]:
    day, _, month = written.partition("-")
    return int(day), int(month)


def expires_at(available_at: Millis, expiry: Expiry, timezone: str) -> Millis | None:
    """Return when points that became available then end by themselves; None: never."""
    if not expiry.fixed:
        return None
    if available_at > FAR:
        return LATEST
    moment = to_datetime(available_at).astimezone(ZoneInfo(timezone))
    if expiry.on is not None:
        return _instant(_after_day(moment, expiry.on))
    end = _later(moment, expiry.months, expiry.days)
    return _instant(end if expiry.end_of is None else _end_of(end, expiry.end_of))


def idle_at(active_at: Millis, expiry: Expiry, timezone: str) -> Millis | None:
    """Return when the points of a member who was last active then end for that reason; None: never."""
    if not expiry.by_inactivity:
        return None
    if active_at > FAR:
        return LATEST
    moment = to_datetime(active_at).astimezone(ZoneInfo(timezone))
    return _instant(_later(moment, expiry.inactive_months, expiry.inactive_days))


def _later(moment: datetime, months: int | None, days: int | None) -> datetime:
    years, month = divmod(moment.month - 1 + (months or 0), MONTHS["year"])
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day) + timedelta(days=days or 0)


def _end_of(moment: datetime, period: str) -> datetime:
    """Return the midnight at which the period with this moment ends."""
    length = MONTHS[period]
    years, month = divmod((moment.month - 1) // length * length + length, MONTHS["year"])
    return datetime(moment.year + years, month + 1, 1, tzinfo=moment.tzinfo)


def _after_day(moment: datetime, written: str) -> datetime:
    """Return the first midnight after this moment that ends such a day."""
    day, month = _day_and_month(written)
    ends = (
        datetime(year, month, min(day, calendar.monthrange(year, month)[1]), tzinfo=moment.tzinfo)
        + timedelta(days=1)
        for year in (moment.year, moment.year + 1)
    )
    return next(end for end in ends if end > moment)


def _instant(end: datetime) -> Millis:
    return min(round(end.timestamp() * 1000), LATEST)
