"""When points end: after a term, at the end of a period, on a day of the year, or when a member does nothing for long.

Everything is the calendar's in the program's time zone. A day that a month does not have is its last one; a period or
a day ends with the midnight after it, so a day in which the clocks change is as long as it is there.

    months = 12                         twelve months after they became available, to the same time of day
    months = 12, end_of = "month"       at the end of the month in which that is
    weeks = 2, start_of = "week"        at the start of the week in which that is
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

from adapter.clock import LATEST, Millis, to_datetime, to_millis
from adapter.program.part import Part

MONTHS = {"month": 1, "quarter": 3, "year": 12}
Period = Literal["day", "week", "month", "quarter", "year"]
DAYS_OF_A_WEEK = 7
LEAP_YEAR = 2024  # has every day that a year can have
FAR: Millis = LATEST - 300 * 366 * 86_400_000  # from here on no calendar reaches the longest term

Activity = Literal["earn", "spend"]


class Expiry(Part):
    """When credited points end. Nothing given: never. Of a fixed end and inactivity the earlier counts."""

    years: Annotated[int, Field(ge=1, le=100)] | None = None  # terms add up
    months: Annotated[int, Field(ge=1, le=1200)] | None = None
    weeks: Annotated[int, Field(ge=1, le=5200)] | None = None
    days: Annotated[int, Field(ge=1, le=36500)] | None = None
    end_of: Period | None = None  # not before the end of this period
    start_of: Period | None = None  # at the start of the period that the term ends in, if that is to come
    on: Annotated[str, Field(pattern=r"^\d\d-\d\d$")] | None = None  # day and month: the next such day
    inactive_months: Annotated[int, Field(ge=1, le=1200)] | None = None  # since the member's last activity
    inactive_days: Annotated[int, Field(ge=1, le=36500)] | None = None
    activity: Annotated[tuple[Activity, ...], Field(min_length=1)] = ("earn", "spend")  # what puts it off

    @property
    def fixed(self) -> bool:
        """Return whether points end by themselves, whatever their member does."""
        return self.has_term or self.end_of is not None or self.on is not None

    @property
    def has_term(self) -> bool:
        return bool(self.years or self.months or self.weeks or self.days)

    @property
    def term(self) -> tuple[int, int]:
        """Return how many months and days pass."""
        months = (self.years or 0) * MONTHS["year"] + (self.months or 0)
        return months, (self.weeks or 0) * DAYS_OF_A_WEEK + (self.days or 0)

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
        if self.on is not None and (self.has_term or self.end_of or self.start_of):
            raise ValueError("on: a day of the year stands alone, without a term, end_of and start_of")
        if self.start_of is not None and (self.end_of is not None or not self.has_term):
            raise ValueError("start_of: give a term with it that is over in such a period, and no end_of")
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
    end = later(moment, *expiry.term)
    if expiry.start_of is not None:
        start = start_of(end, expiry.start_of)
        return _instant(start if start > moment else _end_of(end, expiry.start_of))
    return _instant(end if expiry.end_of is None else _end_of(end, expiry.end_of))


def idle_at(active_at: Millis, expiry: Expiry, timezone: str) -> Millis | None:
    """Return when the points of a member who was last active then end for that reason; None: never."""
    if not expiry.by_inactivity:
        return None
    if active_at > FAR:
        return LATEST
    moment = to_datetime(active_at).astimezone(ZoneInfo(timezone))
    return _instant(later(moment, expiry.inactive_months, expiry.inactive_days))


def later(moment: datetime, months: int | None, days: int | None) -> datetime:
    """Return the moment after so many months and days, or before it where they are less than nothing."""
    years, month = divmod(moment.month - 1 + (months or 0), MONTHS["year"])
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day) + timedelta(days=days or 0)


def start_of(moment: datetime, period: Period) -> datetime:
    """Return the midnight at which the period with this moment begins; weeks begin on Monday."""
    day = datetime(moment.year, moment.month, moment.day, tzinfo=moment.tzinfo)
    if period == "day":
        return day
    if period == "week":
        return day - timedelta(days=day.weekday())
    length = MONTHS[period]
    return day.replace(month=(day.month - 1) // length * length + 1, day=1)


def _end_of(moment: datetime, period: Period) -> datetime:
    """Return the midnight at which the period with this moment ends."""
    start = start_of(moment, period)
    if period == "day":
        return start + timedelta(days=1)
    if period == "week":
        return start + timedelta(days=DAYS_OF_A_WEEK)
    years, month = divmod(start.month - 1 + MONTHS[period], MONTHS["year"])
    return start.replace(year=start.year + years, month=month + 1)


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
    return min(to_millis(end), LATEST)
