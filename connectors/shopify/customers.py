"""Who bought: Shopify's customers as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.events import Customer, EventType
from connectors.payload import clean_email, clean_name, part
from connectors.shopify.webhook import first_or_none, id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter.events import Event
    from connectors.shopify.webhook import Notice

_KINDS = {
    "customers/create": EventType.CUSTOMER_CREATED,
    "customers/update": EventType.CUSTOMER_UPDATED,
    "customers/delete": EventType.CUSTOMER_DELETED,
    "customers/redact": EventType.CUSTOMER_REDACTED,
}


def normalize_customer(hook: Notice) -> Iterator[Event]:
    """Give what `customers/*` tells. A deletion says no time of its own: it happened when we heard of it."""
    kind = _KINDS[hook.topic]
    told = part(hook.body, "customer") if kind is EventType.CUSTOMER_REDACTED else hook.body
    version = first_or_none(told, "updated_at", "created_at")
    if version is None:
        version = hook.received_at
    yield hook.event(kind, version, version, customer=_customer(told, id_of(told, "customer.id")))


def buyer_of(order: Mapping[str, Any]) -> Customer | None:
    """Return who placed an order: a customer, a guest by address, or None for an anonymous sale."""
    person = part(order, "customer")
    known = id_of(person, "customer.id") if person.get("id") is not None else None
    emails = (
        clean_email(told) for told in (person.get("email"), order.get("email"), order.get("contact_email"))
    )
    email = next((told for told in emails if told), None)
    return _customer(person, known, email) if known or email else None


def _customer(person: Mapping[str, Any], known: str | None, email: str | None = None) -> Customer:
    return Customer(
        id=known,
        email=email or clean_email(person.get("email")),
        name=clean_name(person.get("first_name"), person.get("last_name")),
    )
