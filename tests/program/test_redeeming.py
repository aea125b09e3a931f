"""What points are worth and how many may be spent, with the sums in the rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapter.book.news import balances_view
from adapter.book.state import Balance
from adapter.clock import parse
from adapter.program.bars import Barred
from adapter.program.model import Redeeming
from adapter.program.redeeming import (
    Bar,
    Limits,
    bar_of,
    day_began,
    discounted,
    in_smallest_units,
    least_now,
    limits_of,
    money_text,
    most_now,
    redeemable,
    why_nothing,
    worth,
)


def rules(rate: str = "0.01", increment: str = "10.00", minimum: str = "10.00") -> Redeeming:
    return Redeeming(burn_rate=Decimal(rate), increment=Decimal(increment), minimum=Decimal(minimum))


def limits(*, full_balance: bool = False, advice: str | None = None, **money: str) -> Limits:
    return Limits(
        full_balance=full_balance, advice=advice, **{name: Decimal(one) for name, one in money.items()}
    )


@pytest.mark.parametrize(
    ("points", "rate", "money"),
    [
        (5500, "0.01", "55.00"),
        (5555, "0.01", "55.55"),
        (700, "0.01", "7.00"),
        (333, "0.005", "1.66"),  # 1.665, never 1.67
        (334, "0.005", "1.67"),
        (0, "0.01", "0.00"),
    ],
)
def test_points_are_worth_money_rounded_down(points: int, rate: str, money: str) -> None:
    assert worth(points, rules(rate)) == Decimal(money)


@pytest.mark.parametrize(
    ("available", "bounds", "can", "least", "most"),
    [
        # 5500 points are 55.00: five increments of 10.00
        (5500, {}, (5000, "50.00"), (1000, "10.00"), (5000, "50.00")),
        # 500 of 5500 are held: 50.00
        (5000, {}, (5000, "50.00"), (1000, "10.00"), (5000, "50.00")),
        # 7.00 is less than one increment
        (700, {}, (0, "0"), (0, "0"), (0, "0")),
        (5999, {}, (5000, "50.00"), (1000, "10.00"), (5000, "50.00")),
        (6000, {}, (6000, "60.00"), (1000, "10.00"), (6000, "60.00")),
        (999, {}, (0, "0"), (0, "0"), (0, "0")),
        # 35.00 are left today: three increments; with the override the whole balance shows
        (5500, {"left_today": "35"}, (3000, "30.00"), (1000, "10.00"), (3000, "30.00")),
        (5500, {"left_today": "35", "full_balance": True}, (5000, "50.00"), (1000, "10.00"), (3000, "30.00")),
        # 25.00 are left for the tier: two increments may go out, the balance shows five
        (5500, {"left_for_tier": "25"}, (5000, "50.00"), (1000, "10.00"), (2000, "20.00")),
        (5500, {"left_for_tier": "30"}, (5000, "50.00"), (1000, "10.00"), (3000, "30.00")),
        (5500, {"per_transaction": "20"}, (5000, "50.00"), (1000, "10.00"), (2000, "20.00")),
        # a fraud advice of BLOCK zeroes everything, another one nothing
        (5500, {"advice": "BLOCK"}, (0, "0"), (0, "0"), (0, "0")),
        (5500, {"advice": "REVIEW"}, (5000, "50.00"), (1000, "10.00"), (5000, "50.00")),
        # 1200.00 there, 1000.00 a day, 500.00 for the tier: 500.00 go out today; with the override 1200.00 show
        (120_000, {"left_today": "1000", "left_for_tier": "500"},
         (100_000, "1000.00"), (1000, "10.00"), (50_000, "500.00")),
        (120_000, {"left_today": "1000", "left_for_tier": "500", "full_balance": True},
         (120_000, "1200.00"), (1000, "10.00"), (50_000, "500.00")),
        (90_000, {"left_today": "1000", "left_for_tier": "500"},
         (90_000, "900.00"), (1000, "10.00"), (50_000, "500.00")),
        (120_000, {"left_today": "1000", "left_for_tier": "1000"},
         (100_000, "1000.00"), (1000, "10.00"), (100_000, "1000.00")),
        # nothing left today
        (5500, {"left_today": "0"}, (0, "0"), (0, "0"), (0, "0")),
    ],
)  # fmt: skip
def test_how_much_may_be_redeemed(
    available: int,
    bounds: dict[str, Any],
    can: tuple[int, str],
    least: tuple[int, str],
    most: tuple[int, str],
) -> None:
    found = [function(available, rules(), limits(**bounds)) for function in (redeemable, least_now, most_now)]
    assert [(one.points, one.money) for one in found] == [
        (points, Decimal(money)) for points, money in (can, least, most)
    ]


@given(
    st.integers(0, 10**7),
    st.sampled_from(["0.01", "0.005", "0.1"]),
    st.sampled_from(["0", "1", "10", "0.05"]),
    st.none() | st.integers(0, 10**5).map(Decimal),
)
def test_points_and_money_always_agree(
    available: int, rate: str, increment: str, left: Decimal | None
) -> None:
    """least <= most <= balance, both or neither are zero, and the pair is what the rate says."""
    kept = rules(rate, increment, "10")
    least, most = (function(available, kept, Limits(left_today=left)) for function in (least_now, most_now))
    assert 0 <= least.points <= most.points <= available
    assert (least.points == 0) == (most.points == 0)
    for span in (least, most):
        assert (
            worth(span.points, kept) >= span.money > worth(span.points, kept) - kept.burn_rate
            or span.points == 0
        )


LIMITED = Redeeming.model_validate(
    {
        "increment": "10.00",
        "minimum": "10.00",
        "currency": "EUR",
        "per_transaction": "50.00",
        "per_day": "100.00",
        "tiers": {"bronze": {"per_transaction": "30.00", "per_day": "60.00"}},
    }
)


@pytest.mark.parametrize(
    ("points", "today", "tier", "free", "bar", "figures"),
    [
        (5000, 0, None, True, None, {}),
        # 9.00 is below 10.00
        (900, 0, None, True, "below_minimum", {"value": "9.00", "minimum": "10.00", "increment": "10.00"}),
        # 15.00 is one and a half increments
        (1500, 0, None, True, "not_an_increment", {"value": "15.00", "minimum": "10.00", "increment": "10.00"}),
        # a reward costs what it costs
        (900, 0, None, False, None, {}),
        (1500, 0, None, False, None, {}),
        # 60.00 in one transaction, where 50.00 may be
        (6000, 0, None, True, "over_limit_per_transaction", {"value": "60.00", "limit": "50.00"}),
        # 70.00 used today leave 30.00 of 100.00
        (3000, 7000, None, True, None, {}),
        (4000, 7000, None, True, "over_limit_per_day",
         {"value": "40.00", "limit": "100.00", "left": "30.00", "used": "70.00"}),
        (1000, 12_000, None, True, "over_limit_per_day",
         {"value": "10.00", "limit": "100.00", "left": "0.00", "used": "120.00"}),
        # bronze: 30.00 at once, 60.00 a day
        (3000, 3000, "bronze", True, None, {}),
        (4000, 0, "bronze", True, "over_limit_of_tier", {"value": "40.00", "limit": "30.00"}),
        (3000, 4000, "bronze", False, "over_limit_of_tier",
         {"value": "30.00", "limit": "60.00", "left": "20.00", "used": "40.00"}),
        (4000, 0, "silver", True, None, {}),
    ],
)  # fmt: skip
def test_what_keeps_a_redemption_back(
    points: int, today: int, tier: str | None, free: bool, bar: str | None, figures: dict[str, str]
) -> None:
    bounds = limits_of(LIMITED, redeemed_today=today, tier=tier)
    found = bar_of(points, LIMITED, bounds, free=free)
    assert found == bar
    if found is not None:
        barred = Barred(found, points, LIMITED, bounds, tier)
        assert barred.figures == {"points": points, **figures}
        assert f"{figures['value']} EUR" in barred.sentence


def test_the_sentences_say_what_to_do() -> None:
    bounds = limits_of(LIMITED, redeemed_today=7000, tier="bronze", advice="BLOCK")
    said = {
        bar: Barred(bar, 1500, LIMITED, bounds, "bronze").sentence for bar in Bar if bar is not Bar.LOCKED
    }
    assert said == {
        Bar.BLOCKED: "A fraud advice is outstanding for this member: nothing can be redeemed until it is cleared.",
        Bar.BELOW_MINIMUM: "15.00 EUR is less than the minimum of 10.00 EUR.",
        Bar.NOT_AN_INCREMENT: "Redeem whole multiples of 10.00 EUR, not 15.00 EUR. 10.00 EUR is the next below.",
        Bar.PER_TRANSACTION: "15.00 EUR is more than one redemption may be worth: 50.00 EUR.",
        Bar.PER_DAY: "15.00 EUR is more than the 30.00 EUR that is left of the 100.00 EUR of a day.",
        Bar.OF_TIER: "15.00 EUR is more than the 0.00 EUR that is left of the 60.00 EUR of a day of tier 'bronze'.",
    }


@given(
    st.integers(0, 20_000),
    st.integers(0, 20_000),
    st.sampled_from([None, "bronze"]),
    st.sampled_from([None, "BLOCK", "REVIEW"]),
)
def test_what_is_shown_may_be_redeemed_and_nothing_more(
    available: int, today: int, tier: str | None, advice: str | None
) -> None:
    """The most goes through, one increment more does not; and there is a reason exactly where it is nothing."""
    bounds = limits_of(LIMITED, redeemed_today=today, tier=tier, advice=advice)
    most = most_now(available, LIMITED, bounds)
    assert (why_nothing(available, LIMITED, bounds) is None) == (most.points > 0)
    if most.points:
        assert bar_of(most.points, LIMITED, bounds, free=True) is None
        least = least_now(available, LIMITED, bounds)
        assert bar_of(least.points, LIMITED, bounds, free=True) is None
        assert bar_of(least.points - 1, LIMITED, bounds, free=True) is not None
    above = most.points + 1000
    assert above > available or bar_of(above, LIMITED, bounds, free=True) is not None


@pytest.mark.parametrize(
    ("day", "zone", "now", "began"),
    [
        ("calendar", "UTC", "2026-11-18T00:00:00Z", "2026-11-18T00:00:00Z"),
        ("calendar", "UTC", "2026-11-18T23:59:59.999Z", "2026-11-18T00:00:00Z"),
        # 23:30 UTC is the next day in Berlin already
        ("calendar", "Europe/Berlin", "2026-11-18T23:30:00Z", "2026-11-18T23:00:00Z"),
        # 25 October 2026 has 25 hours there
        ("calendar", "Europe/Berlin", "2026-10-25T22:30:00Z", "2026-10-24T22:00:00Z"),
        # what was 24 hours ago to the millisecond counts no more
        ("rolling", "Europe/Berlin", "2026-11-18T12:00:00Z", "2026-11-17T12:00:00.001Z"),
    ],
)
def test_when_a_day_began(day: str, zone: str, now: str, began: str) -> None:
    kept = Redeeming.model_validate({"day": day})
    assert day_began(parse(now), kept, zone) == parse(began)


def test_decimals_of_the_balance_and_of_the_currency() -> None:
    """Cashback in cents at 1 a euro, and yen, which have no decimals."""
    cash = in_smallest_units(rules("1", "0", "0"), 2)
    assert worth(1250, cash) == Decimal("12.50")
    yen = Redeeming.model_validate({"burn_rate": "0.5", "currency": "JPY"})
    assert (worth(333, yen), money_text(worth(333, yen), yen)) == (Decimal(166), "166")


def test_enormous_balances_are_exact() -> None:
    kept = rules("99999999.9999999999", "0", "0")
    assert worth(10**18, kept) == Decimal("99999999999999999900000000.00")
    assert most_now(10**18, kept, Limits()).points == 10**18


@pytest.mark.parametrize(
    "wrong", [{"currency": "XXQ"}, {"day": "week"}, {"per_day": "-1"}, {"tiers": {"a": {"x": 1}}}]
)
def test_a_limit_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Redeeming.model_validate(wrong)


def test_a_discount_is_taken_off_the_payment() -> None:
    """29.99 with 5.00 off charges 24.99; more off than there is to pay charges nothing."""
    assert (discounted(2999, 500), discounted(300, 500)) == (2499, 0)


def test_without_increments_and_without_a_rate() -> None:
    assert most_now(5555, rules(increment="0"), Limits()).money == Decimal("55.55")
    assert most_now(5555, rules(rate="0"), Limits()).points == 0


def test_the_total_is_what_is_available_and_what_is_pending() -> None:
    """850 = 450 available + 400 pending: 500 cannot be redeemed, and 400 of 850 is more than a tenth."""
    view = balances_view(Balance(1, 2, 3, pending=400, available=450), 0)
    assert (view["total"], view["posted"], view["available"], view["pending"]) == (850, 450, 450, 400)
    assert view["available"] < 500  # type: ignore[operator]  # - no decimals, so a number
