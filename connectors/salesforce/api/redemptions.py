"""`/loyalty/redemptions`: made in one atomic step, and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from pydantic import Field

from adapter import ids
from adapter.clock import iso
from adapter.store.reading.redemptions import find_redemption
from adapter.web.auth import require_scope
from adapter.web.dialects import Asked, view_of
from adapter.web.errors import Answer, Problem
from adapter.web.redeeming import DEGRADED
from adapter.web.routing import Access, Call, Repeated, Route, missing
from connectors.salesforce.api.errors import INSUFFICIENT, figure
from connectors.salesforce.api.meant import Amount, Meant, MemberRef, Text, amount_of, called, meant
from connectors.salesforce.api.shown import RedemptionShown, RedemptionStatus, RejectedShown
from connectors.salesforce.api.spending import booked, cost_of, spending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.book.state import Redemption

LOCK_S = 60
STATES: Mapping[str, RedemptionStatus] = {
    "pending": "pending",
    "applied": "processed",
    "fulfillment_pending": "processed",
    "fulfilled": "processed",
    "released": "released",
    "expired": "expired",
    "reversed": "reversed",
}
"""What our states are called."""


class RedemptionAsked(Asked):
    """Points to redeem. `validateBalance` changes nothing: the balance is always checked, in the commit that spends.

    `lastKnownBalance` is of a client that could not ask and granted the points already.
    """

    member_id: MemberRef
    points: Amount
    order_id: Text | None = None
    redemption_type: Text | None = None
    validate_balance: bool = True
    fail_on_insufficient_balance: bool = True
    lock_balance: bool = False
    lock_timeout: Annotated[int, Field(ge=1, le=3600)] = LOCK_S
    last_known_balance: Amount | None = None


def redeem(call: Call) -> dict[str, Any] | Repeated | Answer:
    """Redeem points."""
    asked: RedemptionAsked = call.body
    whose = meant(call, asked.member_id)
    command = spending(
        call,
        whose,
        asked.points,
        field="points",
        said={"orderId": asked.order_id, "redemptionType": asked.redemption_type},
        locks_until=call.now + asked.lock_timeout * 1000 if asked.lock_balance else None,
        last_known=_last_known(call, asked, whose),
    )
    try:
        return booked(call, command, whose, lambda found: redemption_view(call, found, whose.shown))
    except Problem as error:
        if error.code != "insufficient_balance" or asked.fail_on_insufficient_balance:
            raise
        return _rejected(asked, error)


def redemption(call: Call) -> dict[str, Any]:
    """Show a redemption."""
    found = find_redemption(call.database, call.env, call.id("redemption", "rdm"))
    if found is None:
        raise missing("rdm", call.path["redemption"])
    return redemption_view(call, found, called(call, found.member), at=call.now)


def redemption_view(call: Call, found: Redemption, member: str, *, at: int | None = None) -> dict[str, Any]:
    """Return a redemption as it stands at an instant; without one as it was when it was last changed."""
    said = {} if found.metadata is None else orjson.loads(found.metadata)
    state = str(found.state_at(found.updated_at if at is None else at))
    number = ids.show("rdm", found.id)
    return view_of(
        RedemptionShown(
            id=number,
            transaction_id=number,
            status=STATES[state],
            member_id=member,
            points=cost_of(found, call),
            order_id=said.get("orderId", found.order_ref),
            redemption_type=said.get("redemptionType"),
            discount_amount=found.value,
            currency_iso_code=found.currency,
            discount_code=found.code,
            lock_expires_at=None if found.locks_until is None else iso(found.locks_until),
            needs_reconciliation=found.flagged is not None and found.flag_cleared_at is None,
            created_date=iso(found.created_at),
        )
    )


def _last_known(call: Call, asked: RedemptionAsked, whose: Meant) -> int | None:
    if asked.last_known_balance is None:
        return None
    require_scope(call.key, DEGRADED)
    return amount_of(asked.last_known_balance, whose.definition, field="lastKnownBalance")


def _rejected(asked: RedemptionAsked, error: Problem) -> Answer:
    """Answer a client that asked not to be refused: nothing was booked, and the key can be used again."""
    figures = error.figures or {}
    shown = RejectedShown(
        error_code=INSUFFICIENT,
        message=error.message,
        member_id=asked.member_id,
        requested=figure(figures["requested"]),
        available=figure(figures["available"]),
        order_id=asked.order_id,
        redemption_type=asked.redemption_type,
    )
    return Answer(200, orjson.dumps(view_of(shown)), keep=False)


def routes(prefix: str) -> tuple[Route, ...]:
    """Return the routes below a prefix."""
    return (
        Route(
            "POST",
            f"{prefix}/loyalty/redemptions",
            redeem,
            "redemptions:write",
            "Redeem points: check and debit in one step, with a lock where asked for",
            RedemptionShown,
            "Redemptions",
            access=Access.DOOR,
            body=RedemptionAsked,
            status=201,
            keeps=True,
        ),
        Route(
            "GET",
            f"{prefix}/loyalty/redemptions/{{redemption}}",
            redemption,
            "redemptions:read",
            "A redemption",
            RedemptionShown,
            "Redemptions",
        ),
    )
