"""What is known of an order: facts, merged so that order and repetition of arrival do not matter.

Each fact lives in a register, and merging two values of a register keeps the one with the greater stamp: what the shop
says of its age first (rank, version), then its state, then its content. Taking the greater of two is commutative,
associative and idempotent, and so is doing it register by register; that is the whole reason why any permutation and
any repetition of the same webhooks ends in the same facts.

Sources are kept apart. Two sources may tell of one order (a shop and its payment provider), and their refund ids are
different names for the same money: the book never adds them up (see `orders.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from adapter.clock import Millis
from adapter.events import (
    Cancellation,
    Customer,
    Event,
    EventType,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    Shipment,
    Totals,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Register = TypeVar("Register")

_PAYMENT_ORDER = {state: rank for rank, state in enumerate(PaymentState)}
_REFUND_ORDER = {state: rank for rank, state in enumerate(RefundState)}


class KnownCustomer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who bought, as of one version. One with an id outranks a guest of any version."""

    version: Millis
    customer: Customer


class SourceFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one source says of an order."""

    name: tuple[Millis, str] | None = None
    placed_at: Millis | None = None
    test: bool = False
    customer: KnownCustomer | None = None
    totals: Totals | None = None
    cancellation: Cancellation | None = None
    payments: dict[str, Payment] = {}
    shipments: dict[str, Shipment] = {}
    refunds: dict[str, Refund] = {}


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Everything that is known of an order, by source."""

    sources: dict[str, SourceFacts] = {}


NO_FACTS = Facts()
_NOTHING = SourceFacts()
_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Facts)


def dump(facts: Facts) -> str:
    """Write facts as JSON with sorted keys: equal facts give equal text."""
    return _encoder.encode(facts).decode()


def load(text: str) -> Facts:
    """Read what `dump` wrote."""
    return _decoder.decode(text)


def merge(facts: Facts, source: str, event: Event) -> Facts:
    """Return the facts with one event of a source merged in; the very same object if it told nothing new."""
    known = facts.sources.get(source, _NOTHING)
    told = _merge_source(known, event)
    if told == known and source in facts.sources:
        return facts
    return Facts(sources={**facts.sources, source: told})


def _merge_source(known: SourceFacts, event: Event) -> SourceFacts:
    changes: dict[str, Any] = {}
    if event.order_name:
        changes["name"] = max(known.name or (event.version, ""), (event.version, event.order_name))
    if event.placed_at is not None:
        changes["placed_at"] = min(known.placed_at or event.placed_at, event.placed_at)
    if event.test:
        changes["test"] = True
    if event.customer is not None:
        told = KnownCustomer(version=event.version, customer=_without_person(event.customer))
        changes["customer"] = _later(known.customer, told, _customer_stamp)
    if event.totals is not None:
        changes["totals"] = _later(known.totals, event.totals, _totals_stamp)
    if event.cancellation is not None:
        changes["cancellation"] = _later(known.cancellation, event.cancellation, _cancellation_stamp)
    if event.payment is not None:
        changes["payments"] = _put(known.payments, event.payment.id, event.payment, _payment_stamp)
    if event.shipment is not None:
        changes["shipments"] = _put(known.shipments, event.shipment.id, event.shipment, _shipment_stamp)
    if event.refund is not None:
        changes["refunds"] = _put(known.refunds, event.refund.id, event.refund, _refund_stamp)
    return msgspec.structs.replace(known, **changes) if changes else known


def _without_person(customer: Customer) -> Customer:
    """Keep of a customer what finding the member needs, and nothing personal besides: a guest is found by address."""
    return Customer(id=customer.id) if customer.id else Customer(email=customer.email)


def _later(known: Register | None, told: Register, stamp: Any) -> Register:
    return told if known is None or stamp(told) > stamp(known) else known


def _put(known: Mapping[str, Register], key: str, told: Register, stamp: Any) -> dict[str, Register]:
    return {**known, key: _later(known.get(key), told, stamp)}


def _content(fact: Any) -> bytes:
    """Break the last tie: any total order will do, as long as it does not ask who came first."""
    return _encoder.encode(fact)


def _customer_stamp(fact: KnownCustomer) -> tuple[Any, ...]:
    return (fact.customer.id is not None, fact.version, _content(fact))


def _totals_stamp(fact: Totals) -> tuple[Any, ...]:
    return (fact.rank, fact.version, _content(fact))


def _cancellation_stamp(fact: Cancellation) -> tuple[Any, ...]:
    return (fact.version, fact.cancelled, _content(fact))


def _payment_stamp(fact: Payment) -> tuple[Any, ...]:
    return (fact.version, _PAYMENT_ORDER[fact.state], _content(fact))


def _shipment_stamp(fact: Shipment) -> tuple[Any, ...]:
    return (fact.version, fact.cancelled, _content(fact))


def _refund_stamp(fact: Refund) -> tuple[Any, ...]:
    return (fact.version, _REFUND_ORDER[fact.state], fact.amount, _content(fact))


_WEIGHT = {
    kind: weight
    for weight, kind in enumerate(
        (
            EventType.ORDER_UPDATED,
            EventType.PAYMENT_COMPLETED,
            EventType.ORDER_PLACED,
            EventType.ORDER_SHIPPED,
            EventType.ORDER_REFUNDED,
            EventType.ORDER_CANCELLED,
        ),
    )
}


def weightiest(events: list[Event]) -> Event:
    """Return the event that best names what a webhook was about: a shipment rather than the totals around it."""
    return max(events, key=lambda event: _WEIGHT.get(event.type, -1))
