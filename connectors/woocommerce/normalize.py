"""What does it say? A topic and a body in, events out.

The topic is a header and so not signed; a body is only read as what it looks like. (`{"id": 16}` is the one
body that fits several topics: what was deleted is known by the header alone.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from adapter.clock import Millis
from adapter.errors import Ignored, Rejected
from adapter.events import Cancellation, Customer, Event, EventType
from connectors.payload import clean_email, clean_name, read_json, required_id
from connectors.topics import reason_to_ignore
from connectors.woocommerce.snapshot import events_of, moment_of, read_snapshot
from connectors.woocommerce.topics import IGNORED

if TYPE_CHECKING:
    from connectors.base import RawEvent

Body = Mapping[str, Any]
Read = Callable[[Body, Millis], tuple[Event, ...]]


def normalize_webhook(raw: RawEvent, topic: str) -> tuple[Event, ...]:
    """Return the events of a verified webhook. Raises `Ignored` or `Rejected`."""
    read = _READ.get(topic)
    if read is None:
        raise _not_read(topic)
    body = read_json(raw.body)
    _refuse_legacy(body)
    return read(body, raw.received_at)


def _not_read(topic: str) -> Ignored | Rejected:
    why = reason_to_ignore(IGNORED, topic)
    return Rejected(f"WooCommerce's topic `{topic}` is not known here") if why is None else Ignored(why)


def _refuse_legacy(body: Body) -> None:
    if "id" not in body and ("order" in body or "customer" in body):
        raise Rejected(
            "This is the shop's legacy format: set the webhook's API version to WP REST API Integration v3"
        )


def _created(body: Body, received_at: Millis) -> tuple[Event, ...]:
    return tuple(events_of(read_snapshot(body, received_at), EventType.ORDER_PLACED))


def _updated(body: Body, received_at: Millis) -> tuple[Event, ...]:
    return tuple(events_of(read_snapshot(body, received_at), EventType.ORDER_UPDATED))


def _deleted(body: Body, received_at: Millis) -> tuple[Event, ...]:
    """Read `{"id": …}`, all that is told of an order that went into the trash.

    Its only time is the arrival. A state that the order reaches later, out of the trash again, is newer and
    wins.
    """
    cancellation = Cancellation(version=received_at, reason="deleted", at=received_at)
    order = _only_id(body)
    return (
        Event(
            type=EventType.ORDER_CANCELLED,
            order=order,
            occurred_at=received_at,
            version=received_at,
            cancellation=cancellation,
        ),
    )


def _only_id(body: Body) -> str:
    if len(body) != 1:
        raise Rejected(
            "a deletion names an `id` and nothing else; this is another kind of webhook", field="id"
        )
    return required_id(body.get("id"), "id")


def _customer(kind: EventType) -> Read:
    def read(body: Body, received_at: Millis) -> tuple[Event, ...]:
        if "email" not in body:
            raise Rejected("this is not a customer: `email` is missing", field="email")
        told = Customer(
            id=required_id(body.get("id"), "id"),
            email=clean_email(body["email"]),
            name=clean_name(body.get("first_name"), body.get("last_name")),
        )
        version = moment_of(body, "date_modified") or moment_of(body, "date_created") or received_at
        return (Event(type=kind, occurred_at=min(version, received_at), version=version, customer=told),)

    return read


def _customer_deleted(body: Body, received_at: Millis) -> tuple[Event, ...]:
    customer = Customer(id=_only_id(body))
    return (
        Event(
            type=EventType.CUSTOMER_DELETED, occurred_at=received_at, version=received_at, customer=customer
        ),
    )


_READ: Mapping[str, Read] = {
    "order.created": _created,
    "order.updated": _updated,
    "order.restored": _updated,
    "order.deleted": _deleted,
    "customer.created": _customer(EventType.CUSTOMER_CREATED),
    "customer.updated": _customer(EventType.CUSTOMER_UPDATED),
    "customer.deleted": _customer_deleted,
}
