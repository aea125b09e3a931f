"""Reservations: points on hold for a redemption, until they are used, cancelled, or over by time."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from pydantic import AliasChoices, Field

from adapter import ids
from adapter.book.state import RedemptionState
from adapter.commands import BeginRedemption
from adapter.points import points, smallest
from adapter.program.worth import EXPONENTS
from adapter.store.reading.redemptions import RedemptionFilter, find_redemption, list_redemptions
from adapter.web.asking import at_fault, once_of, shown_as
from adapter.web.dialects import Answered, Asked, definition_of, looking, number, options_of
from adapter.web.errors import Problem
from adapter.web.redeeming import move_redemption, submit_redemption
from adapter.web.routing import Access, Call, Repeated, Route, missing
from connectors.es_loyalty.api.sessions import account_of, open_session, redeems
from connectors.es_loyalty.vendor import NAME, TITLE, EsLoyaltyOptions

if TYPE_CHECKING:
    from adapter.book.state import Redemption
    from adapter.catalog import Definition
    from adapter.store.sessions import Session

SESSION = "session"
"""The metadata of a redemption that names the session it was reserved in."""
NOT_ENABLED = "Adhoc Redemption feature is not enabled"
NOT_ELIGIBLE = "Account is not eligible for redemption."
NO_BUSINESS_UNIT = "Business Unit is mandatory and required to be non-empty"
WAITING_MOST = 50
Text = Annotated[str, Field(max_length=200)]


class ItemAsked(Asked):
    """So many of a reward of the catalogue."""

    id: Annotated[str, Field(min_length=1, max_length=64, validation_alias=AliasChoices("id", "productCode"))]
    quantity: Annotated[int, Field(ge=1, le=10_000)] = 1


class ReservationAsked(Asked):
    """Points to reserve: so many, else as many as the items cost."""

    reservation_amount: int | str | None = None
    catalogue_items: Annotated[tuple[ItemAsked, ...], Field(max_length=100)] = ()
    business_unit: Text | None = None
    redeemer_id: Text | None = None
    redemption_id: Text | None = None
    contributions: dict[str, Any] | None = None


class RedemptionAsked(Asked):
    """A reservation to be redeemed now, without a purchase."""

    reservation_token: Text
    business_unit: Text = ""
    external_reference_id: Text | None = None


class ReservationShown(Answered):
    """Points on hold. `reservationDollarAmount` is what they are worth."""

    reservation_token: str
    reservation_amount: Decimal
    reservation_dollar_amount: Decimal
    reservation_expiry_date: str
    status: str
    session_id: str


class CancelledShown(Answered):
    """A reservation that is not needed any more."""

    status: str
    reservation_token: str
    session_id: str


class RedeemedShown(Answered):
    """A reservation that was redeemed."""

    transaction_id: str
    message: str


def reserve(call: Call) -> dict[str, Any] | Repeated:
    """Put points on hold."""
    asked: ReservationAsked = call.body
    session, member = _redeemer(call)
    if asked.contributions:
        raise at_fault("contributions", "no households are kept here: the session's account gives all points")
    definition = definition_of(call, NAME)
    rules = call.catalog.version_at(call.env, definition.program, call.now).program.redeeming
    said = {
        "businessUnit": asked.business_unit,
        "redeemerId": asked.redeemer_id,
        "redemptionId": asked.redemption_id,
    }
    command = BeginRedemption(
        env=call.env,
        id=ids.new_id(call.now),
        member=member,
        definition=definition.id,
        code=ids.new_code(rules.code_prefix),
        points=_amount(call, asked, definition),
        metadata={SESSION: session.name, **{name: text for name, text in said.items() if text}},
        received_at=call.now,
        once=once_of(call),
    )
    return shown_as(submit_redemption(call, command), lambda view: _reserved(view, session))


def cancel_reservation(call: Call) -> dict[str, Any] | Repeated:
    """Let reserved points go."""
    session, member = _redeemer(call)
    found = _reservation(call, member, call.path["reservation_token"])
    return shown_as(
        move_redemption(call, found, RedemptionState.RELEASED),
        lambda view: {
            "status": "CANCELLED",
            "reservationToken": view["id"],
            "sessionId": session.name,
        },
    )


def redeem_reservation(call: Call) -> dict[str, Any] | Repeated:
    """Redeem reserved points without a purchase."""
    asked: RedemptionAsked = call.body
    if not asked.business_unit:
        raise Problem("request_invalid", NO_BUSINESS_UNIT)
    _, member = _redeemer(call)
    found = _reservation(call, member, asked.reservation_token)
    return shown_as(
        move_redemption(call, found, RedemptionState.APPLIED, reason=asked.external_reference_id),
        lambda view: {"transactionId": view["transaction"], "message": "Redeemed."},
    )


def reservation_meant(call: Call, session: Session, member: int, token: str | None) -> Redemption:
    """Return the reservation that a purchase uses: by its token, else the only one that waits in its session.

    Raises `Problem` where there is none, several, or where it does not wait any more.
    """
    if token is not None:
        found = _of_member(call, member, token)
        if found.state_at(call.now) != RedemptionState.PENDING:
            raise at_fault("tender.LOYALTY", f"the reservation is {found.state_at(call.now)} already")
        return found
    chosen = RedemptionFilter(member=member, state=RedemptionState.PENDING)
    page = list_redemptions(call.database, call.env, chosen, now=call.now, limit=WAITING_MOST)
    waiting = [one for one in page.rows if orjson.loads(one.metadata or "{}").get(SESSION) == session.name]
    if len(waiting) != 1:
        many = "several reservations wait" if waiting else "no reservation waits"
        raise at_fault("tender.LOYALTY", f"{many} in this session: name one by its reservationToken")
    return waiting[0]


def _redeemer(call: Call) -> tuple[Session, int]:
    """Return the session and its member. Raises `Problem` where they cannot redeem."""
    with looking(call) as seen:
        session = open_session(seen)
        if not options_of(call, NAME, EsLoyaltyOptions).adhoc_redemption:
            raise Problem("request_invalid", NOT_ENABLED)
        member = account_of(seen, session).id
    if not redeems(session):
        raise Problem("request_invalid", NOT_ELIGIBLE)
    return session, member


def _reservation(call: Call, member: int, token: str) -> Redemption:
    with looking(call) as seen:
        return _of_member(seen, member, token)


def _of_member(call: Call, member: int, token: str) -> Redemption:
    """Return a member's reservation. Raises `Problem` (404) for anybody else's, and for what is none."""
    number_ = ids.read("rdm", token.strip())
    found = None if number_ is None else find_redemption(call.database, call.env, number_)
    if found is None or found.member != member or found.kind != "discount":
        raise missing("rdm", token)
    return found


def _amount(call: Call, asked: ReservationAsked, definition: Definition) -> int:
    """Return the points to reserve, in smallest units."""
    if asked.reservation_amount is None and not asked.catalogue_items:
        raise at_fault("reservationAmount", "say how many points, or which catalogueItems")
    said = asked.reservation_amount
    try:
        return smallest(_cost(call, asked, definition) if said is None else said, definition.decimals)
    except ValueError as error:
        raise at_fault("reservationAmount", str(error)) from error


def _cost(call: Call, asked: ReservationAsked, definition: Definition) -> int:
    """Return what the items cost together, in whole points."""
    program = call.catalog.version_at(call.env, definition.program, call.now).program
    cost = 0
    for place, item in enumerate(asked.catalogue_items):
        reward = program.reward(item.id)
        if reward is None or reward.cost is None:
            raise at_fault(f"catalogueItems.{place}.id", f"there is no reward {item.id!r} in the catalogue")
        cost += reward.cost * item.quantity
    return cost


def _reserved(view: dict[str, Any], session: Session) -> dict[str, Any]:
    money = view["discount"]
    return {
        "reservationToken": view["id"],
        "reservationAmount": number(view["cost"]),
        "reservationDollarAmount": number(points(money["amount"], EXPONENTS[money["currency"]])),
        "reservationExpiryDate": view["expires_at"],
        "status": "RESERVED",
        "sessionId": session.name,
    }


def _redeeming(verb: str, handler: Any, summary: str, response: type[Answered], **more: Any) -> Route:
    method, _, path = verb.partition(" ")
    return Route(
        method,
        f"/client/users/{{correlation_id}}/{path}",
        handler,
        "redemptions:write",
        summary,
        response,
        TITLE,
        access=Access.DOOR,
        keeps=True,
        **more,
    )


ROUTES = (
    _redeeming("POST reservations", reserve, "Reserve points", ReservationShown, body=ReservationAsked),
    _redeeming(
        "DELETE reservations/{reservation_token}", cancel_reservation, "Cancel a reservation", CancelledShown
    ),
    _redeeming(
        "POST adhoc-redemption",
        redeem_reservation,
        "Redeem reserved points without a purchase",
        RedeemedShown,
        body=RedemptionAsked,
    ),
)
