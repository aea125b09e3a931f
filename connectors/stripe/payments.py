"""Sessions, intents, charges and invoices: what was bought, as far as Stripe knows, and whether it is paid.

Several events tell of one payment. They meet in the payment's id, and the totals of a session or an invoice
outrank those of an intent or a charge, which know neither tax nor shipping.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from adapter.errors import Ignored, Rejected
from adapter.events import Cancellation, Customer, Event, EventType, Line, Payment, PaymentState, Totals
from connectors.payload import clean_email, clean_name, codes_of, text_id
from connectors.stripe.money import amount_of, currency_of
from connectors.stripe.notice import Notice, Thing, metadata_of, name_of, order_of, payment_of, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

KNOWS_MONEY = 1  # rank of totals that say only how much was paid
KNOWS_ORDER = 2  # rank of totals that say tax and shipping too


def session(notice: Notice) -> Iterator[Event]:
    """Read a checkout session that was completed, or whose slow payment arrived."""
    _refuse_session(notice)
    currency = currency_of(notice.thing)
    total = amount_of(notice.thing, "amount_total", currency)
    details = _part(notice.thing, "total_details")
    tax, shipping = (
        amount_of(details, "amount_tax", currency),
        _session_shipping(notice.thing, details, currency),
    )
    yield from _placed(notice, _totals(notice, KNOWS_ORDER, (currency, total, tax, shipping)))
    if notice.thing.get("payment_status") in ("paid", "no_payment_required"):
        yield _payment(notice, PaymentState.COMPLETED, total)


def _refuse_session(notice: Notice) -> None:
    if notice.thing.get("mode") == "setup":
        raise Ignored("the session only saves a way to pay; nothing is bought")
    if notice.options.shop_field is None and notice.thing.get("mode") == "subscription":
        raise Ignored("the session is for a subscription; the payment of its invoice tells of itself")


def _session_shipping(thing: Thing, details: Thing, currency: str) -> Decimal:
    cost = _part(thing, "shipping_cost")
    if cost:  # says its own tax, which is inside the price in some countries
        return amount_of(cost, "amount_total", currency) - amount_of(cost, "amount_tax", currency)
    return amount_of(details, "amount_shipping", currency)


def session_failed(notice: Notice) -> Iterator[Event]:
    """Read a session whose slow payment failed; the customer has to begin anew."""
    _refuse_session(notice)
    yield _payment(notice, PaymentState.FAILED, _session_total(notice))
    yield from _off(notice, "payment failed")


def session_expired(notice: Notice) -> Iterator[Event]:
    """Read a session that nobody completed in time."""
    _refuse_session(notice)
    if notice.options.shop_field is None and payment_of(notice.thing) is None:
        raise Ignored("the session ran out before a payment was begun")
    yield _payment(notice, PaymentState.CANCELLED, _session_total(notice))
    yield from _off(notice, "expired")


def _session_total(notice: Notice) -> Decimal:
    return amount_of(notice.thing, "amount_total", currency_of(notice.thing))


def paid(notice: Notice) -> Iterator[Event]:
    """Read an intent that succeeded, or a charge that was captured."""
    if notice.thing.get("captured") is False:
        raise Ignored("the charge is authorized and not captured; charge.captured tells of the money")
    currency = currency_of(notice.thing)
    told = next(
        (name for name in ("amount_received", "amount_captured") if notice.thing.get(name) is not None),
        "amount",
    )
    total = amount_of(notice.thing, told, currency)
    yield from _placed(notice, _totals(notice, KNOWS_MONEY, (currency, total, Decimal(0), Decimal(0))))
    yield _payment(notice, PaymentState.COMPLETED, total)


def intent_failed(notice: Notice) -> Iterator[Event]:
    """Read an intent whose attempt failed. It may succeed yet, so the order is not off."""
    yield _payment(notice, PaymentState.FAILED, amount_of(notice.thing, "amount", currency_of(notice.thing)))


def intent_canceled(notice: Notice) -> Iterator[Event]:
    """Read an intent that is given up for good."""
    yield _payment(
        notice, PaymentState.CANCELLED, amount_of(notice.thing, "amount", currency_of(notice.thing))
    )
    yield from _off(notice, text_id(notice.thing.get("cancellation_reason")) or "payment canceled")


def invoice(notice: Notice) -> Iterator[Event]:
    """Read a paid invoice."""
    currency = currency_of(notice.thing)
    total, money = (
        amount_of(notice.thing, "total", currency),
        amount_of(notice.thing, "amount_paid", currency),
    )
    if total < 0:
        raise Ignored("the invoice is a credit; nothing was bought")
    if notice.options.shop_field is None and money > 0 and payment_of(notice.thing) is None:
        raise Ignored(
            "the invoice does not name its payment; subscribe to payment_intent.succeeded, which tells of it"
        )
    shipping = _invoice_shipping(notice.thing, currency)
    totals = _totals(
        notice, KNOWS_ORDER, (currency, total, _invoice_tax(notice.thing, total, currency), shipping)
    )
    yield from _placed(notice, totals)
    yield _payment(notice, PaymentState.COMPLETED, money)


def _invoice_tax(thing: Thing, total: Decimal, currency: str) -> Decimal:
    """Return the tax, which three generations of the API write in three ways."""
    if thing.get("total_excluding_tax") is not None:
        return total - amount_of(thing, "total_excluding_tax", currency)
    for field in ("total_taxes", "total_tax_amounts"):
        taxes = thing.get(field)
        if isinstance(taxes, list) and taxes:
            parts = [amount_of(tax, "amount", currency) for tax in taxes if isinstance(tax, dict)]
            return sum(parts, Decimal(0))
    return amount_of(thing, "tax", currency)


def _invoice_shipping(thing: Thing, currency: str) -> Decimal:
    cost = _part(thing, "shipping_cost")
    return amount_of(cost, "amount_total", currency) - amount_of(cost, "amount_tax", currency)


def _totals(notice: Notice, rank: int, money: tuple[str, Decimal, Decimal, Decimal]) -> Totals:
    """Return totals of one line: the money, which is after discounts, without tax and shipping."""
    currency, total, tax, shipping = money
    goods = total - tax - shipping
    if goods < 0:
        raise Rejected("Tax and shipping are more than the total", field="amount_total")
    line = Line(id="total", amount=goods, tax=tax)
    return Totals(
        version=notice.created,
        rank=rank,
        currency=currency,
        lines=(line,),
        tax=tax,
        shipping=shipping,
        total=total,
    )


def _placed(notice: Notice, totals: Totals) -> Iterator[Event]:
    if notice.options.payments_only:
        return
    yield notice.event(
        EventType.ORDER_PLACED,
        order=order_of(notice),
        order_name=name_of(notice),
        customer=_customer(notice.thing),
        placed_at=notice.instant(notice.thing),
        totals=totals,
    )


def _payment(notice: Notice, state: PaymentState, amount: Decimal) -> Event:
    """Give the payment. Of a shop's order it may be a part, so there the amounts decide when it is paid."""
    order = order_of(notice)
    payment = Payment(
        id=payment_of(notice.thing) or text_id(notice.thing.get("id")) or order,
        version=notice.created,
        state=state,
        amount=amount,
        currency=currency_of(notice.thing),
        whole=not notice.options.payments_only,
        at=notice.at,
        codes=codes_of((metadata_of(notice.thing, "redemption"),)),
    )
    return notice.event(EventType.PAYMENT_COMPLETED, order=order, payment=payment)


def _off(notice: Notice, reason: str) -> Iterator[Event]:
    """Cancel the order where the payment is the order; a shop's order may be paid by another payment yet."""
    if notice.options.shop_field is None:
        cancellation = Cancellation(version=notice.created, reason=reason, at=notice.at)
        yield notice.event(EventType.ORDER_CANCELLED, order=order_of(notice), cancellation=cancellation)


def _customer(thing: Thing) -> Customer:
    """Return who paid: a customer of the Stripe account, or a guest known by an address alone."""
    person = _part(thing, "customer_details") or _part(thing, "billing_details")
    emails = (person.get("email"), *(thing.get(field) for field in ("customer_email", "receipt_email")))
    return Customer(
        id=reference(thing, "customer"),
        email=next((email for told in emails if (email := clean_email(told))), None),
        name=clean_name(person.get("name") or thing.get("customer_name")),
    )


def _part(thing: Thing, field: str) -> Thing:
    told = thing.get(field)
    return told if isinstance(told, dict) else {}
