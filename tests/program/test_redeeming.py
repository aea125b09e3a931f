"""What points are worth and how many may be spent, with the sums in the rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.book.news import balances_view
from adapter.book.state import Balance
from adapter.program.model import Redeeming
from adapter.program.redeeming import Limits, discounted, least_now, most_now, redeemable, worth


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
