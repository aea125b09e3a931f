"""From which instant on a limit counts."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.clock import iso, parse
from adapter.program.limits import Limit

BERLIN = "Europe/Berlin"
NOW = "2026-11-18T12:34:56.789Z"  # a Wednesday

SINCE = [
    # the limit, the time zone → the first instant that counts
    ({"per": "hour"}, "UTC", "2026-11-18T12:00:00.000Z"),
    ({"per": "hour", "length": 3}, "UTC", "2026-11-18T10:00:00.000Z"),
    ({"per": "day"}, "UTC", "2026-11-18T00:00:00.000Z"),
    ({"per": "day"}, BERLIN, "2026-11-17T23:00:00.000Z"),
    ({"per": "week"}, "UTC", "2026-11-16T00:00:00.000Z"),
    ({"per": "week", "length": 2}, "UTC", "2026-11-09T00:00:00.000Z"),
    ({"per": "month"}, "UTC", "2026-11-01T00:00:00.000Z"),
    ({"per": "month", "length": 12}, "UTC", "2025-12-01T00:00:00.000Z"),
    ({"per": "year"}, BERLIN, "2025-12-31T23:00:00.000Z"),
    ({"per": "hour", "sliding": True}, "UTC", "2026-11-18T11:34:56.790Z"),
    ({"per": "day", "sliding": True}, "UTC", "2026-11-17T12:34:56.790Z"),
    ({"per": "week", "sliding": True, "length": 2}, "UTC", "2026-11-04T12:34:56.790Z"),
    ({"per": "month", "sliding": True}, "UTC", "2026-10-18T12:34:56.790Z"),
    ({"per": "year", "sliding": True}, "UTC", "2025-11-18T12:34:56.790Z"),
    ({"per": "year", "length": 1000}, "UTC", "1970-01-01T00:00:00.000Z"),
]


@pytest.mark.parametrize(("said", "zone", "since"), SINCE, ids=str)
def test_since_when_it_counts(said: dict[str, Any], zone: str, since: str) -> None:
    limit = Limit.model_validate({"name": "l", "of": "credit", "counts": "amount", "most": 1, **said})
    assert iso(limit.since(parse(NOW), zone)) == since
