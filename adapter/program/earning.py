"""What counts of an order, and what refunds take of it: pure arithmetic on whole numbers.

Money is turned into whole millionths of the currency's main unit first (connectors refuse finer amounts), so that
every sum is exact; what an award is made of it is `award.py`'s.

    basis    what the program counts: lines after discounts, without tax, shipping, gift cards sold and the part
             paid with points; a rule's own basis are the lines that it selects, with their share of the order's
             discount and of the part paid with points, and without shipping
    kept     basis less what was refunded of it, never below zero
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter.events import Line, Refund, RefundState, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from adapter.program.model import Earning, Exclusions, Rule

MICROS = 1_000_000


def micros(amount: Decimal) -> int:
    """Return an amount in whole millionths; finer digits are cut off."""
    return int(amount.scaleb(6)) if amount else 0


class Basis(msgspec.Struct, frozen=True, gc=False):
    """What counts of an order, in millionths. The other sums are what refunds are measured against."""

    counted: int  # the basis itself
    eligible: int  # lines that count, before the order's discount and the part paid with points
    lines: int  # all lines
    goods: int  # what the customer paid for goods: the total without shipping
    outside: frozenset[str] = frozenset()  # the lines that do not count: refunds of them take nothing


def basis_of(totals: Totals, earning: Earning, rule: Rule | None = None) -> Basis:
    """Return what the program counts of these totals, or what one rule of it does."""
    told = [(line, micros(line.amount)) for line in totals.lines]
    counting = [one for one in told if counts(one[0], earning.exclude)]
    chosen = counting
    if rule is not None and rule.selects:
        chosen = [one for one in counting if rule.takes(one[0])]
    lines, eligible = _sum(told), _sum(chosen)
    counted = eligible
    if lines > 0:
        counted -= micros(totals.discount) * eligible // lines
    if earning.include_tax:
        counted += sum([micros(line.tax) for line, _ in chosen])
    if chosen is counting:
        counted += micros(totals.shipping) if earning.include_shipping else 0
        counted -= micros(totals.points_paid)
    else:
        counted -= _share(micros(totals.points_paid), eligible, _sum(counting))
    goods = micros(totals.total) - micros(totals.shipping)
    if len(chosen) == len(told):  # nearly always
        return Basis(max(counted, 0), eligible, lines, max(goods, 0))
    outside = frozenset(line.id for line in totals.lines) - {line.id for line, _ in chosen}
    return Basis(max(counted, 0), eligible, lines, max(goods, 0), outside)


def _sum(told: list[tuple[Line, int]]) -> int:
    return sum([amount for _, amount in told])


def counts(line: Line, exclude: Exclusions) -> bool:
    """Return whether a line earns at all."""
    return not (line.gift_card and exclude.gift_cards) and not exclude.has(line)


def kept_of(basis: Basis, refunds: Iterable[Refund], totals: Totals) -> int:
    """Return what is left of a basis after refunds, in millionths."""
    return max(basis.counted - max(refunded_of(refunds, totals, basis), 0), 0)


def refunded_of(refunds: Iterable[Refund], totals: Totals, basis: Basis) -> int:
    """Return how much of the basis these refunds took, in millionths.

    A refund by lines takes the lines it names; one that only says an amount of goods takes every line's share of it;
    one that only says how much money went back takes the goods' share of that money (tax is in it, so a refund of
    half the money is half the goods). Amounts are added up before they are scaled: slicing a refund changes nothing.
    """
    refunds = [refund for refund in refunds if takes(refund, totals.currency)]
    if not refunds:
        return 0
    by_line = by_goods = 0
    money: dict[str, int] = {}  # by payment: what single refunds took
    running: dict[str, int] = {}  # by payment: what its provider says was refunded so far
    itemised: dict[str, int] = {}  # by payment: what of it single refunds by lines or goods account for
    for refund in refunds:
        key, paid_back = refund.payment or refund.id, micros(refund.amount - refund.shipping)
        if refund.cumulative:
            running[key] = max(running.get(key, 0), paid_back)
        elif refund.merchandise is None:
            money[key] = money.get(key, 0) + paid_back
        else:
            itemised[key] = itemised.get(key, 0) + paid_back
            named = sum(micros(amount) for _, _, amount in refund.lines)
            by_line += sum(micros(amount) for line, _, amount in refund.lines if line not in basis.outside)
            by_goods += micros(refund.merchandise) - named
    by_money = sum(
        max(money.get(key, 0), running.get(key, 0) - itemised.get(key, 0))
        for key in money.keys() | running.keys()
    )
    return (
        _share(by_line, basis.counted, basis.eligible)
        + _share(by_goods, basis.counted, basis.lines)
        + _share(by_money, basis.counted, basis.goods or basis.counted)
    )


def takes(refund: Refund, currency: str) -> bool:
    """Return whether a refund counts: it happened, and in the order's own currency."""
    return refund.state is RefundState.COMPLETED and refund.currency in (None, currency)


def _share(part: int, counted: int, whole: int) -> int:
    return part * counted // whole if whole > 0 else part
