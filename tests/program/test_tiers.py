"""Tiers as data, and the days of a program's calendar."""

from __future__ import annotations

from datetime import date
from itertools import islice
from typing import Any

import pytest
from pydantic import ValidationError

from adapter.clock import iso, parse
from adapter.program.days import ALWAYS, anniversaries, day_of, midnight, months_after, window_start
from adapter.program.model import Program
from adapter.program.tiers import TierGroup

LADDER = [{"name": "basic"}, {"name": "silver", "threshold": "100"}, {"name": "gold", "threshold": "500.50"}]
GROUP: dict[str, Any] = {"name": "status", "measure": "lifetime_points", "tiers": LADDER}
SPEND: dict[str, Any] = {**GROUP, "measure": "spend", "currency": "EUR"}


@pytest.mark.parametrize(
    ("group", "decimals", "amount", "tier"),
    [
        (GROUP, 0, -5, "basic"),  # more was taken back than is left in the window
        (GROUP, 0, 0, "basic"),
        (GROUP, 0, 99, "basic"),
        (GROUP, 0, 100, "silver"),
        (GROUP, 0, 500, "gold"),  # 500.50 points are 500 where there are no halves
        (GROUP, 2, 9_999, "basic"),  # 99.99 of cashback
        (GROUP, 2, 10_000, "silver"),
        (GROUP, 2, 50_049, "silver"),
        (GROUP, 2, 50_050, "gold"),
        (SPEND, 0, 99_999_999, "basic"),  # 99.999999 EUR, whatever decimals the points have
        (SPEND, 0, 100_000_000, "silver"),
        (SPEND, 2, 500_500_000, "gold"),
    ],
)
def test_the_highest_tier_that_is_reached(
    group: dict[str, Any], decimals: int, amount: int, tier: str
) -> None:
    ladder = TierGroup.model_validate(group)
    assert ladder.tiers[ladder.reached(amount, decimals)].name == tier


