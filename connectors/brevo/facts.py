"""What an order's status, or an event, says: all facts that are in it, none of which depends on what was said before.

Brevo's orders carry their whole latest state, of which `updatedAt` (of an event `event_date`) says how old it is. Payment
and shipment are dated by the first state that has them, so their version counts backwards: whatever comes in later, or
again, changes nothing of it. Brevo names no currency: the source does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapter.errors import Rejected
from adapter.events import Cancellation, Customer, Event, EventType, Line, Payment, Refund, Shipment, Totals
from connectors.brevo.messages import EXTERNAL
from connectors.brevo.topics import Stage
from connectors.payload import (
    clean_email,
    codes_of,
    instant,
    money,
    quantity,
    required_id,
    rows,
    text_id,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter.clock import Millis

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Said:
    """One state of an order, or what one event says of it; `body` has its amount and products where it has any."""

    order: str
    stage: Stage
    version: Millis
    received_at: Millis
    body: Mapping[str, Any]
    customer: Customer
    currency: str
    placed_at: Millis | None = None
    kind: EventType = EventType.ORDER_UPDATED

    @property
    def at(self) -> Millis:
        """The instant of this state."""
        return min(self.version, self.received_at)


def of_order(
    body: Mapping[str, Any], stages: Mapping[str, Stage], currency: str, received_at: Millis
) -> Said:
    """Read the body of `/orders/status`. Raises `Rejected` that names the field at fault."""
    status = body.get("status")
    stage = stages.get(word_of(status)) if isinstance(status, str) else None
    if stage is None:
        raise Rejected(
            f"`status` {str(status)[:60]!r} is not one that is known; add it to the source's option `statuses`",
            field="status",
        )
    created_at = instant(body.get("createdAt"), "createdAt")
    return Said(
        order=required_id(body.get("id"), "id"),
        stage=stage,
        version=instant(body.get("updatedAt"), "updatedAt"),
        received_at=received_at,
        body=body,
        customer=customer_of(body),
        currency=currency,
        placed_at=min(created_at, received_at),
        kind=EventType.ORDER_PLACED if stage is Stage.OPEN else EventType.ORDER_UPDATED,
    )


def of_event(body: Mapping[str, Any], stage: Stage, currency: str, received_at: Millis) -> Said:
    """Read the body of `/events`. Raises `Rejected` that names the field at fault."""
    told = body.get("event_properties")
    properties: Mapping[str, Any] = told if isinstance(told, dict) else {}
    names = ("order_id", "orderId", "id")
    order = next((found for name in names if (found := text_id(properties.get(name)))), None)
    date = body.get("event_date")
    return Said(
        order=required_id(order, "event_properties.order_id"),
        stage=stage,
        version=received_at if date is None else instant(date, "event_date"),
        received_at=received_at,
        body=properties,
        customer=customer_of(body),
        currency=currency,
        kind=EventType.ORDER_PLACED if stage is Stage.OPEN else EventType.ORDER_UPDATED,
    )


def customer_of(body: Mapping[str, Any]) -> Customer:
    """Return who bought: the contact or the subscription, else the shop's own id for them, else only an address."""
    told = body.get("identifiers")
    names: Mapping[str, Any] = told if isinstance(told, dict) else {}
    known = text_id(names.get("contact_id")) or text_id(names.get("loyalty_subscription_id"))
    external = text_id(names.get("ext_id"))
    if known is None and external is not None:
        known = text_id(f"{EXTERNAL}{external}")
    return Customer(id=known, email=clean_email(names.get("email_id")))


def facts(said: Said) -> Iterator[Event]:
    """Give every fact of it. Raises `Rejected` where an order is announced without its totals."""
    if "products" in said.body or said.stage is Stage.OPEN:
        yield _placed(said)
    off = said.stage is Stage.CANCELLED
    if off:
        gone = Cancellation(version=said.version, reason=said.stage, at=said.at)
        yield _event(said, EventType.ORDER_CANCELLED, cancellation=gone)
    if said.stage in (Stage.PAID, Stage.COMPLETED):
        payment = Payment(id=f"order:{said.order}", version=-said.version, at=said.at)
        yield _event(said, EventType.PAYMENT_COMPLETED, payment=payment)
    if said.stage in (Stage.SHIPPED, Stage.COMPLETED):
        shipment = Shipment(id=f"order:{said.order}", version=-said.version, at=said.at)
        yield _event(said, EventType.ORDER_SHIPPED, shipment=shipment)
    if said.stage is Stage.REFUNDED:
        yield _event(said, EventType.ORDER_REFUNDED, refund=_refund(said))


def _placed(said: Said) -> Event:
    """Give the totals, and where the order is on that it is: it may have been off before."""
    on = (
        None
        if said.stage is Stage.CANCELLED
        else Cancellation(version=said.version, cancelled=False, at=said.at)
    )
    return _event(
        said,
        said.kind,
        placed_at=said.placed_at or said.at,
        customer=said.customer,
        totals=_totals(said),
        cancellation=on,
    )


def _totals(said: Said) -> Totals:
    """Return the totals: what the amount has beyond the products is shipping and tax, what it has less is a discount."""
    total = money(said.body.get("amount"), "amount")
    lines = tuple(_lines(said))
    worth = within(sum((line.amount for line in lines), _NOTHING), "products.price")
    coupons = said.body.get("coupons")
    return Totals(
        version=said.version,
        currency=said.currency,
        lines=lines,
        discount=max(worth - total, _NOTHING),
        shipping=max(total - worth, _NOTHING),
        total=total,
        codes=codes_of(coupons if isinstance(coupons, list) else ()),
    )


def _lines(said: Said) -> Iterator[Line]:
    seen: Counter[str] = Counter()
    for item in rows(said.body, "products"):
        product = required_id(item.get("productId"), "products.productId")
        variant = text_id(item.get("variantId"))
        name = product if variant is None else f"{product}:{variant}"
        seen[name] += 1
        number = item.get("quantity") if item.get("quantity") is not None else item.get("quantityFloat")
        count = quantity(number, "products.quantity", default=Decimal(1))
        price = quantity(item.get("price"), "products.price")
        yield Line(
            id=name if seen[name] == 1 else f"{name}#{seen[name]}",
            quantity=count,
            amount=within(price * count, "products.price"),
            product=product,
            sku=variant,
        )


def _refund(said: Said) -> Refund:
    """Return the refund: of what an event names, else of everything."""
    number = text_id(said.body.get("refund_id"))
    return Refund(
        id=number or f"order:{said.order}",
        version=said.version,
        currency=said.currency,
        amount=quantity(said.body.get("amount"), "amount"),
        at=said.at,
    )


def _event(said: Said, kind: EventType, **more: Any) -> Event:
    return Event(type=kind, order=said.order, occurred_at=said.at, version=said.version, **more)


def word_of(status: str) -> str:
    """Return a status as the tables write it."""
    return status.strip().lower().replace(" ", "_").replace("-", "_")
