"""One order as WooCommerce shows it at one moment, and all the facts that are in it.

There is no webhook for "paid" or "refunded": every webhook carries the order's whole latest state, built when
it is delivered, and several changes may come as one. So each snapshot is taken apart into every fact it
implies, and none depends on the snapshots before it. `date_modified_gmt` (UTC, whole seconds, no zone) says
how old the state is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from adapter.clock import Millis
from adapter.errors import Ignored, Rejected
from adapter.events import (
    Cancellation,
    Customer,
    Event,
    EventType,
    Line,
    Payment,
    Refund,
    Shipment,
    Totals,
)
from connectors.payload import (
    clean_email,
    clean_name,
    codes_of,
    currency_code,
    instant,
    money,
    quantity,
    required_id,
    text_id,
)

OFF = frozenset({"cancelled", "failed", "trash"})
UNFINISHED = frozenset({"auto-draft", "checkout-draft"})
GIFT_CARD_META = ("wc_gc_giftcard", "pw_gift_card_amount")  # what two extensions put on a line that sells one

_NOTHING = Decimal(0)


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """The body of an order's webhook, with the fields that every fact needs already read."""

    body: Mapping[str, Any]
    received_at: Millis
    order: str
    status: str
    currency: str
    modified: Millis

    def moment(self, field: str) -> Millis | None:
        """Return `date_paid` and its like, never later than the webhook itself."""
        told = moment_of(self.body, field)
        return None if told is None else min(told, self.received_at)

    @property
    def seen(self) -> Millis:
        """The instant of this state, for facts whose own instant the shop does not tell."""
        return min(self.modified, self.received_at)


def read_snapshot(body: Mapping[str, Any], received_at: Millis) -> Snapshot:
    """Return the snapshot. Raises `Rejected` for what is not an order, `Ignored` for a draft."""
    status = body.get("status")
    if not isinstance(status, str) or "line_items" not in body:
        raise Rejected("this is not an order: `status` or `line_items` is missing", field="status")
    if status in UNFINISHED:
        raise Ignored(f"The order is a draft (`{status}`): nobody has placed it yet")
    modified = moment_of(body, "date_modified") or moment_of(body, "date_created")
    if modified is None:
        raise Rejected(
            "`date_modified_gmt` is missing: without it older and newer states cannot be told apart",
            field="date_modified_gmt",
        )
    return Snapshot(
        body=body,
        received_at=received_at,
        order=required_id(body.get("id"), "id"),
        status=status,
        currency=currency_code(body.get("currency"), "currency"),
        modified=modified,
    )


def moment_of(body: Mapping[str, Any], field: str) -> Millis | None:
    """Return `<field>_gmt`, or `<field>` (the shop's local time, read as UTC) in bodies that lack it."""
    for key in (f"{field}_gmt", field):
        if body.get(key):
            return instant(body[key], key)
    return None


def events_of(shot: Snapshot, kind: EventType) -> Iterator[Event]:
    """Give every fact of the snapshot; `kind` is that of the totals."""
    yield _placed(shot, kind)
    for fact in (_payment(shot), _shipment(shot)):
        if fact is not None:
            yield fact
    for refund in _refunds(shot):
        yield Event(
            type=EventType.ORDER_REFUNDED,
            order=shot.order,
            occurred_at=refund.at,
            version=shot.modified,
            refund=refund,
        )
    if shot.status in OFF:
        yield Event(
            type=EventType.ORDER_CANCELLED,
            order=shot.order,
            occurred_at=shot.seen,
            version=shot.modified,
            cancellation=_cancellation(shot),
        )


def _placed(shot: Snapshot, kind: EventType) -> Event:
    """Give the totals.

    An order can come back from `failed`, and no webhook says so; that is why every snapshot states whether
    the order is off. One that is on says it here, because an event named "order cancelled" would mislead
    whoever reads it.
    """
    number = text_id(shot.body.get("number"))
    return Event(
        type=kind,
        order=shot.order,
        order_name=f"#{number}" if number else None,
        occurred_at=shot.seen,
        version=shot.modified,
        placed_at=shot.moment("date_created"),
        customer=_customer(shot.body),
        totals=totals_of(shot.body, shot.currency, shot.modified),
        cancellation=None if shot.status in OFF else _cancellation(shot),
    )


def _cancellation(shot: Snapshot) -> Cancellation:
    off = shot.status in OFF
    return Cancellation(
        version=shot.modified, cancelled=off, reason=shot.status if off else None, at=shot.seen
    )


def _customer(body: Mapping[str, Any]) -> Customer:
    """Return who bought: customer 0 is a guest, known by the billing address alone."""
    told = body.get("billing")
    billing = told if isinstance(told, Mapping) else {}
    customer = text_id(body.get("customer_id"))
    return Customer(
        id=None if customer == "0" else customer,
        email=clean_email(billing.get("email")),
        name=clean_name(billing.get("first_name"), billing.get("last_name")),
    )