@pytest.mark.parametrize(
    ("group", "amount", "decimals", "shown"),
    [
        (GROUP, 120, 0, 120),
        (GROUP, 1250, 2, "12.50"),
        (SPEND, 89_990_000, 0, "89.99"),
        (SPEND, 90_000_000, 0, "90.00"),
        (SPEND, 1_234_500, 0, "1.2345"),
    ],
)
def test_a_measure_is_shown_as_points_or_money(
    group: dict[str, Any], amount: int, decimals: int, shown: int | str
) -> None:
    assert TierGroup.model_validate(group).shown(amount, decimals) == shown


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"tiers": [{"name": "basic", "threshold": "1"}]}, "its threshold is 0"),
        ({"tiers": [*LADDER, {"name": "ruby", "threshold": "500.50"}]}, "of ruby must be above that of gold"),
        ({"tiers": [*LADDER, {"name": "gold", "threshold": "900"}]}, "two are called 'gold'"),
        ({"tiers": []}, "tiers"),
        ({"measure": "rolling_points"}, "window_months: a rolling measure needs it"),
        ({"window_months": 12}, "window_months: a rolling measure needs it"),
        ({"measure": "spend"}, "currency: a measure of spend needs it"),
        ({"currency": "EUR"}, "currency: a measure of spend needs it"),
        ({"upgrade": "never"}, "upgrade"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_by_its_field(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TierGroup.model_validate(GROUP | changed)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"tier_groups": [GROUP, GROUP]}, "tier_groups: two have the same name"),
        (
            {"tier_groups": [GROUP], "earning": {"rate": "1", "tier_multipliers": {"sliver": "2"}}},
            "'sliver' is no tier of the first tier group",
        ),
        (
            {"tier_groups": [GROUP], "redeeming": {"tiers": {"ruby": {"per_day": "5"}}}},
            "redeeming.tiers: 'ruby' is no tier of the first tier group",
        ),
        ({"earning": {"caps": [{"window": "day", "points": 1}, {"window": "day", "points": 2}]}}, "caps"),
        ({"earning": {"caps": [{"window": "hour", "points": 1}]}}, "window"),
        ({"bonuses": {"sign_up": -1}}, "sign_up"),
    ],
)
def test_a_program_names_what_it_has(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Program.model_validate({"name": "main", **changed})


@pytest.mark.parametrize(
    ("program", "asks"),
    [
        ({}, False),
        ({"earning": {"rate": "1", "tier_multipliers": {"gold": "2"}}}, False),  # nobody has a tier
        ({"earning": {"rate": "1", "caps": [{"window": "day", "points": 1}]}}, True),
        ({"earning": {"rules": [{"name": "first", "bonus": 5, "first_order": True}]}}, True),
        ({"bonuses": {"birthday": 5}}, True),
        ({"tier_groups": [GROUP]}, True),
    ],
)
def test_only_some_programs_ask_where_members_stand(program: dict[str, Any], asks: bool) -> None:
    assert Program.model_validate({"name": "main", **program}).has_standing is asks


# --- days -------------------------------------------------------------------------------------------------------------


def on(text: str) -> int:
    return date.fromisoformat(text).toordinal()


@pytest.mark.parametrize(
    ("start", "zone", "after", "next_ones"),
    [
        # midnight in Berlin is 23:00 UTC in winter, 22:00 in summer
        ("2025-11-20", "Europe/Berlin", "2025-11-20T12:00:00Z", ["2026-11-19T23:00", "2027-11-19T23:00"]),
        ("2025-07-01", "Europe/Berlin", "2025-07-01T12:00:00Z", ["2026-06-30T22:00", "2027-06-30T22:00"]),
        # 29 February: the 28th where the year has none
        (
            "2024-02-29",
            "UTC",
            "2026-01-01T00:00:00Z",
            ["2026-02-28T00:00", "2027-02-28T00:00", "2028-02-29T00:00"],
        ),
        # strictly after: on the instant itself the next one is a year away
        ("2025-11-20", "UTC", "2026-11-20T00:00:00Z", ["2027-11-20T00:00"]),
        ("2025-11-20", "UTC", "2026-11-19T23:59:59.999Z", ["2026-11-20T00:00"]),
        # the clocks of Beirut jump from 00:00 to 01:00 on 26 March 2028: the day begins at 01:00 there
        ("2025-03-26", "Asia/Beirut", "2027-06-01T00:00:00Z", ["2028-03-25T22:00"]),
    ],
)
def test_anniversaries(start: str, zone: str, after: str, next_ones: list[str]) -> None:
    found = islice(anniversaries(on(start), zone, parse(after)), len(next_ones))
    assert [iso(at)[:16] for at in found] == next_ones


def test_anniversaries_end_with_the_calendar() -> None:
    assert list(anniversaries(on("2025-11-20"), "UTC", parse("9999-06-01T00:00:00Z"))) == []


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        ("2025-11-20", 12, "2026-11-20"),
        ("2025-01-31", 1, "2025-02-28"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2025-03-31", -1, "2025-02-28"),
        ("2025-01-15", -2, "2024-11-15"),
    ],
)
def test_months_later(day: str, months: int, then: str) -> None:
    assert date.fromordinal(months_after(on(day), months)).isoformat() == then


@pytest.mark.parametrize(
    ("window", "zone", "begins"),
    [
        ("day", "UTC", "2026-11-19"),
        ("day", "Europe/Berlin", "2026-11-20"),  # 23:30 UTC is 00:30 there
        ("day", "America/New_York", "2026-11-19"),
        ("week", "UTC", "2026-11-16"),  # a Monday
        ("month", "UTC", "2026-11-01"),
        ("year", "UTC", "2026-01-01"),
    ],
)
def test_the_window_that_an_instant_is_in(window: Any, zone: str, begins: str) -> None:
    at = parse("2026-11-19T23:30:00Z")
    assert date.fromordinal(window_start(at, window, zone)).isoformat() == begins
    assert window_start(at, "lifetime", zone) == ALWAYS


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Auckland", "America/New_York"])
def test_a_day_is_from_midnight_to_midnight(zone: str) -> None:
    """Also the two days in which the clocks change."""
    for text in ("2026-03-29", "2026-10-25", "2026-11-20"):
        begins, ends = midnight(on(text), zone), midnight(on(text) + 1, zone)
        assert [day_of(at, zone) - on(text) for at in (begins - 1, begins, ends - 1, ends)] == [-1, 0, 0, 1]
