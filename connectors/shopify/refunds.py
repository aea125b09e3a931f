"""What went back: Shopify's refunds as ours.

A refund names lines, adjustments and transactions, and any of them may be missing:

    amount       the money of its transactions that succeeded or are on their way. Without any (goods taken
                 back unpaid, a line removed by an edit) its parts: lines + shipping - discrepancies
    shipping     without tax: adjustments of the kind `shipping_refund` (told as negative amounts), or else
                 `refund_shipping_lines`
    merchandise  lines without tax, less the adjustments of the kind `refund_discrepancy` (positive where less
                 went back than the lines are worth). A refund without lines, or one whose lines are worth
                 nothing although money for goods went back, says only how much money: the book takes the
                 goods' share

A line's `subtotal` includes the tax in shops whose prices do. An order says so, `refunds/create` does not;
there it is taken from the money: included where the transactions add up to the lines without their tax on
top. What is told with its order knows better and is told last, so its version is later.

Points leave when the shop refunds, not when the bank has moved the money; they come back if every transaction
failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapter.events import EventType, Refund, RefundState
from connectors.payload import currency_code, money, part, quantity, required_id, rows, within
from connectors.shopify.totals import added
from connectors.shopify.webhook import first_or_none, id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter.clock import Millis
    from adapter.events import Event
    from connectors.shopify.webhook import Notice

_NOTHING = Decimal(0)
_FAILED = ("failure", "error")
_SETS = ("refund_line_items", "order_adjustments", "refund_shipping_lines")


@dataclass(frozen=True, slots=True)
class Known:
    """What an order tells of its refunds beyond what they tell themselves."""

    version: Millis = 0
    currency: str | None = None
    included: bool | None = None  # whether prices include tax; None where nobody said


@dataclass(frozen=True, slots=True)
class _Parts:
    """The sums of a refund. `lines` is as told: with tax where prices include it."""

    lines: Decimal
    tax: Decimal
    shipping: Decimal
    shipping_tax: Decimal
    discrepancy: Decimal
    discrepancy_tax: Decimal

    @property
    def worth(self) -> Decimal:
        """What it all comes to where prices include tax; where they do not, `tax` is on top."""
        return self.lines + self.shipping + self.shipping_tax - self.discrepancy - self.discrepancy_tax


def normalize_refund(hook: Notice) -> Iterator[Event]:
    """Give the refund that `refunds/create` tells of."""
    yield refunded(hook, required_id(hook.body.get("order_id"), "order_id"), hook.body, Known())


def refunded(hook: Notice, order: str, told: Mapping[str, Any], known: Known) -> Event:
    """Return the event of one refund."""
    refund = refund_of(hook, told, known)
    return hook.event(EventType.ORDER_REFUNDED, refund.at, refund.version, order=order, refund=refund)


def refund_of(hook: Notice, told: Mapping[str, Any], known: Known) -> Refund:
    """Return the refund. One that says no time is as old as can be, so that whatever says one wins."""
    parts = _parts(told)
    moved = [one for one in rows(told, "transactions") if one.get("kind") == "refund"]
    paid, currency = _paid(moved, parts, known.currency or _shop_currency(told))
    included = _included(parts, paid) if known.included is None else known.included
    worth = parts.worth if included else parts.worth + parts.tax
    amount = within(max(worth if paid is None else paid, _NOTHING), "transactions.amount")
    own = first_or_none(told, "updated_at", "processed_at", "created_at")
    at = first_or_none(told, "processed_at", "created_at")
    return Refund(
        id=id_of(told, "refunds.id"),
        version=max(own or 0, known.version) + 1 if known.version else own or 0,
        state=_state(moved),
        currency=currency,
        amount=amount,
        merchandise=_merchandise(parts, included, amount)
        if rows(told, "refund_line_items")
        else _goods(parts, amount),
        shipping=within(max(parts.shipping, _NOTHING), "refund_shipping_lines"),
        lines=_lines(told, included),
        at=hook.cut(at if at is not None else hook.received_at),
    )


def _parts(told: Mapping[str, Any]) -> _Parts:
    items = rows(told, "refund_line_items")
    adjustments = rows(told, "order_adjustments")
    off = [one for one in adjustments if one.get("kind") == "refund_discrepancy"]
    shipping = [one for one in adjustments if one.get("kind") == "shipping_refund"]
    if shipping:
        price, tax = -_sum(shipping, "amount"), -_sum(shipping, "tax_amount")
    else:
        lines = rows(told, "refund_shipping_lines")
        price, tax = _set_sum(lines, "subtotal_amount_set"), _set_sum(lines, "tax_amount_set")
    return _Parts(
        lines=_sum(items, "subtotal"),
        tax=_sum(items, "total_tax"),
        shipping=price,
        shipping_tax=tax,
        discrepancy=_sum(off, "amount"),
        discrepancy_tax=_sum(off, "tax_amount"),
    )


def _sum(told: list[Mapping[str, Any]], field: str) -> Decimal:
    return added(money(one.get(field), field, default=_NOTHING) for one in told)


def _set_sum(told: list[Mapping[str, Any]], field: str) -> Decimal:
    amounts = (part(part(one, field), "shop_money").get("amount") for one in told)
    return added(money(amount, f"{field}.shop_money.amount", default=_NOTHING) for amount in amounts)


def _shop_currency(told: Mapping[str, Any]) -> str | None:
    """Return the shop's currency, where an amount is told in the shop's and in the customer's."""
    for field in _SETS:
        for one in rows(told, field):
            for key in one:
                code = (
                    part(part(one, key), "shop_money").get("currency_code") if key.endswith("_set") else None
                )
                if code is not None:
                    return currency_code(code, f"{field}.{key}.shop_money.currency_code")
    return None


