"""Which anniversaries members are told of: of becoming a member, and of reaching the tier that they are on.

Each begins with its day in the program's time zone. A reminder of a yearly one comes so many days before, at midnight too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from adapter.program.days import day_of, midnight, periods
from adapter.program.part import Part
from adapter.program.reminding import Days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.clock import Millis
    from adapter.program.days import Day

PERIODS = {"month": 1, "year": 12}


class Anniversaries(Part):
    """How often there is one, and how long before the yearly ones there are reminders."""

    every: Literal["never", "month", "year"] = "never"
    days_before: Annotated[tuple[Days, ...], Field(max_length=10)] = ()


@dataclass(frozen=True, slots=True)
class Anniversary:
    """So many whole months since a day, told at an instant: then, or so many days before."""

    at: Millis
    months: int
    days_before: int = 0


def next_of_each(start: Day, rules: Anniversaries, timezone: str, after: Millis) -> Iterator[Anniversary]:
    """Yield the next anniversary after an instant, and the next reminder of each kind."""
    if rules.every == "never":
        return
    for at, months in periods(start, timezone, after, months=PERIODS[rules.every]):
        yield Anniversary(at, months)
        break
    for days in rules.days_before:
        for at, months in periods(start, timezone, after, months=12):
            told_at = midnight(day_of(at, timezone) - days, timezone)
            if told_at > after:
                yield Anniversary(told_at, months, days)
                break
