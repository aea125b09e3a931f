"""Redemptions and rewards: points spent on something of the catalogue, fulfilled, and reversed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field

from adapter.store.reading.members import find_member
from adapter.store.reading.paging import encode_cursor
from adapter.store.reading.redemptions import RedemptionFilter, list_redemptions
from adapter.web import redeeming, redemptions
from adapter.web.asking import shown_as
from adapter.web.dialects import Asked, options_of
from adapter.web.redeemed import redemption_view
from adapter.web.routing import checked
from adapter.web.wished import RedemptionAsked
from connectors.vinr.api.asking import (
    Id,
    Listing,
    Text,
    account_named,
    after,
    changing,
    each_place,
    listed,
    nothing,
    reading,
    said,
)
from connectors.vinr.api.shown import RedemptionShown, RewardShown
from connectors.vinr.vendor import VinrOptions
from connectors.vinr.words import NAME, STATUSES, redemption_of

if TYPE_CHECKING:
    from adapter.web.routing import Call, Repeated, Route

KINDS = {"discount": "discount_amount", "item": "free_product", "credit": "store_credit"}
"""VINR's types of rewards, by our kinds."""


class Address(Asked):
    """Where an item goes."""

    name: str
    line1: str
    line2: str | None = None
    city: str
    postal_code: str
    country: str


class RedemptionBegun(Asked):
    account: Id
    reward: Id
    shipping: Address | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class Fulfilled(Asked):
    tracking: Annotated[str, Field(max_length=200)] | None = None
    reason: Text | None = None


class Reversed(Asked):
    model_config = ConfigDict(strict=True)

    reason: Text | None = None
    force: bool = False


class RedemptionsQuery(Listing):
    account: Id | None = None
    status: (
        Literal["pending", "applied", "fulfillment_pending", "fulfilled", "released", "reversed"] | None
    ) = None


def create_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Spend points on a reward."""
    asked: RedemptionBegun = call.body
    given: dict[str, Any] = {
        "member": account_named(call, asked.account),
        "reward": asked.reward,
        "program": said(call).program,
        "shipping": None if asked.shipping is None else asked.shipping.model_dump(),
        "metadata": asked.metadata,
    }
    native = replace(call, body=checked(RedemptionAsked, given, "body"))
    prefix = options_of(call, NAME, VinrOptions).code_prefix
    begun = call.parts.wait(redeeming.begin_redemption(native, code_prefix=prefix))
    return shown_as(begun, redemption_shown)


def fulfill_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Note that an item was sent."""
    return shown_as(call.parts.wait(redeeming.fulfil_redemption(call)), redemption_shown)


def reverse_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Undo a redemption."""
    return shown_as(call.parts.wait(redeeming.reverse_redemption(call)), redemption_shown)


def show_redemption(call: Call) -> dict[str, Any]:
    """Show one redemption."""
    return redemption_shown(redemptions.redemption(call))


def list_all_redemptions(call: Call) -> dict[str, Any]:
    """List redemptions, newest first."""
    asked: RedemptionsQuery = call.query
    whose = (
        None
        if asked.account is None
        else find_member(call.database, call.env, account_named(call, asked.account)).id
    )
    states = () if asked.status is None else STATUSES[asked.status]
    chosen = RedemptionFilter(member=whose, states=states)
    start = after("rdm", asked.starting_after)
    page = list_redemptions(call.database, call.env, chosen, now=call.now, limit=asked.limit, cursor=start)
    shown = [redemption_shown(redemption_view(call, one, call.now)) for one in page.rows]
    return listed(shown, page.next_cursor)


def redemption_shown(view: dict[str, Any]) -> dict[str, Any]:
    """Return a redemption of our own API in VINR's words, with what only whoever asked has to know."""
    return redemption_of(view) | {"metadata": view["metadata"], "notes": view["notes"]}


def list_rewards(call: Call) -> dict[str, Any]:
    """List the catalogue."""
    asked: Listing = call.query
    program = said(call).program
    start = None if asked.starting_after is None else encode_cursor(program, asked.starting_after)
    given = checked(
        redemptions.RewardsQuery, {"limit": asked.limit, "cursor": start, "program": program}, "query"
    )
    page = redemptions.rewards(replace(call, query=given))
    return listed([_reward_shown(one) for one in page["data"]], page["next_cursor"])


def show_reward(call: Call) -> dict[str, Any]:
    """Show one reward."""
    found = redemptions.reward_of(call, said(call).program, call.path["reward"])
    return _reward_shown(found) if found is not None else nothing("reward", call.path["reward"])


def _reward_shown(view: dict[str, Any]) -> dict[str, Any]:
    worth = {"amount": view["value"], "currency": view["currency"]}
    return {
        "id": view["id"],
        "object": "reward",
        "program": view["program"],
        "name": view["title"],
        "type": KINDS[view["kind"]],
        "cost": view["cost"],
        "value": None if view["value"] is None else worth,
        "active": True,
    }


def _redemption_routes(place: str) -> tuple[Route, ...]:
    one, write = f"{place}/{{redemption}}", "redemptions:write"
    return (
        changing(f"POST {place}", create_redemption, write, "Spend points on a reward",
                 (RedemptionBegun, RedemptionShown), status=201),
        reading(place, list_all_redemptions, "redemptions:read", "List redemptions", RedemptionShown,
                query=RedemptionsQuery, listed=True),
        reading(one, show_redemption, "redemptions:read", "Show a redemption", RedemptionShown),
        changing(f"POST {one}/fulfill", fulfill_redemption, write, "Say that an item was sent",
                 (Fulfilled, RedemptionShown)),
        changing(f"POST {one}/reverse", reverse_redemption, write, "Undo a redemption", (Reversed, RedemptionShown)),
    )  # fmt: skip


def _reward_routes(place: str) -> tuple[Route, ...]:
    return (
        reading(
            place, list_rewards, "programs:read", "List rewards", RewardShown, query=Listing, listed=True
        ),
        reading(f"{place}/{{reward}}", show_reward, "programs:read", "Show a reward", RewardShown),
    )


ROUTES = (
    *each_place(("/v1/loyalty/redemptions", "/v1/redemptions"), _redemption_routes),
    *each_place(("/v1/loyalty/rewards", "/v1/rewards"), _reward_routes),
)
