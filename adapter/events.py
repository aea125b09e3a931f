"""The inbound vocabulary: what a shop can tell us, whatever its platform calls it.

A connector turns one webhook into a tuple of events. Each event carries one *fact* about an order or a customer.
Facts are merged, never executed: `book/facts.py` joins them so that order and repetition do not matter. What makes
that possible is the `version` of each fact: the shop's own instant or counter for this state of things. Of two facts
about the same thing the higher version is right; a tie is broken by content, never by arrival.

Shapes and units: money is `Decimal` in the currency's main unit (`Decimal("89.99")`), always what the shop said and
never rounded here; quantities are `Decimal` (some shops sell 1.5 of a thing); instants are `Millis`; ids are the
shop's own, as text. `currency` is upper-case ISO 4217.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from adapter.clock import Millis


class EventType(StrEnum):
    """The dotted names of what comes in."""

    ORDER_PLACED = "order.placed"  #: an order and its totals, seen for the first time
    ORDER_UPDATED = "order.updated"  #: a later state of an order's totals
    PAYMENT_COMPLETED = "payment.completed"  #: money arrived (or, by its state, failed to)
    ORDER_SHIPPED = "order.shipped"  #: a shipment, of some lines or of all
    ORDER_REFUNDED = "order.refunded"  #: one refund, known by its id
    ORDER_CANCELLED = "order.cancelled"  #: the order is off (or, by a later version, on again)
    CUSTOMER_CREATED = "customer.created"
    CUSTOMER_UPDATED = "customer.updated"
    CUSTOMER_DELETED = "customer.deleted"
    CUSTOMER_REDACTED = "customer.redacted"  #: the person asked to be forgotten


class Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A value that never changes and crosses processes as it is.

    It cannot be part of a cycle, so the garbage collector need not look at the dozens of them in each webhook.
    """


class Customer(Struct, frozen=True, kw_only=True):
    """Who bought, as the shop knows them. A guest has no `id`; an anonymous sale has neither."""

    id: str | None = None
    email: str | None = None  # lower-case, stripped; None when the shop sent none or an empty one
    name: str | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One line of an order. `amount` is for the whole quantity, after discounts, without tax."""

    id: str
    quantity: Decimal = Decimal(1)
    amount: Decimal
    tax: Decimal = Decimal(0)
    sku: str | None = None
    product: str | None = None
    categories: tuple[str, ...] = ()
    gift_card: bool = False  # the line *sells* a gift card; such lines earn nothing by default
    ships: bool = True  # False for what is never shipped (a download, a service)


class Totals(Struct, frozen=True, kw_only=True):
    """What an order is, as of one version of it. Replaces every older one whole."""

    version: Millis
    rank: int = 0  # how much this kind of payload knows; a higher rank wins before the version does
    currency: str
    lines: tuple[Line, ...]
    discount: Decimal = Decimal(0)  # of the order as a whole, not yet taken off any line; >= 0
    tax: Decimal = Decimal(0)
    shipping: Decimal = Decimal(0)  # without tax
    total: Decimal  # what the customer owes for everything
    gift_cards: Decimal = Decimal(0)  # the part of `total` that was paid with gift cards
    points_paid: Decimal = Decimal(0)  # the part of `total` that was paid with points
    codes: tuple[str, ...] = ()  # the discount codes that were used


class PaymentState(StrEnum):
    """How a payment stands. At one version the later in this list wins."""

    PENDING = "pending"  #: announced, not settled
    FAILED = "failed"  #: declined
    CANCELLED = "cancelled"  #: given up or run out before it settled
    COMPLETED = "completed"  #: money arrived


class Payment(Struct, frozen=True, kw_only=True):
    """One payment of an order, by the shop's payment id. `whole` says that with it the order is fully paid."""

    id: str
    version: Millis
    state: PaymentState = PaymentState.COMPLETED
    amount: Decimal | None = None
    currency: str | None = None
    whole: bool = True
    at: Millis  # when the money arrived
    codes: tuple[str, ...] = ()  # the discount codes that it was reduced by, where the provider was told


class Shipment(Struct, frozen=True, kw_only=True):
    """One shipment, by the shop's shipment id. No `lines` means: everything in the order."""

    id: str
    version: Millis
    cancelled: bool = False
    lines: tuple[tuple[str, Decimal], ...] | None = None  # (line id, quantity)
    at: Millis


class RefundState(StrEnum):
    """How a refund stands. At one version the later in this list wins."""

    PENDING = "pending"  #: asked for; takes nothing yet
    COMPLETED = "completed"  #: counts
    FAILED = "failed"  #: did not happen; whatever it took comes back


class Refund(Struct, frozen=True, kw_only=True):
    """One refund, by the shop's refund id.

    `merchandise` is what it takes off the lines without tax, where the shop says so; otherwise it is None and the
    book takes the order's net share of `amount`. `lines` are (line id, quantity, amount without tax) and decide which
    lines a refund touches. `amount` is the money that went back in all, with tax and shipping.

    Some providers only tell a payment's running total. Such a fact is `cumulative`: its `amount` is everything that was
    refunded of `payment` so far, and the book takes the greater of it and the single refunds of that payment.
    """

    id: str
    payment: str | None = None
    cumulative: bool = False
    version: Millis
    state: RefundState = RefundState.COMPLETED
    currency: str | None = None
    amount: Decimal
    merchandise: Decimal | None = None
    shipping: Decimal = Decimal(0)
    lines: tuple[tuple[str, Decimal, Decimal], ...] = ()
    at: Millis


class Cancellation(Struct, frozen=True, kw_only=True):
    """Whether the order is off. Only a higher version can bring a cancelled order back."""

    version: Millis
    cancelled: bool = True
    reason: str | None = None
    at: Millis


class Event(Struct, frozen=True, kw_only=True):
    """One normalized fact.

    `order` is the shop's order id for all `order.*` and `payment.*` events and None for `customer.*`.
    `occurred_at` is when it happened at the shop, as the shop says. `version` orders facts about who the customer is.
    """

    type: EventType
    occurred_at: Millis
    version: Millis
    order: str | None = None
    order_name: str | None = None  # what people call the order ("#1001"), for search and display only
    placed_at: Millis | None = None
    customer: Customer | None = None
    totals: Totals | None = None
    payment: Payment | None = None
    shipment: Shipment | None = None
    refund: Refund | None = None
    cancellation: Cancellation | None = None
    test: bool = False  # the shop marked it as a test: never earns in a live environment
