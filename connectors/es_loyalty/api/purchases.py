"""Purchases: finalized activities become orders of a source, which earn, redeem and are refunded like any other.

They are told as events of our published form, so that what is sent again has no second effect: a purchase's id is the
client's `callId`, else the session's correlation id. Amounts are in the currency's smallest unit (pennies).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter.clock import iso
from adapter.points import points
from adapter.program.worth import EXPONENTS
from adapter.store.reading.awards import awarded
from adapter.web.asking import at_fault
from adapter.web.dialects import Answered, Asked, definition_of, looking, number, options_of, settings_of
from adapter.web.errors import Problem
from adapter.web.queries import Instant
from adapter.web.routing import Access, Call, Route
from adapter.web.taking import take_event, taking_source
from connectors.es_loyalty.api.reservations import NOT_ELIGIBLE, reservation_meant
from connectors.es_loyalty.api.sessions import account_of, open_session, redeems
from connectors.es_loyalty.vendor import NAME, TITLE, EsLoyaltyOptions

if TYPE_CHECKING:
    from adapter.book.state import Redemption
    from adapter.catalog import Source
    from adapter.store.sessions import Session

LOYALTY = "LOYALTY"
CART = "CART"
NO_PURCHASE = "Transaction does not exist"
CONFIRMED = "Transaction already confirmed"
Pennies = Annotated[Decimal, Field(ge=0, le=10**12, decimal_places=0)]
Reference = Annotated[str, Field(min_length=1, max_length=200)]


class ItemSold(Asked):
    """One line. `saleAmount` is the price of one, after discounts, without tax."""

    sku: Annotated[str | int, Field()] | None = None
    sub_category: Annotated[str | int, Field()] | None = None
    quantity: Annotated[Decimal, Field(gt=0, le=10**6)] = Decimal(1)
    sale_amount: Pennies
    item_tax: Pennies = Decimal(0)


class TenderPart(Asked):
    """A part of what was paid."""

    amount: Pennies
    reservation_token: Reference | None = None


class Confirmation(Asked):
    """That the points wait for the purchase to be confirmed, or that it is."""

    mode: Literal["CART"]


class PurchaseAsked(Asked):
    """A purchase that is finalized."""

    action: Literal["PURCHASE"] = "PURCHASE"
    call_id: Reference | None = None
    transaction_date: Instant | None = None
    tender: Annotated[dict[str, Pennies | tuple[TenderPart, ...]], Field(max_length=50)] = Field(
        default_factory=dict
    )
    reservation_token: Reference | None = None
    sale_line_items: Annotated[tuple[ItemSold, ...], Field(max_length=500)] = ()
    confirmation: Confirmation | None = None


class ConfirmationShown(Answered):
    """Whether the purchase is confirmed."""

    confirmed: bool
    mode: str


class PurchaseShown(Answered):
    """What became of a purchase. `status` and `reason` are those of our order."""

    transaction_id: str
    session_id: str
    status: str
    reason: str | None
    points_earned: Decimal
    points_redeemed: Decimal
    confirmation_details: ConfirmationShown | None = Field(None, alias="ConfirmationDetails")


class ConfirmedShown(Answered):
    """That a purchase is confirmed."""

    message: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """Where a purchase belongs: its source, its id there, the session and, unless anonymous, the customer."""

    source: Source
    ref: str
    session: Session
    customer: str | None
    currency: str
    redemption: Redemption | None = None


def finalize(call: Call) -> dict[str, Any]:
    """Take a purchase in."""
    asked: PurchaseAsked = call.body
    with looking(call) as seen:
        purchase = _purchase(seen)
    happened = iso(call.now if asked.transaction_date is None else min(asked.transaction_date, call.now))
    take_event(call, purchase.source, f"{purchase.ref}:placed", _placed(call, purchase, happened))
    if asked.confirmation is None:
        take_event(call, purchase.source, f"{purchase.ref}:paid", _paid(purchase.ref, happened))
    return _shown(call, purchase)


def confirm(call: Call) -> dict[str, Any]:
    """Confirm a purchase whose points wait for it."""
    with looking(call) as seen:
        member = account_of(seen, open_session(seen)).id
        source, ref = _source(call), call.path["original_transaction_id"]
        found = awarded(seen.database, call.env, source.orders_of, ref)
    if found is None or found.member != member:
        raise Problem("request_invalid", NO_PURCHASE)
    outcome = take_event(call, source, f"{ref}:paid", _paid(ref, iso(call.now)))
    if outcome.duplicate:
        raise Problem("request_invalid", CONFIRMED)
    return {"message": "The transaction has been fully confirmed."}


def _purchase(call: Call) -> Purchase:
    """Return what a request says of where the purchase belongs. Raises `Problem` where it belongs nowhere."""
    asked: PurchaseAsked = call.body
    session = open_session(call)
    source = _source(call)
    ref = asked.call_id or session.name
    currency = _currency(call)
    paid = _tendered(asked.tender.get(LOYALTY))
    if session.member is None:
        if paid:
            raise Problem("request_invalid", NOT_ELIGIBLE)
        return Purchase(source, ref, session, None, currency)
    member = account_of(call, session)
    known = f"{source.orders_of}:"
    customers = [one.removeprefix(known) for one in member.source_ids if one.startswith(known)]
    if not customers:
        why = f"the account is no customer of {source.orders_of!r}, the source that purchases are orders of"
        raise at_fault("purchases_of", why)
    used = _redemption(call, session, member.id) if paid else None
    return Purchase(source, ref, session, customers[0], currency, used)


def _redemption(call: Call, session: Session, member: int) -> Redemption:
    """Return the reservation that the LOYALTY tender uses, which must be worth what it says."""
    asked: PurchaseAsked = call.body
    if not redeems(session):
        raise Problem("request_invalid", NOT_ELIGIBLE)
    said = asked.tender[LOYALTY]
    tokens = {one.reservation_token for one in said} if isinstance(said, tuple) else {None}
    if len(tokens) > 1:
        raise at_fault("tender.LOYALTY", "one purchase uses one reservation")
    token = tokens.pop() or asked.reservation_token
    found = reservation_meant(call, session, member, token)
    if found.value != _tendered(said):
        raise at_fault("tender.LOYALTY", f"the reservation is worth {found.value}, not {_tendered(said)}")
    return found


def _tendered(said: Decimal | tuple[TenderPart, ...] | None) -> Decimal:
    if said is None or isinstance(said, Decimal):
        return said or Decimal(0)
    return sum((one.amount for one in said), Decimal(0))


def _source(call: Call) -> Source:
    """Return the source that purchases are orders of. Raises `Problem` where none takes events in our form."""
    name = options_of(call, NAME, EsLoyaltyOptions).purchases_of or settings_of(call, NAME).customers_of
    source = taking_source(call, name)
    if source is None:
        why = f"no source {name!r} with the connector `standard` takes purchases in: apply one, and name it"
        raise at_fault("purchases_of", why)
    return source


def _currency(call: Call) -> str:
    said = options_of(call, NAME, EsLoyaltyOptions).currency
    program = call.catalog.version_at(call.env, settings_of(call, NAME).program, call.now).program
    currency = said or program.redeeming.currency
    if currency is None:
        raise at_fault("currency", "neither the program's redeeming nor the dialect's options say one")
    return currency


def _placed(call: Call, purchase: Purchase, happened: str) -> dict[str, Any]:
    """Return the purchase as an order of our published form; nothing of it is shipped."""
    asked: PurchaseAsked = call.body
    exponent, used = EXPONENTS[purchase.currency], purchase.redemption

    def money(pennies: Decimal) -> str:
        return str(pennies.scaleb(-exponent))

    lines = [
        {
            "id": str(place),
            "quantity": str(one.quantity),
            "amount": money(one.sale_amount * one.quantity),
            "tax": money(one.item_tax),
            "ships": False,
            **({} if one.sku is None else {"sku": str(one.sku)}),
            **({} if one.sub_category is None else {"categories": [str(one.sub_category)]}),
        }
        for place, one in enumerate(asked.sale_line_items, 1)
    ]
    whole = money(sum((_tendered(one) for one in asked.tender.values()), Decimal(0)))
    order = {
        "id": purchase.ref,
        "currency": purchase.currency,
        "lines": lines or [{"id": "1", "amount": whole, "ships": False}],
        "points_paid": "0" if used is None else money(Decimal(used.value or 0)),
        "codes": [] if used is None or used.code is None else [used.code],
    }
    told: dict[str, Any] = {"type": "order.placed", "occurred_at": happened, "order": order}
    return told if purchase.customer is None else told | {"customer": {"id": purchase.customer}}


def _paid(ref: str, happened: str) -> dict[str, Any]:
    return {
        "type": "payment.completed",
        "occurred_at": happened,
        "order": {"id": ref},
        "payment": {"id": ref},
    }


def _shown(call: Call, purchase: Purchase) -> dict[str, Any]:
    asked: PurchaseAsked = call.body
    decimals = definition_of(call, NAME).decimals
    with looking(call) as seen:
        found = awarded(seen.database, call.env, purchase.source.orders_of, purchase.ref)
    cost = 0 if purchase.redemption is None else purchase.redemption.cost
    shown = {
        "transactionId": purchase.ref,
        "sessionId": purchase.session.name,
        "status": "waiting" if found is None else found.state,
        "reason": None if found is None else found.reason,
        "pointsEarned": number(points(0 if found is None else found.award, decimals)),
        "pointsRedeemed": number(points(cost, decimals)),
    }
    if asked.confirmation is None:
        return shown
    return shown | {"ConfirmationDetails": {"confirmed": False, "mode": asked.confirmation.mode}}


def _posting(path: str, handler: Any, summary: str, body: type[Asked], response: type[Answered]) -> Route:
    return Route(
        "POST",
        f"/client/users/{{correlation_id}}/{path}",
        handler,
        "transactions:write",
        summary,
        response,
        TITLE,
        access=Access.DOOR,
        body=body,
    )


ROUTES = (
    _posting("activity/finalize/v2", finalize, "Finalize a purchase", PurchaseAsked, PurchaseShown),
    _posting(
        "sessions/{original_transaction_id}/confirmations",
        confirm,
        "Confirm a purchase whose points wait for it",
        Confirmation,
        ConfirmedShown,
    ),
)
