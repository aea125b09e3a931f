"""What points are worth when they are spent, and how much may be spent now: pure arithmetic in `Decimal`.

Money is rounded down to the currency's smallest unit, and what may be redeemed down to the program's increment: a member
is never promised a part of a point. Limits are money; None means that there is none. A member under a BLOCK advice may
redeem nothing; any other advice changes nothing.

Worked through, at 0.01 a point and increments of 10.00: 5500 points are 55.00, of which 50.00 (5000 points) can be
redeemed; with 35.00 left of today's limit it is 30.00.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.program.model import Redeeming

BLOCK = "BLOCK"
CENTS = Decimal("0.01")
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a member's redemptions now, in money. `full_balance` shows more than today's limit lets out."""

    per_transaction: Decimal | None = None
    left_today: Decimal | None = None
    left_for_tier: Decimal | None = None
    full_balance: bool = False
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """An amount of points and the money that it is worth; the two always agree."""

    points: int
    money: Decimal


NONE = Span(0, NOTHING)


def worth(points: int, rules: Redeeming, smallest: Decimal = CENTS) -> Decimal:
    """Return what points are worth, rounded down to the currency's smallest unit."""
    return (points * rules.burn_rate).quantize(smallest, ROUND_DOWN)


def redeemable(available: int, rules: Redeeming, limits: Limits) -> Span:
    """Return how much of a balance can be redeemed at all: whole increments, within today's limit, nothing else."""
    if limits.advice == BLOCK:
        return NONE
    money = worth(available, rules)
    if not limits.full_balance:
        money = _least(money, limits.left_today)
    return _span(_whole_increments(money, rules), rules)


def most_now(available: int, rules: Redeeming, limits: Limits) -> Span:
    """Return the most that may be redeemed in one transaction now; nothing where the minimum cannot be reached."""
    if limits.advice == BLOCK:
        return NONE
    money = _least(worth(available, rules), limits.per_transaction, limits.left_today, limits.left_for_tier)
    money = _whole_increments(money, rules)
    return NONE if money < _minimum(rules) or money == 0 else _span(money, rules)


def least_now(available: int, rules: Redeeming, limits: Limits) -> Span:
    """Return the least that may be redeemed now; nothing where nothing may be."""
    return _span(_minimum(rules), rules) if most_now(available, rules, limits).points else NONE


def discounted(amount: int, discount: int) -> int:
    """Return what is left to pay of an amount, both in the currency's smallest units; never below zero."""
    return max(amount - discount, 0)


def _least(money: Decimal, *limits: Decimal | None) -> Decimal:
    return max(min([money, *(limit for limit in limits if limit is not None)]), NOTHING)


def _whole_increments(money: Decimal, rules: Redeeming) -> Decimal:
    return money - money % rules.increment if rules.increment else money


def _minimum(rules: Redeeming) -> Decimal:
    """Return the minimum as it can be redeemed: at least one increment, and a whole number of them."""
    if not rules.increment:
        return rules.minimum
    steps = (rules.minimum / rules.increment).to_integral_value(ROUND_UP)
    return max(steps, Decimal(1)) * rules.increment


def _span(money: Decimal, rules: Redeeming) -> Span:
    """Return the points that this much money takes: never fewer than it is worth."""
    points = (money / rules.burn_rate).to_integral_value(ROUND_UP) if rules.burn_rate else NOTHING
    return Span(int(points), money)
