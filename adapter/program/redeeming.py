"""What points are worth when they are spent, and how much may be spent now: pure arithmetic in `Decimal`.

Money is rounded down to the currency's smallest unit, and what may be redeemed down to the program's increment: a member
is never promised a part of a point. Limits are money; None means that there is none. What was redeemed in a day counts
with what its points are worth now. A member under a BLOCK advice may redeem nothing; any other advice changes nothing.

Worked through, at 0.01 a point and increments of 10.00: 5500 points are 55.00, of which 50.00 (5000 points) can be
redeemed; with 35.00 left of today's limit it is 30.00.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal, localcontext
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from adapter.clock import to_datetime
from adapter.program.model import Redeeming, TierLimits
from adapter.program.worth import EXPONENTS

if TYPE_CHECKING:
    from adapter.clock import Millis

BLOCK = "BLOCK"
NOTHING = Decimal(0)
DAY = timedelta(days=1)
_EXACT = Context(prec=60)  # 19 digits of points times 18 of a rate, with room for sums


class Bar(StrEnum):
    """What keeps a redemption back, as a code."""

    BLOCKED = "redemption_blocked"  #: a fraud advice
    LOCKED = "balance_locked"  #: another redemption of the balance
    BELOW_MINIMUM = "below_minimum"
    NOT_AN_INCREMENT = "not_an_increment"
    PER_TRANSACTION = "over_limit_per_transaction"
    PER_DAY = "over_limit_per_day"
    OF_TIER = "over_limit_of_tier"


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a member's redemptions now, in money. `full_balance` shows more than today's limit lets out."""

    per_transaction: Decimal | None = None
    per_transaction_of_tier: Decimal | None = None
    left_today: Decimal | None = None
    left_for_tier: Decimal | None = None
    full_balance: bool = False
    advice: str | None = None
    used_today: Decimal = NOTHING


@dataclass(frozen=True, slots=True)
class Span:
    """An amount of points and the money that it is worth; the two always agree."""

    points: int
    money: Decimal


NONE = Span(0, NOTHING)


def in_smallest_units(rules: Redeeming, decimals: int) -> Redeeming:
    """Return the rules for amounts in smallest units: a program says what one whole point is worth."""
    if decimals == 0:
        return rules
    return rules.model_copy(update={"burn_rate": rules.burn_rate.scaleb(-decimals)})


def worth(points: int, rules: Redeeming) -> Decimal:
    """Return what points are worth, rounded down to the currency's smallest unit."""
    with localcontext(_EXACT):
        return (points * rules.burn_rate).quantize(_smallest(rules), ROUND_DOWN)


def money_text(money: Decimal, rules: Redeeming) -> str:
    """Write money with the currency's decimals."""
    with localcontext(_EXACT):
        return f"{money.quantize(_smallest(rules), ROUND_DOWN):f}"


def _smallest(rules: Redeeming) -> Decimal:
    return _unit(2 if rules.currency is None else EXPONENTS[rules.currency])


@cache
def _unit(decimals: int) -> Decimal:
    return Decimal(1).scaleb(-decimals)


def day_began(now: Millis, rules: Redeeming, timezone: str) -> Millis:
    """Return the first instant that belongs to the same day as `now`, as the limits of a day have it."""
    if rules.day == "rolling":
        return now - DAY // timedelta(milliseconds=1) + 1
    moment = to_datetime(now).astimezone(ZoneInfo(timezone))
    return round(moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp() * 1000)


def limits_of(
    rules: Redeeming, *, redeemed_today: int, tier: str | None = None, advice: str | None = None
) -> Limits:
    """Return what bounds a member who redeemed so many points today."""
    of_tier = rules.tiers.get(tier or "", TierLimits())
    used = worth(redeemed_today, rules)
    return Limits(
        rules.per_transaction,
        of_tier.per_transaction,
        _left(rules.per_day, used),
        _left(of_tier.per_day, used),
        rules.full_balance,
        advice,
        used,
    )


def counts_by_day(rules: Redeeming) -> bool:
    """Return whether some limit depends on what was redeemed today."""
    return rules.per_day is not None or any(one.per_day is not None for one in rules.tiers.values())


def bar_of(points: int, rules: Redeeming, limits: Limits, *, free: bool) -> Bar | None:
    """Return what keeps back a redemption of so many points, if anything does.

    `free` says that the amount was chosen freely: rewards of the catalogue have their cost, whatever the minimum is.
    """
    money = worth(points, rules)
    if limits.advice == BLOCK:
        return Bar.BLOCKED
    if free and money < minimum_of(rules):
        return Bar.BELOW_MINIMUM
    if free and rules.increment and increments_below(points, rules).points != points:
        return Bar.NOT_AN_INCREMENT
    for bar, limit in (
        (Bar.PER_TRANSACTION, limits.per_transaction),
        (Bar.OF_TIER, limits.per_transaction_of_tier),
        (Bar.PER_DAY, limits.left_today),
        (Bar.OF_TIER, limits.left_for_tier),
    ):
        if limit is not None and money > limit:
            return bar
    return None


def why_nothing(available: int, rules: Redeeming, limits: Limits) -> Bar | None:
    """Return what makes `most_now` nothing: an advice, too few points, or the limit that leaves least."""
    if limits.advice == BLOCK:
        return Bar.BLOCKED
    least = minimum_of(rules)
    if worth(available, rules) < least:
        return Bar.BELOW_MINIMUM
    return bar_of(_span(least, rules).points, rules, limits, free=False)


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
    money = _least(
        worth(available, rules),
        limits.per_transaction,
        limits.per_transaction_of_tier,
        limits.left_today,
        limits.left_for_tier,
    )
    money = _whole_increments(money, rules)
    return NONE if money < minimum_of(rules) else _span(money, rules)


def least_now(available: int, rules: Redeeming, limits: Limits) -> Span:
    """Return the least that may be redeemed now; nothing where nothing may be."""
    return _span(minimum_of(rules), rules) if most_now(available, rules, limits).points else NONE


def discounted(amount: int, discount: int) -> int:
    """Return what is left to pay of an amount, both in the currency's smallest units; never below zero."""
    return max(amount - discount, 0)


def increments_below(points: int, rules: Redeeming) -> Span:
    """Return the most that whole increments make of so many points."""
    return _span(_whole_increments(worth(points, rules), rules), rules)


def minimum_of(rules: Redeeming) -> Decimal:
    """Return the minimum as it can be redeemed: whole increments, and always something."""
    if not rules.increment:
        return max(rules.minimum, _smallest(rules))
    steps = (rules.minimum / rules.increment).to_integral_value(ROUND_UP)
    return max(steps, Decimal(1)) * rules.increment


def _left(limit: Decimal | None, used: Decimal) -> Decimal | None:
    return None if limit is None else max(limit - used, NOTHING)


def _least(money: Decimal, *limits: Decimal | None) -> Decimal:
    return max(min([money, *(limit for limit in limits if limit is not None)]), NOTHING)


def _whole_increments(money: Decimal, rules: Redeeming) -> Decimal:
    with localcontext(_EXACT):
        return money - money % rules.increment if rules.increment else money


def _span(money: Decimal, rules: Redeeming) -> Span:
    """Return the points that this much money takes: never fewer than it is worth."""
    with localcontext(_EXACT):
        points = (money / rules.burn_rate).to_integral_value(ROUND_UP) if rules.burn_rate else NOTHING
    return Span(int(points), money)
