"""What does it say? One event of Stripe in, events out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from adapter.errors import Ignored, Rejected
from adapter.events import Customer, Event, EventType
from connectors.payload import clean_email, clean_name, read_json, required_id
from connectors.stripe import payments, refunds
from connectors.stripe.notice import Notice, StripeOptions, Thing, seconds_of
from connectors.stripe.topics import IGNORED
from connectors.topics import reason_to_ignore

if TYPE_CHECKING:
    from connectors.base import RawEvent

Read = Callable[[Notice], Iterator[Event]]


def normalize_webhook(raw: RawEvent, options: StripeOptions) -> tuple[Event, ...]:
    """Return the events of a verified webhook. Raises `Ignored` or `Rejected`."""
    body = read_json(raw.body)
    read = _reader(body)
    data = body.get("data")
    thing = data.get("object") if isinstance(data, Mapping) else None
    if not isinstance(thing, Mapping):
        raise Rejected("The event carries no object: `data.object` is missing", field="data.object")
    notice = Notice(
        thing=thing,
        created=seconds_of(body),
        received_at=raw.received_at,
        test=body.get("livemode") is not True,
        options=options,
    )
    return tuple(read(notice))


def _reader(body: Thing) -> Read:
    if body.get("object") == "v2.core.event":
        raise Ignored("a thin event names an object and carries nothing of it; subscribe to snapshot events")
    kind = body.get("type")
    if not isinstance(kind, str):
        raise Rejected("This is not an event of Stripe: `type` is missing", field="type")
    why = reason_to_ignore(IGNORED, kind)
    if kind in _READ:
        return _READ[kind]
    if why is not None:
        raise Ignored(why)
    raise Rejected(f"Stripe's event type `{kind}` is not known here", field="type")


def _customer(kind: EventType) -> Read:
    def read(notice: Notice) -> Iterator[Event]:
        if notice.options.payments_only:
            raise Ignored("the source tells only of payments; the shop knows its customers")
        told = Customer(
            id=required_id(notice.thing.get("id"), "id"),
            email=clean_email(notice.thing.get("email")),
            name=clean_name(notice.thing.get("name")),
        )
        yield notice.event(kind, customer=told)

    return read


_READ: Mapping[str, Read] = {
    "checkout.session.completed": payments.session,
    "checkout.session.async_payment_succeeded": payments.session,
    "checkout.session.async_payment_failed": payments.session_failed,
    "checkout.session.expired": payments.session_expired,
    "payment_intent.succeeded": payments.paid,
    "payment_intent.payment_failed": payments.intent_failed,
    "payment_intent.canceled": payments.intent_canceled,
    "charge.succeeded": payments.paid,
    "charge.captured": payments.paid,
    "charge.refunded": refunds.charge,
    "charge.refund.updated": refunds.refund,
    "refund.created": refunds.refund,
    "refund.updated": refunds.refund,
    "refund.failed": refunds.refund,
    "charge.dispute.funds_withdrawn": refunds.withdrawn,
    "charge.dispute.funds_reinstated": refunds.reinstated,
    "invoice.paid": payments.invoice,
    "customer.created": _customer(EventType.CUSTOMER_CREATED),
    "customer.updated": _customer(EventType.CUSTOMER_UPDATED),
    "customer.deleted": _customer(EventType.CUSTOMER_DELETED),
}
