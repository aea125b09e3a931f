"""What a webhook says: every fact that its body has, whatever its topic.

All `orders/*` bodies are the whole order. So each gives the totals, and with them the payment, the
shipments, the refunds and the cancellation that it shows: a shop that missed a webhook catches up with its
next one.

The samples that Shopify's admin sends are one body under every topic: a test order that is voided and
cancelled before it was confirmed. There the topic alone says what happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.errors import Ignored, Rejected
from adapter.events import Cancellation, EventType, Payment
from connectors.payload import currency_code, money, required_id, rows, show, text_id
from connectors.shopify.customers import buyer_of, normalize_customer
from connectors.shopify.refunds import Known, normalize_refund, refunded
from connectors.shopify.shipments import normalize_fulfillment, order_shipments
from connectors.shopify.topics import IGNORED
from connectors.shopify.totals import totals_of
from connectors.shopify.webhook import Notice, first_instant, first_or_none, id_of, read_notice
from connectors.topics import reason_to_ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from adapter.clock import Millis
    from adapter.events import Event, Totals
    from connectors.base import RawEvent

_PAID = ("paid", "partially_refunded", "refunded")


def normalize_webhook(raw: RawEvent, topic: str) -> tuple[Event, ...]:
    """Return the events. Raises `Ignored` and `Rejected` with the reason."""
    reading = _READINGS.get(topic)
    if reading is not None:
        return tuple(reading(read_notice(raw, topic)))
    why = reason_to_ignore(IGNORED, topic)
    if why is not None:
        raise Ignored(why)
    if topic == "unknown":
        raise Rejected("the header X-Shopify-Topic is missing, and the body's shape does not say what it is")
    raise Rejected(f"unknown topic {show(topic)}: take it off the shop's webhooks if it is not needed")


def _order(hook: Notice) -> Iterator[Event]:
    body = hook.body
    order = id_of(body, "id")
    version = first_instant(body, "updated_at", "created_at", "processed_at")
    totals = totals_of(body, version)
    yield _state(hook, order, totals)
    yield from _payment(hook, order, totals)
    yield from order_shipments(hook, order, version)
    known = Known(version, totals.currency, body.get("taxes_included") is True)
    for told in rows(body, "refunds"):
        yield refunded(hook, order, told, known)
    yield from _cancellation(hook, order, version)


def _state(hook: Notice, order: str, totals: Totals) -> Event:
    """Return the order's totals; the only event that says who bought, when, and under which name."""
    placed = _placed_at(hook.body)
    created = hook.topic == "orders/create"
    return hook.event(
        EventType.ORDER_PLACED if created else EventType.ORDER_UPDATED,
        placed if created else totals.version,
        totals.version,
        order=order,
        order_name=text_id(hook.body.get("name")),
        placed_at=hook.cut(placed),
        customer=buyer_of(hook.body),
        totals=totals,
    )


def _placed_at(body: Mapping[str, Any]) -> Millis:
    return first_instant(body, "processed_at", "created_at", "updated_at")


def _payment(hook: Notice, order: str, totals: Totals) -> Iterator[Event]:
    """Give that the order is paid.

    Only `orders/paid` says when. A body that shows a paid order says that it was at some time since it was
    placed, with that time as its version: the same whenever it is told, and less than what `orders/paid`
    says.
    """
    paid = hook.topic == "orders/paid"
    if not paid and hook.body.get("financial_status") not in _PAID:
        return
    at = totals.version if paid else _placed_at(hook.body)
    payment = Payment(
        id=f"order:{order}", version=at, amount=totals.total, currency=totals.currency, at=hook.cut(at)
    )
    yield hook.event(EventType.PAYMENT_COMPLETED, at, at, order=order, payment=payment)


def _cancellation(hook: Notice, order: str, version: Millis) -> Iterator[Event]:
    told = None if _is_sample(hook.body) else first_or_none(hook.body, "cancelled_at")
    if told is None and hook.topic != "orders/cancelled":
        return
    at = version if told is None else told
    reason = text_id(hook.body.get("cancel_reason"))
    cancellation = Cancellation(version=version, reason=reason, at=hook.cut(at))
    yield hook.event(EventType.ORDER_CANCELLED, at, version, order=order, cancellation=cancellation)


def _is_sample(body: Mapping[str, Any]) -> bool:
    unconfirmed = body.get("test") is True and body.get("confirmed") is False
    return unconfirmed and body.get("financial_status") == "voided"


def _transaction(hook: Notice) -> Iterator[Event]:
    """Give the money that a transaction took. What it gave back is told by the refund that it belongs to."""
    order = required_id(hook.body.get("order_id"), "order_id")
    kind, status = hook.body.get("kind"), hook.body.get("status")
    if kind not in ("sale", "capture"):
        raise Ignored(
            f"a transaction of the kind {show(kind)} takes no money; a refund comes with refunds/create"
        )
    if status != "success":
        raise Ignored(f"a {kind} that is {show(status)}: no money was taken")
    at = first_instant(hook.body, "processed_at", "created_at")
    currency = hook.body.get("currency")
    payment = Payment(
        id=id_of(hook.body, "id"),
        version=at,
        amount=money(hook.body.get("amount"), "amount"),
        currency=None if currency is None else currency_code(currency, "currency"),
        whole=False,
        at=hook.cut(at),
    )
    yield hook.event(EventType.PAYMENT_COMPLETED, at, at, order=order, payment=payment)


_READINGS: Mapping[str, Callable[[Notice], Iterator[Event]]] = {
    "orders/create": _order,
    "orders/updated": _order,
    "orders/paid": _order,
    "orders/partially_fulfilled": _order,
    "orders/fulfilled": _order,
    "orders/cancelled": _order,
    "fulfillments/create": normalize_fulfillment,
    "fulfillments/update": normalize_fulfillment,
    "refunds/create": normalize_refund,
    "order_transactions/create": _transaction,
    "customers/create": normalize_customer,
    "customers/update": normalize_customer,
    "customers/delete": normalize_customer,
    "customers/redact": normalize_customer,
}
