"""What points buy, and for how many: a reward of the catalogue, or money off at the program's burn rate.

Points and money are whole smallest units here, and exact in between. Money for points is rounded down to the currency's
smallest unit, points for money up: nobody gets a part of a cent that was not paid for.

When the order that used a discount is refunded, the same share of its points comes back, rounded down from the sum of all
refunds so that slices end where one refund ends: of 500 points on 24.99 paid, 10.00 refunded returns
floor(500 * 10.00 / 24.99) = 200, and the rest of it the other 300.

    500 points at 0.01 are 5.00 EUR; 333 at 0.005 are 1.66 EUR, never 1.67; 1.67 EUR at 0.005 are 334 points
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from adapter.program.earning import basis_of, refunded_of
from adapter.program.model import Earning, Exclusions
from adapter.program.worth import EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.events import Refund, Totals
    from adapter.program.model import Redeeming
    from adapter.program.rewards import Reward

EVERYTHING = Earning(exclude=Exclusions(gift_cards=False))
"""Counts all lines of an order: what was paid for them is what a refund is measured against."""

COST_MAX = 10**18
"""More than any balance: what costs more cannot be paid, and figures stay within 64 bits."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is had, and its cost in the definition's smallest units.

    `value` is in the currency's smallest units; of a credit to a balance definition in those of that definition.
    """

    kind: str  # discount | item | credit
    cost: int
    value: int | None
    currency: str | None
    reward: str | None = None


def reward_offer(reward: Reward, decimals: int, credited_decimals: int = 0) -> Offer:
    """Return what a reward is; `decimals` are those of the points that it costs."""
    assert reward.cost is not None, "only what points buy is an offer"
    value = None
    if reward.value is not None and (reward.currency is not None or reward.credits is not None):
        exponent = EXPONENTS[reward.currency] if reward.currency is not None else credited_decimals
        value = int(reward.value.scaleb(exponent))
    return Offer(reward.kind, reward.cost * 10**decimals, value, reward.currency, reward.id)


def points_offer(points: int, decimals: int, rules: Redeeming) -> Offer | None:
    """Return the money off for so many points; None where they are worth nothing, or the program gives no money."""
    if rules.currency is None:
        return None
    rate, unit = rules.burn_rate.as_integer_ratio()
    money = points * rate * 10 ** EXPONENTS[rules.currency] // (unit * 10**decimals)
    value = min(money, COST_MAX)
    return Offer("discount", points, value, rules.currency) if value else None


def bare_offer(points: int) -> Offer:
    """Return what points buy whose worth the program does not say: whatever the caller gives for them."""
    return Offer("credit", points, None, None)


def value_offer(value: int, decimals: int, rules: Redeeming) -> Offer | None:
    """Return so much money off, for the fewest points that are worth it; None where no points are."""
    if rules.currency is None or not rules.burn_rate:
        return None
    rate = Fraction(rules.burn_rate) * 10 ** EXPONENTS[rules.currency]
    points = Fraction(value * 10**decimals) / rate
    return Offer("discount", min(-(-points.numerator // points.denominator), COST_MAX), value, rules.currency)


def returned_of(cost: int, refunds: Iterable[Iterable[Refund]], totals: Totals) -> int:
    """Return how many of the points come back for refunds, which each source tells on its own: the most counts."""
    basis = basis_of(totals, EVERYTHING)
    if not basis.counted:
        return 0
    refunded = max((refunded_of(told, totals, basis) for told in refunds), default=0)
    return cost * min(max(refunded, 0), basis.counted) // basis.counted
