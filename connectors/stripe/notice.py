"""One event of Stripe with the fields that every fact needs, and the order that it belongs to.

Stripe knows payments, not orders. There are two ways to name an order, and a source uses exactly one of them:

- **the payment is the order** (no `order_field`): the payment intent's id names it. Session, intent, charge,
  refund and dispute all carry that id, so they always meet, whatever metadata somebody put on which of them;
- **the shop's order id** (`order_field`): the metadata key that holds it. An object without it is ignored,
  with that reason, and never falls back to the payment's id: then one purchase would be two orders and earn
  twice. Stripe copies an intent's metadata to its charge, but a session's to nobody: set
  `payment_intent_data.metadata` when a session is made. A refund has metadata of its own, mostly none;
  `charge.refunded` carries the charge's and so finds the order. A dispute has none at all, and Stripe's API
  is the only way from it to the order: such a source does not hear of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from adapter.clock import LATEST, Millis
from adapter.errors import Ignored, Rejected
from adapter.events import Event, EventType
from connectors.payload import required_id, text_id
from connectors.settings import Options

Thing = Mapping[str, Any]


class StripeOptions(Options):
    """What a source can set. See above for `order_field`.

    `payments_only` is for a source that speaks of a shop's orders: payments and refunds come from it, but
    neither totals nor customers nor cancellations, which the shop knows better. Its `order_field` is
    `order_id` unless set otherwise.
    """

    order_field: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    payments_only: bool = False

    @property
    def shop_field(self) -> str | None:
        """The metadata key of the shop's order id; None where the payment is the order."""
        return self.order_field or ("order_id" if self.payments_only else None)


@dataclass(frozen=True, slots=True)
class Notice:
    """An event of a known type: its object, its age (`created`, whole seconds) and the source's options."""

    thing: Thing
    created: Millis
    received_at: Millis
    test: bool
    options: StripeOptions

    @property
    def at(self) -> Millis:
        """The event's instant, never later than its arrival."""
        return min(self.created, self.received_at)

    def instant(self, thing: Thing) -> Millis:
        """Return when an object was made, never later than its news; old sessions do not say."""
        return self.at if thing.get("created") is None else min(seconds_of(thing), self.received_at)

    def event(self, kind: EventType, **facts: Any) -> Event:
        """Return an event of this age with some facts."""
        return Event(type=kind, occurred_at=self.at, version=self.created, test=self.test, **facts)


def seconds_of(thing: Thing) -> Millis:
    """Return `created` in milliseconds. Raises `Rejected` for anything but a reasonable number of seconds."""
    created = thing.get("created")
    if isinstance(created, bool) or not isinstance(created, int) or not 0 <= created <= LATEST // 1000:
        raise Rejected("`created` is not an instant in seconds since 1970", field="created")
    return created * 1000


def order_of(notice: Notice) -> str:
    """Return the order's name. Raises `Ignored` where the source goes by metadata and there is none."""
    field = notice.options.shop_field
    if field is not None:
        return _shop_order(notice.thing, field)
    return payment_of(notice.thing) or required_id(notice.thing.get("id"), "id")


def _shop_order(thing: Thing, field: str) -> str:
    order = metadata_of(thing, field)
    if order is None and field == "client_reference_id":  # the one name of an order that is not in metadata
        order = text_id(thing.get(field))
    if order is None:
        raise Ignored(f"no order in metadata.{field}")
    return order


def name_of(notice: Notice) -> str | None:
    """Return what people call an order that is named by its payment."""
    if notice.options.shop_field is not None:
        return None
    return metadata_of(notice.thing, "order_id") or text_id(notice.thing.get("client_reference_id"))


def metadata_of(thing: Thing, field: str) -> str | None:
    """Return what somebody wrote on an object under a name."""
    metadata = thing.get("metadata")
    return text_id(metadata.get(field)) if isinstance(metadata, Mapping) else None


def payment_of(thing: Thing) -> str | None:
    """Return the id of the payment that an object belongs to: the intent's, else the charge's."""
    if thing.get("object") in ("payment_intent", "charge"):
        return reference(thing, "payment_intent") or text_id(thing.get("id"))
    return reference(thing, "payment_intent") or _invoice_payment(thing) or reference(thing, "charge")


def _invoice_payment(thing: Thing) -> str | None:
    """Return the intent from an invoice's list of payments, where the newer API versions keep it."""
    told = thing.get("payments")
    rows = told.get("data") if isinstance(told, Mapping) else None
    for row in rows if isinstance(rows, list) else ():
        payment = row.get("payment") if isinstance(row, Mapping) else None
        if isinstance(payment, Mapping) and (intent := reference(payment, "payment_intent")):
            return intent
    return None


def reference(thing: Thing, field: str) -> str | None:
    """Return the id of another object, which Stripe writes as an id or, expanded, as the whole object."""
    told = thing.get(field)
    return text_id(told.get("id")) if isinstance(told, Mapping) else text_id(told)