def totals_of(body: Mapping[str, Any], currency: str, version: Millis) -> Totals:
    """Return the totals. Lines are after coupons and without tax; the shop's `total` is what was left to pay.

    Gift cards are taken off that `total` already, so they are added to get what was owed. A positive fee is
    in the total and earns nothing; a negative fee or line is a discount on the order as a whole.
    """
    lines = [_line(item) for item in rows(body, "line_items")]
    fees = [money(fee.get("total"), "fee_lines.total") for fee in rows(body, "fee_lines")]
    gift_cards = _gift_cards(body)
    reductions = [-amount for amount in (*fees, *(line.amount for line in lines)) if amount < 0]
    return Totals(
        version=version,
        currency=currency,
        lines=tuple(line for line in lines if line.amount >= 0),
        discount=sum(reductions, _NOTHING),
        tax=_money(body, "total_tax"),
        shipping=_money(body, "shipping_total"),
        total=_money(body, "total") + gift_cards,
        gift_cards=gift_cards,
        codes=codes_of(coupon.get("code") for coupon in rows(body, "coupon_lines")),
    )


def _gift_cards(body: Mapping[str, Any]) -> Decimal:
    return sum(
        (money(card.get("amount"), "gift_cards.amount") for card in rows(body, "gift_cards")), _NOTHING
    )


def _line(item: Mapping[str, Any]) -> Line:
    sku, product = text_id(item.get("sku")), text_id(item.get("product_id"))
    return Line(
        id=required_id(item.get("id"), "line_items.id"),
        quantity=quantity(item.get("quantity"), "line_items.quantity"),
        amount=money(item.get("total"), "line_items.total"),
        tax=_money(item, "total_tax"),
        sku=sku,
        product=None if product == "0" else product,  # 0: the product has been deleted since
        gift_card=any(_sells_gift_card(meta) for meta in rows(item, "meta_data")),
    )


def _sells_gift_card(meta: Mapping[str, Any]) -> bool:
    key = meta.get("key")
    return isinstance(key, str) and key.startswith(GIFT_CARD_META) and bool(meta.get("value"))


def _payment(shot: Snapshot) -> Event | None:
    """Give the payment once the order has a date for it.

    It is whole, and its version is that date: every snapshot since then gives the very same fact.
    """
    told = moment_of(shot.body, "date_paid")
    if told is None:
        return None
    at = min(told, shot.received_at)
    payment = Payment(id=f"order:{shot.order}", version=told, at=at)
    return Event(
        type=EventType.PAYMENT_COMPLETED,
        order=shot.order,
        occurred_at=at,
        version=shot.modified,
        payment=payment,
    )


def _shipment(shot: Snapshot) -> Event | None:
    """Give the shipment of everything: a shop sets an order to `completed` when it has left the house."""
    told = moment_of(shot.body, "date_completed")
    if told is None and shot.status != "completed":
        return None
    at = shot.seen if told is None else min(told, shot.received_at)
    shipment = Shipment(id=f"order:{shot.order}", version=told or shot.modified, at=at)
    return Event(
        type=EventType.ORDER_SHIPPED,
        order=shot.order,
        occurred_at=at,
        version=shot.modified,
        shipment=shipment,
    )


def _refunds(shot: Snapshot) -> Iterator[Refund]:
    """Give each refund by its id, and for status `refunded` whatever its entries leave over.

    An entry never changes and has no time of its own, so the snapshot nearest to it should date it: the first
    one. Its version therefore counts backwards. (A refund that is deleted in the shop's admin leaves no trace
    to read.) The rest is a register of its own: should an entry for it turn up later, the two take more than
    the order has, and a refund never takes more than everything.
    """
    left = _money(shot.body, "total") + _gift_cards(shot.body)
    for entry in rows(shot.body, "refunds"):
        amount = abs(money(entry.get("total"), "refunds.total"))
        left -= amount
        yield Refund(
            id=required_id(entry.get("id"), "refunds.id"),
            version=-shot.modified,
            currency=shot.currency,
            amount=amount,
            at=shot.seen,
        )
    if shot.status == "refunded" and left > 0:
        yield Refund(
            id=f"order:{shot.order}:full",
            version=shot.modified,
            currency=shot.currency,
            amount=left,
            at=shot.seen,
        )


def _money(body: Mapping[str, Any], field: str) -> Decimal:
    return money(body.get(field) or "0", field)


def rows(body: Mapping[str, Any], field: str) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a list; one that is missing or null is empty. Raises `Rejected` otherwise."""
    told = body.get(field)
    if not told:
        return ()
    if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
        raise Rejected(f"`{field}` is not a list of objects", field=field)
    return told
