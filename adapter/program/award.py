"""What an order earns, and by which rules: exact fractions, rounded once, so that the parts add up to the award.

    a rule    (basis * rate + bonus + per_item * quantity) * multiplier * the tier's multiplier; nothing outside its
              dates and currencies or below its minimum; at most its cap
    award     what the rules give together, or what the best of them gives (of equals the first), rounded as the
              program says; nothing below the program's minimum, at most its cap, and at most what the caps of a day,
              week, month, year or lifetime leave for it
    parts     each rule's share of the award, in whole units: what rounding and the cap leave of it falls on the rules
              in their order, so the last ones are cut first
    retained  floor(sum of part * kept / basis over the rules), each with its own basis, so that refunds in any slices
              end where one refund ends

Worked through: 100 points on 89.99; 30.00 refunded keeps floor(100 * 59.99 / 89.99) = 66; the rest refunded keeps 0.
With 1 for each 1.00 of 90.00 and 50 for each of two bags at 15.00 it is 90 + 100 = 190; one bag sent back leaves
90 * 75/90 + 100 * 15/30 = 125.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from adapter.clock import Millis
from adapter.program.earning import MICROS, Basis, basis_of, counts, kept_of, micros
from adapter.program.moments import closing, opening
from adapter.program.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.events import Refund, Totals
    from adapter.program.model import Earning, Rule

AWARD_MAX = 10**15
"""Most of one order, in smallest units, whatever the shop says it costs: sums of such awards fit the database."""

ONE = Decimal(1)
NEARNESS = (
    Reason.NO_RULE,
    Reason.NO_RULE_APPLIES,
    Reason.NO_RATE_FOR_CURRENCY,
    Reason.BELOW_MINIMUM,
)
"""Why a rule gives nothing. Where no rule gives anything, the reason is that of the rule that came nearest."""


class Occasion(msgspec.Struct, frozen=True, gc=False):
    """What rules ask besides the order's totals."""

    placed_at: Millis
    timezone: str = "UTC"
    decimals: int = 0
    tier: str | None = None  # the member's, when the order was settled first
    first: bool = False  # whether it is the member's first order
    room: int | None = (
        None  # what the caps of its windows leave for it, in smallest units; None: there are none
    )


class Share(msgspec.Struct, frozen=True, gc=False):
    """What one rule gave, in smallest units, and for what."""

    rule: str
    points: int
    basis: Basis


class Award(msgspec.Struct, frozen=True, gc=False):
    """What an order earned in smallest units; `reason` says why it is nothing, or less than the rules say."""

    points: int
    reason: Reason | None
    basis: Basis
    shares: tuple[Share, ...] = ()


def award_of(totals: Totals, earning: Earning, occasion: Occasion) -> Award:
    """Return what these totals earn on this occasion."""
    basis = basis_of(totals, earning)
    shut = {rule.name: _shut(rule, totals.currency, occasion) for rule in earning.in_force}
    open_rules = [rule for rule in earning.in_force if shut[rule.name] is None]
    if not open_rules:
        return _nothing(shut.values(), basis)
    if basis.counted == 0:
        return Award(0, Reason.NOTHING_COUNTS, basis)
    if basis.counted < micros(earning.minimum):
        return Award(0, Reason.BELOW_MINIMUM, basis)
    given: list[Gift] = []
    for rule in open_rules:
        own = basis_of(totals, earning, rule) if rule.selects else basis
        shut[rule.name] = _too_little(rule, own)
        if shut[rule.name] is None:
            given.append((rule, own, _gives(rule, own, totals, earning, occasion)))
    if not given:
        return _nothing(shut.values(), basis)
    if earning.combine == "best":
        given = [max(given, key=itemgetter(2))]
    return _rounded(given, basis, earning, occasion)


def _nothing(reasons: Iterable[Reason | None], basis: Basis) -> Award:
    return Award(0, max((one for one in reasons if one is not None), key=NEARNESS.index), basis)