def _paid(
    moved: list[Mapping[str, Any]], parts: _Parts, shop: str | None
) -> tuple[Decimal | None, str | None]:
    """Return the money that went back and its currency; no money where only the parts can say how much.

    A customer who paid in another currency is refunded in it. The parts are told in the shop's own, so they
    are taken where there are any.
    """
    counted = [one for one in moved if one.get("status") not in _FAILED] or moved
    if not counted:
        return None, shop
    codes = {
        currency_code(one["currency"], "transactions.currency") for one in counted if one.get("currency")
    }
    foreign = codes - {shop}
    if shop and foreign and parts.worth > 0:
        return None, shop
    paid = added(money(one.get("amount"), "transactions.amount") for one in counted)
    return paid, min(foreign) if foreign else shop


def _included(parts: _Parts, paid: Decimal | None) -> bool:
    return parts.tax > 0 and paid == parts.worth


def _state(moved: list[Mapping[str, Any]]) -> RefundState:
    failed = bool(moved) and all(one.get("status") in _FAILED for one in moved)
    return RefundState.FAILED if failed else RefundState.COMPLETED


def _merchandise(parts: _Parts, included: bool, amount: Decimal) -> Decimal | None:
    net = parts.lines - parts.tax if included else parts.lines
    goods = within(net - parts.discrepancy, "refund_line_items.subtotal")
    return goods if goods > 0 else _goods(parts, amount)


def _goods(parts: _Parts, amount: Decimal) -> Decimal | None:
    """Return None, for money that went back for goods that nobody valued, or zero where there was none."""
    return None if amount > parts.shipping + parts.shipping_tax else _NOTHING


def _lines(told: Mapping[str, Any], included: bool) -> tuple[tuple[str, Decimal, Decimal], ...]:
    return tuple(
        (
            required_id(item.get("line_item_id"), "refund_line_items.line_item_id"),
            quantity(item.get("quantity"), "refund_line_items.quantity"),
            _net(item, included),
        )
        for item in rows(told, "refund_line_items")
    )


def _net(item: Mapping[str, Any], included: bool) -> Decimal:
    subtotal = money(item.get("subtotal"), "refund_line_items.subtotal", default=_NOTHING)
    tax = money(item.get("total_tax"), "refund_line_items.total_tax", default=_NOTHING)
    return subtotal - tax if included else subtotal
