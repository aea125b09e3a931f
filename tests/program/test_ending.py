"""When points end: terms, periods, days of the year; in the program's time zone, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapter.clock import LATEST, iso, parse
from adapter.program.ending import Expiry, expires_at

BERLIN, UTC_ZONE = "Europe/Berlin", "UTC"

TERMS = [
    # rule, time zone, available from → the first instant at which they are over
    ({}, BERLIN, "2026-11-18T12:00:00Z", None),
    ({"months": 12}, UTC_ZONE, "2026-11-18T12:00:00.001Z", "2027-11-18T12:00:00.001Z"),
    ({"months": 1}, UTC_ZONE, "2027-01-31T08:00:00Z", "2027-02-28T08:00:00.000Z"),
    ({"months": 1}, BERLIN, "2026-10-20T10:00:00Z", "2026-11-20T11:00:00.000Z"),  # the same time of day there
    ({"days": 1}, BERLIN, "2027-03-27T11:00:00Z", "2027-03-28T10:00:00.000Z"),  # a day of 23 hours
    ({"days": 1}, BERLIN, "2026-10-24T10:00:00Z", "2026-10-25T11:00:00.000Z"),  # a day of 25 hours
    # the end of the period in which they became available
    ({"end_of": "month"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2026-12-01T00:00:00.000Z"),
    ({"end_of": "quarter"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2027-01-01T00:00:00.000Z"),
    ({"end_of": "year"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2027-01-01T00:00:00.000Z"),
    ({"end_of": "year"}, BERLIN, "2026-11-18T12:00:00Z", "2026-12-31T23:00:00.000Z"),
    ({"end_of": "month"}, BERLIN, "2026-10-10T00:00:00Z", "2026-10-31T23:00:00.000Z"),  # summer time ended meanwhile
    ({"end_of": "month"}, BERLIN, "2027-03-10T00:00:00Z", "2027-03-31T22:00:00.000Z"),  # and began
    ({"end_of": "quarter"}, BERLIN, "2026-03-31T21:59:59.999Z", "2026-03-31T22:00:00.000Z"),
    ({"end_of": "quarter"}, BERLIN, "2026-03-31T22:00:00.000Z", "2026-06-30T22:00:00.000Z"),
    # a term, and then until the end of the period
    ({"months": 12, "end_of": "month"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2027-12-01T00:00:00.000Z"),
    ({"months": 1, "end_of": "month"}, UTC_ZONE, "2027-01-31T12:00:00Z", "2027-03-01T00:00:00.000Z"),
    ({"months": 3, "end_of": "quarter"}, UTC_ZONE, "2026-12-31T23:59:59.999Z", "2027-04-01T00:00:00.000Z"),
    ({"end_of": "day"}, BERLIN, "2026-11-18T12:00:00Z", "2026-11-18T23:00:00.000Z"),
    ({"end_of": "week"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2026-11-23T00:00:00.000Z"),  # the 18th is a Wednesday
    ({"weeks": 2, "end_of": "week"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2026-12-07T00:00:00.000Z"),
    ({"weeks": 2, "days": 1}, UTC_ZONE, "2026-11-18T12:00:00Z", "2026-12-03T12:00:00.000Z"),
    ({"years": 1, "months": 1}, UTC_ZONE, "2026-11-18T12:00:00Z", "2027-12-18T12:00:00.000Z"),
    ({"weeks": 1, "start_of": "week"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2026-11-23T00:00:00.000Z"),
    ({"months": 1, "start_of": "month"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2026-12-01T00:00:00.000Z"),
    ({"years": 1, "start_of": "year"}, BERLIN, "2026-11-18T12:00:00Z", "2026-12-31T23:00:00.000Z"),
    # the period began before the points were there: its end
    ({"days": 1, "start_of": "month"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2026-12-01T00:00:00.000Z"),
    ({"days": 30, "end_of": "year"}, UTC_ZONE, "2026-12-02T00:00:00Z", "2028-01-01T00:00:00.000Z"),
    ({"days": 30, "end_of": "year"}, UTC_ZONE, "2026-12-01T23:59:59.999Z", "2027-01-01T00:00:00.000Z"),
    # a day of the year, with that day
    ({"on": "31-12"}, UTC_ZONE, "2026-11-18T12:00:00Z", "2027-01-01T00:00:00.000Z"),
    ({"on": "31-12"}, UTC_ZONE, "2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00.000Z"),
    ({"on": "31-12"}, UTC_ZONE, "2027-01-01T00:00:00.000Z", "2028-01-01T00:00:00.000Z"),
    ({"on": "30-06"}, BERLIN, "2026-06-30T21:59:59.999Z", "2026-06-30T22:00:00.000Z"),
    ({"on": "30-06"}, BERLIN, "2026-06-30T22:00:00.000Z", "2027-06-30T22:00:00.000Z"),
    ({"on": "29-02"}, UTC_ZONE, "2026-12-01T00:00:00Z", "2027-03-01T00:00:00.000Z"),  # the last of that month
    ({"on": "29-02"}, UTC_ZONE, "2027-12-01T00:00:00Z", "2028-03-01T00:00:00.000Z"),
    ({"on": "28-03"}, BERLIN, "2027-03-01T00:00:00Z", "2027-03-28T22:00:00.000Z"),  # the day of 23 hours itself
    ({"months": 1200}, UTC_ZONE, "9950-01-01T00:00:00Z", iso(LATEST)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "zone", "available", "ends"), TERMS, ids=str)
def test_points_end(rule: dict[str, Any], zone: str, available: str, ends: str | None) -> None:
    end = expires_at(parse(available), Expiry.model_validate(rule), zone)
    assert (None if end is None else iso(end)) == ends


WRONG = [
    ({"on": "31-12", "months": 1}, "on: a day of the year stands alone"),
    ({"on": "31-12", "end_of": "year"}, "on: a day of the year stands alone"),
    ({"on": "31-06"}, "write a day and a month that there are"),
    ({"on": "00-06"}, "write a day and a month that there are"),
    ({"on": "12-31"}, "write a day and a month that there are"),
    ({"on": "6-1"}, "should match pattern"),
    ({"end_of": "decade"}, "'day', 'week', 'month', 'quarter' or 'year'"),
    ({"start_of": "week"}, "start_of: give a term"),
    ({"weeks": 2, "start_of": "week", "end_of": "month"}, "start_of: give a term"),
    ({"on": "31-12", "start_of": "year"}, "on: a day of the year stands alone"),
]


@pytest.mark.parametrize(("rule", "says"), WRONG, ids=str)
def test_a_rule_that_says_nothing_is_refused(rule: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Expiry.model_validate(rule)


INSTANT = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - the strategy adds the zone
    lambda moment: int(moment.timestamp() * 1000)
)
RULES = st.one_of(
    st.fixed_dictionaries(
        {"end_of": st.sampled_from(["month", "quarter", "year"])},
        optional={"months": st.integers(1, 30), "days": st.integers(1, 400)},
    ),
    st.builds(lambda day, month: {"on": f"{day:02}-{month:02}"}, st.integers(1, 29), st.integers(1, 12)),
).map(Expiry.model_validate)
ZONES = st.sampled_from([UTC_ZONE, BERLIN, "America/New_York", "Africa/Cairo", "Pacific/Chatham"])


@given(first=INSTANT, second=INSTANT, rule=RULES, zone=ZONES)
def test_who_earns_later_never_loses_earlier(first: int, second: int, rule: Expiry, zone: str) -> None:
    ends = [expires_at(at, rule, zone) or 0 for at in sorted([first, second])]
    assert ends == sorted(ends)
    assert all(at < end for at, end in zip(sorted([first, second]), ends, strict=True)), "not over at once"