def retained_of(award: Award, refunds: Iterable[Refund], totals: Totals) -> int:
    """Return what one source's refunds leave of an award."""
    told = list(refunds)
    if not told or not award.points:
        return award.points
    if len(award.shares) == 1:  # nearly always, and every share has a basis
        (only,) = award.shares
        return only.points * kept_of(only.basis, told, totals) // only.basis.counted
    kept = sum(
        Fraction(share.points * kept_of(share.basis, told, totals), share.basis.counted)
        for share in award.shares
    )
    return kept.numerator // kept.denominator


def _shut(rule: Rule, currency: str, occasion: Occasion) -> Reason | None:
    """Return why a rule is not for this order at all, whatever is in it."""
    at, timezone = occasion.placed_at, occasion.timezone
    if rule.starts is not None and at < opening(rule.starts, timezone):
        return Reason.NO_RULE_APPLIES
    if rule.ends is not None and at >= closing(rule.ends, timezone):
        return Reason.NO_RULE_APPLIES
    if rule.currencies and currency not in rule.currencies:
        return Reason.NO_RULE_APPLIES
    if rule.first_order and not occasion.first:
        return Reason.NO_RULE_APPLIES
    if rule.rate_for(currency) or rule.bonus or rule.per_item:
        return None
    return Reason.NO_RATE_FOR_CURRENCY if rule.rates else Reason.NO_RULE


def _too_little(rule: Rule, own: Basis) -> Reason | None:
    if own.counted == 0:
        return Reason.NO_RULE_APPLIES
    return Reason.BELOW_MINIMUM if own.counted < micros(rule.minimum) else None


def _gives(rule: Rule, own: Basis, totals: Totals, earning: Earning, occasion: Occasion) -> Fraction:
    """Return what a rule gives, in smallest units, exactly."""
    tier = rule.tier_multipliers.get(occasion.tier) if occasion.tier is not None else None
    rate = _product(rule.rate_for(totals.currency), rule.multiplier, tier, occasion.decimals)
    amount = Fraction(own.counted * rate.numerator, rate.denominator * MICROS)
    if rule.bonus:
        amount += rule.bonus * _product(ONE, rule.multiplier, tier, occasion.decimals)
    if rule.per_item:
        chosen = (line for line in totals.lines if counts(line, earning.exclude) and rule.takes(line))
        quantity = sum((Fraction(line.quantity) for line in chosen), Fraction(0))
        amount += quantity * _product(rule.per_item, rule.multiplier, tier, occasion.decimals)
    return amount if rule.cap is None else min(amount, Fraction(rule.cap * 10**occasion.decimals))


Gift = tuple["Rule", Basis, Fraction]
"""A rule, its own basis, and what it gives in smallest units, exactly."""


def _rounded(given: list[Gift], basis: Basis, earning: Earning, occasion: Occasion) -> Award:
    """Round the running sum of what the rules gave: its steps are the shares, its end is the award."""
    most = AWARD_MAX if earning.cap is None else min(earning.cap * 10**occasion.decimals, AWARD_MAX)
    full = occasion.room is not None and occasion.room < most
    if occasion.room is not None:
        most = min(most, occasion.room)
    sum_: Fraction | int = 0
    before, shares = 0, []
    for rule, own, amount in given:
        sum_ = sum_ + amount if sum_ else amount
        whole = _round(sum_, earning.rounding)
        until = min(whole, most)
        shares.append(Share(rule.name, until - before, own))
        before = until
    cut = Reason.WINDOW_CAPPED if full else Reason.CAPPED
    if not before:
        return Award(0, cut if whole else Reason.ROUNDS_TO_ZERO, basis)
    return Award(before, cut if whole > most else None, basis, tuple(shares))


def _round(amount: Fraction, rounding: str) -> int:
    top, bottom = amount.numerator, amount.denominator
    if rounding == "up":
        return -(-top // bottom)
    if rounding == "half_up":
        return (2 * top + bottom) // (2 * bottom)
    return top // bottom


@lru_cache(maxsize=1024)
def _product(number: Decimal, multiplier: Decimal, tier: Decimal | None, decimals: int) -> Fraction:
    """Return a rule's number in smallest units, multiplied."""
    return (
        Fraction(number)
        * Fraction(multiplier)
        * Fraction(1 if tier is None else tier)
        * Fraction(10**decimals)
    )
