"""Payments, as far as redemptions need them. They are rehearsed: a test card says how one ends, and nobody is charged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter import ids
from adapter.book.news import payment_view
from adapter.commands import BeginPayment, EndPayment
from adapter.program.worth import EXPONENTS
from adapter.store.reading.members import find_member
from adapter.store.reading.payments import find_payment
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.dialects import Asked
from adapter.web.errors import Problem
from adapter.web.routing import Repeated, missing
from connectors.vinr.api.asking import Id, account_named, changing, customer_id, reading, said
from connectors.vinr.api.shown import PaymentShown
from connectors.vinr.words import payment_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.web.routing import Call

CARDS = {"4242424242424242": "completed", "4000000000000002": "failed"}
"""VINR's test cards, each with how a payment by it ends."""
PLACE = "/v1/payments"


class Card(Asked):
    number: Annotated[str, Field(max_length=40)]


class PaymentMethod(Asked):
    card: Card


class Discount(Asked):
    redemption: Id


class PaymentBegun(Asked):
    """`amount` is in minor units, before the discounts. With a card it is paid at once; without it waits."""

    amount: Annotated[int, Field(strict=True, ge=1, le=10**12)]
    currency: Annotated[str, Field(min_length=3, max_length=3)]
    customer: Id | None = None
    discounts: Annotated[tuple[Discount, ...], Field(max_length=10)] = ()
    payment_method: PaymentMethod | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class Confirmed(Asked):
    payment_method: PaymentMethod


class Ended(Asked):
    """Nothing more is said."""


def create_payment(call: Call) -> dict[str, Any] | Repeated:
    """Begin a payment, and pay it at once where a card is given."""
    asked: PaymentBegun = call.body
    settings = said(call)
    currency = asked.currency.upper()
    if currency not in EXPONENTS:
        raise at_fault("currency", f"{currency} is not a currency of ISO 4217")
    command = BeginPayment(
        env=call.env,
        id=ids.new_id(call.now),
        source=settings.customers_of,
        program=settings.program,
        amount=asked.amount,
        currency=currency,
        member=ids.new_id(call.now),
        customer=_customer(call, asked),
        redemptions=tuple(dict.fromkeys(_redemption(one) for one in asked.discounts)),
        state="pending" if asked.payment_method is None else _state(asked.payment_method),
        received_at=call.now,
        once=once_of(call),
    )
    return _told(call, command)


def confirm_payment(call: Call) -> dict[str, Any] | Repeated:
    """Pay a payment by a test card."""
    return _end(call, _state(call.body.payment_method))


def cancel_payment(call: Call) -> dict[str, Any] | Repeated:
    """Give a payment up."""
    return _end(call, "cancelled")


def expire_payment(call: Call) -> dict[str, Any] | Repeated:
    """Let a payment run out."""
    return _end(call, "expired")


def show_payment(call: Call) -> dict[str, Any]:
    """Show one payment."""
    number = call.id("payment", "pay")
    found = find_payment(call.database, call.env, said(call).customers_of, number)
    if found is None:
        raise missing("pay", call.path["payment"])
    return _shown(found)


def _end(call: Call, state: str) -> dict[str, Any] | Repeated:
    settings = said(call)
    number = call.id("payment", "pay")
    with call.parts.engine.connect() as connection:
        if find_payment(connection, call.env, settings.customers_of, number) is None:
            raise missing("pay", call.path["payment"])
    command = EndPayment(
        env=call.env,
        payment=number,
        source=settings.customers_of,
        program=settings.program,
        state=state,
        received_at=call.now,
        once=once_of(call),
    )
    return _told(call, command)


def _told(call: Call, command: BeginPayment | EndPayment) -> dict[str, Any] | Repeated:
    """Tell of a payment. Raises `Problem` where its card was declined, which is kept all the same."""
    answer = ask(call, command, _shown)
    shown = answer.view if isinstance(answer, Repeated) else answer
    if command.state == "failed":
        why = f"The card was declined: {shown['id']} failed, and what it would have redeemed is released."
        raise Problem("payment_declined", why, errors=(("payment_method", why),))
    return answer


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return payment_of(payment_view(row))


def _customer(call: Call, asked: PaymentBegun) -> str | None:
    """Return who pays: the customer, else the one of the account in `metadata.loyalty_account`."""
    account = asked.metadata.get("loyalty_account") if asked.customer is None else asked.customer
    if account is None:
        return None
    reference = account_named(call, account)
    if asked.customer is not None and not reference.startswith("mem_"):
        return asked.customer
    with call.parts.engine.connect() as connection:
        row = find_member(connection, call.env, reference)
    found = customer_id(call, row)
    if found is None:
        why = f"this account is of no customer of {said(call).customers_of!r}, by whom a payment would be its own"
        raise at_fault("customer", why)
    return found


def _redemption(discount: Discount) -> int:
    number = ids.read("rdm", discount.redemption)
    if number is None:
        raise at_fault(
            "discounts", f"{discount.redemption[:64]!r} is no redemption; their ids begin with rdm_"
        )
    return number


def _state(method: PaymentMethod) -> str:
    number = "".join(method.card.number.split())
    if number not in CARDS:
        raise at_fault(
            "payment_method",
            "nobody is charged here: give 4242 4242 4242 4242, which pays, or 4000 0000 0000 0002, which is declined",
        )
    return CARDS[number]


ONE = f"{PLACE}/{{payment}}"
WRITE = "redemptions:write"
ROUTES = (
    changing(f"POST {PLACE}", create_payment, WRITE, "Rehearse a payment, in a test environment",
             (PaymentBegun, PaymentShown), status=201),
    reading(ONE, show_payment, "redemptions:read", "Show a rehearsed payment", PaymentShown),
    changing(f"POST {ONE}/confirm", confirm_payment, WRITE, "Pay a rehearsed payment by a test card",
             (Confirmed, PaymentShown)),
    changing(f"POST {ONE}/cancel", cancel_payment, WRITE, "Give a rehearsed payment up", (Ended, PaymentShown)),
    changing(f"POST {ONE}/expire", expire_payment, WRITE, "Let a rehearsed payment run out", (Ended, PaymentShown)),
)  # fmt: skip
