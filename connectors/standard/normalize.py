"""From the checked JSON to our events: one body is one event."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from adapter.errors import Rejected
from adapter.events import (
    Cancellation,
    Customer,
    Event,
    EventType,
    Line,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    Shipment,
    Totals,
)
from connectors.payload import codes_of, read_json, show, within
from connectors.standard import model as m
from connectors.standard.topics import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter.clock import Millis
    from connectors.base import RawEvent

_NOTHING = Decimal(0)
Told = TypeVar("Told", bound=BaseModel)


def normalize_webhook(raw: RawEvent) -> tuple[Event, ...]:
    """Return the event. Raises `Rejected` naming the first field that cannot be read."""
    body = read_json(raw.body)
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in _READINGS:
        known = ", ".join(EVENT_TYPES)
        raise Rejected(f"`type` must be one of {known}, but is {show(kind)}", field="type")
    return (_READINGS[kind](body, raw.received_at),)


def _checked(kind: type[Told], body: Mapping[str, Any]) -> Told:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        path = ".".join(str(step) for step in first["loc"])
        why = "is not a field of this event" if first["type"] == "extra_forbidden" else first["msg"]
        more = f" (and {len(others)} more)" if others else ""
        raise Rejected(f"`{path}`: {why}{more}", field=path) from None


def _event(told: m.EventModel, kind: str, received_at: Millis, **facts: Any) -> Event:
    return Event(
        type=EventType(kind),
        occurred_at=min(told.occurred_at, received_at),
        version=_version(told),
        test=told.test,
        **facts,
    )


def _version(told: m.EventModel) -> Millis:
    return told.occurred_at if told.version is None else told.version


def _at(told: m.EventModel, at: Millis | None, received_at: Millis) -> Millis:
    """Return when it happened; never after we heard of it, however the sender's clock goes."""
    return min(told.occurred_at if at is None else at, received_at)


def _order(body: Mapping[str, Any], received_at: Millis) -> Event:
    told = _checked(m.OrderEvent, body)
    order = told.order
    placed = order.placed_at is not None or told.type == EventType.ORDER_PLACED.value
    return _event(
        told,
        told.type,
        received_at,
        order=order.id,
        order_name=order.name,
        placed_at=_at(told, order.placed_at, received_at) if placed else None,
        customer=None if told.customer is None else _customer(told.customer),
        totals=_totals(order, _version(told)),
    )


def _totals(order: m.OrderModel, version: Millis) -> Totals:
    lines = tuple(
        Line(**{name: getattr(line, name) for name in m.LineModel.model_fields}) for line in order.lines
    )
    tax = order.tax if order.tax is not None else sum((line.tax for line in lines), _NOTHING)
    worth = sum((line.amount for line in lines), tax + order.shipping - order.discount)
    return Totals(
        version=version,
        currency=order.currency,
        lines=lines,
        discount=order.discount,
        tax=within(tax, "order.tax"),
        shipping=order.shipping,
        total=within(worth if order.total is None else order.total, "order.total"),
        gift_cards=order.gift_cards,
        points_paid=order.points_paid,
        codes=codes_of(order.codes),
    )


def _customer(told: m.CustomerModel) -> Customer:
    return Customer(id=told.id, email=told.email, name=told.name)


def _payment(body: Mapping[str, Any], received_at: Millis) -> Event:
    told = _checked(m.PaymentEvent, body)
    payment = Payment(
        id=told.payment.id,
        version=_version(told),
        state=PaymentState(told.payment.state),
        amount=told.payment.amount,
        currency=told.payment.currency,
        whole=told.payment.whole,
        at=_at(told, told.payment.at, received_at),
        codes=codes_of(told.payment.codes),
    )
    return _event(told, told.type, received_at, order=told.order.id, payment=payment)


def _shipment(body: Mapping[str, Any], received_at: Millis) -> Event:
    told = _checked(m.ShipmentEvent, body)
    lines = told.shipment.lines
    shipment = Shipment(
        id=told.shipment.id,
        version=_version(told),
        cancelled=told.shipment.cancelled,
        lines=None if lines is None else tuple((one.line, one.quantity) for one in lines),
        at=_at(told, told.shipment.at, received_at),
    )
    return _event(told, told.type, received_at, order=told.order.id, shipment=shipment)


def _refund(body: Mapping[str, Any], received_at: Millis) -> Event:
    told = _checked(m.RefundEvent, body)
    one = told.refund
    refund = Refund(
        id=one.id,
        payment=one.payment,
        cumulative=one.cumulative,
        version=_version(told),
        state=RefundState(one.state),
        currency=one.currency,
        amount=one.amount,
        merchandise=_merchandise(one),
        shipping=one.shipping,
        lines=tuple((line.line, line.quantity, line.amount) for line in one.lines),
        at=_at(told, one.at, received_at),
    )
    return _event(told, told.type, received_at, order=told.order.id, refund=refund)


def _merchandise(refund: m.RefundModel) -> Decimal | None:
    """Return what went back for goods: as told, else the lines' sum, else nobody said."""
    if refund.merchandise is not None or not refund.lines:
        return refund.merchandise
    return within(sum((line.amount for line in refund.lines), _NOTHING), "refund.lines")


def _cancellation(body: Mapping[str, Any], received_at: Millis) -> Event:
    told = _checked(m.CancellationEvent, body)
    cancellation = Cancellation(
        version=_version(told),
        cancelled=told.cancellation.cancelled,
        reason=told.cancellation.reason,
        at=_at(told, told.cancellation.at, received_at),
    )
    return _event(told, told.type, received_at, order=told.order.id, cancellation=cancellation)


def _person(body: Mapping[str, Any], received_at: Millis) -> Event:
    told = _checked(m.CustomerEvent, body)
    return _event(told, told.type, received_at, customer=_customer(told.customer))


_READINGS: Mapping[str, Callable[[Mapping[str, Any], Millis], Event]] = {
    "order.placed": _order,
    "order.updated": _order,
    "payment.completed": _payment,
    "order.shipped": _shipment,
    "order.refunded": _refund,
    "order.cancelled": _cancellation,
    "customer.created": _person,
    "customer.updated": _person,
    "customer.deleted": _person,
    "customer.redacted": _person,
}
