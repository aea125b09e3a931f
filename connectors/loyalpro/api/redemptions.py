"""Redemptions: points for a reward of the catalogue, or for money off, with a code to use it by."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids
from adapter.book.state import RedemptionState
from adapter.commands import BeginRedemption
from adapter.points import points, smallest
from adapter.program.worth import EXPONENTS
from adapter.store.reading.redemptions import RedemptionFilter, find_redemption, list_redemptions
from adapter.web.asking import at_fault, once_of, shown_as
from adapter.web.dialects import Answered, definition_of, looking, number
from adapter.web.enrolling import Metadata
from adapter.web.redeemed import redemption_view
from adapter.web.redeeming import move_redemption, submit_redemption
from adapter.web.routing import Access, Call, Repeated, missing
from connectors.loyalpro.api.customers import Reference, found, paged
from connectors.loyalpro.api.routes import One, Page, Said, route
from connectors.loyalpro.ids import customer_id
from connectors.loyalpro.vendor import NAME

if TYPE_CHECKING:
    from adapter.book.state import Redemption
    from adapter.catalog import Definition

WRITE = "redemptions:write"


class RedemptionAsked(Said, alias_generator=None):
    """What points are for: a reward, which says what it costs, or so many points for money off."""

    customer_id: Reference
    reward_id: Reference | None = None
    points: int | str | None = None
    metadata: Metadata = Field(default_factory=dict)


class RedemptionsQuery(Page, alias_generator=None):
    """Which redemptions are wanted."""

    customer_id: Reference | None = None
    code: Annotated[str, Field(max_length=200)] | None = None
    status: (
        Literal["pending", "applied", "fulfillment_pending", "fulfilled", "released", "expired", "reversed"]
        | None
    ) = None


class RedemptionShown(Answered, alias_generator=None):
    """A redemption. A discount has a `code`, by which it is used, until `expires_at`."""

    id: str
    customer_id: str
    reward_id: str | None
    points: Decimal
    status: str
    code: str | None
    discount_amount: Decimal | None
    currency: str | None
    expires_at: str | None
    metadata: dict[str, str]
    created_at: str


def redeem(call: Call) -> dict[str, Any] | Repeated:
    """Redeem points."""
    asked: RedemptionAsked = call.body
    definition = definition_of(call, NAME)
    program = call.catalog.version_at(call.env, definition.program, call.now).program
    with looking(call) as seen:
        member = found(seen, asked.customer_id).id
    command = BeginRedemption(
        env=call.env,
        id=ids.new_id(call.now),
        member=member,
        definition=definition.id,
        code=ids.new_code(program.redeeming.code_prefix),
        reward=asked.reward_id,
        points=_points(call, asked, definition),
        metadata=asked.metadata,
        received_at=call.now,
        once=once_of(call),
    )
    return shown_as(submit_redemption(call, command), _view)


def redemptions(call: Call) -> dict[str, Any]:
    """List redemptions, newest first."""
    asked: RedemptionsQuery = call.query
    member = None if asked.customer_id is None else found(call, asked.customer_id).id
    chosen = RedemptionFilter(member=member, state=asked.status, code=asked.code)
    page = list_redemptions(
        call.database, call.env, chosen, now=call.now, limit=asked.limit, cursor=asked.cursor
    )
    return paged(page.view(lambda one: _view(redemption_view(call, one, call.now))))


def redemption(call: Call) -> dict[str, Any]:
    """Show a redemption."""
    return _view(redemption_view(call, _found(call), call.now))


def cancel_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Let the points of a redemption go that was not used."""
    with looking(call) as seen:
        one = _found(seen)
    return shown_as(move_redemption(call, one, RedemptionState.RELEASED), _view)


def _found(call: Call) -> Redemption:
    one = find_redemption(call.database, call.env, call.id("redemption_id", "rdm"))
    if one is None:
        raise missing("rdm", call.path["redemption_id"])
    return one


def _points(call: Call, asked: RedemptionAsked, definition: Definition) -> int | None:
    """Return the points that are to be redeemed for money off; None where a reward says what it costs."""
    if asked.reward_id is None and asked.points is None:
        raise at_fault("reward_id", "say which reward, or how many points")
    if asked.points is None:
        return None
    try:
        amount = smallest(asked.points, definition.decimals)
    except ValueError as error:
        raise at_fault("points", str(error)) from error
    if asked.reward_id is None:
        return amount
    program = call.catalog.version_at(call.env, definition.program, call.now).program
    reward = program.reward(asked.reward_id)
    if reward is not None and reward.cost * 10**definition.decimals != amount:
        raise at_fault("points", f"this reward costs {reward.cost}; leave the points out")
    return None


def _view(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a redemption, as our own API shows it, in LoyalPro's words."""
    discount = shown["discount"]
    money = None if discount is None else points(discount["amount"], EXPONENTS[discount["currency"]])
    return {
        "id": shown["id"],
        "customer_id": customer_id(shown["member"]),
        "reward_id": shown["reward"],
        "points": number(shown["cost"]),
        "status": shown["state"],
        "code": None if discount is None else discount["code"],
        "discount_amount": None if money is None else number(money),
        "currency": None if discount is None else discount["currency"],
        "expires_at": shown["expires_at"],
        "metadata": shown["metadata"],
        "created_at": shown["created_at"],
    }


ROUTES = (
    route(
        "POST points/redeem",
        redeem,
        WRITE,
        "Redeem points for a reward, or for money off",
        response=RedemptionShown,
        body=RedemptionAsked,
        access=Access.DOOR,
        keeps=True,
        status=201,
    ),
    route(
        "GET redemptions",
        redemptions,
        "redemptions:read",
        "List redemptions, newest first",
        response=RedemptionShown,
        query=RedemptionsQuery,
        listed=True,
    ),
    route(
        "GET redemptions/{redemption_id}",
        redemption,
        "redemptions:read",
        "Show a redemption",
        response=RedemptionShown,
        query=One,
    ),
    route(
        "POST redemptions/{redemption_id}/cancel",
        cancel_redemption,
        WRITE,
        "Cancel a redemption that was not used: its points come back",
        response=RedemptionShown,
        body=Said,
        access=Access.DOOR,
        keeps=True,
    ),
)
