"""Flagged redemptions over HTTP: a person has looked at one, and says what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter.commands import ClearFlag
from adapter.web.asking import once_of
from adapter.web.redeemed import RedemptionShown
from adapter.web.redeeming import found_redemption, redeemed
from adapter.web.routing import Access, Call, Given, Route

if TYPE_CHECKING:
    from adapter.web.routing import Repeated


class Cleared(Given):
    """What a person found."""

    note: Annotated[str, Field(min_length=1, max_length=500)]


async def clear_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Clear the flag of a redemption."""
    found = await found_redemption(call)
    command = ClearFlag(
        env=call.env,
        redemption=found.id,
        member=found.member,
        definition=found.definition,
        note=call.body.note,
        received_at=call.now,
        once=once_of(call),
    )
    return await redeemed(call, command)


ROUTES = (
    Route(
        "POST",
        "/v1/redemptions/{redemption}/clear",
        clear_redemption,
        "redemptions:write",
        "Clear a flag",
        RedemptionShown,
        "Redemptions",
        access=Access.DOOR,
        body=Cleared,
        keeps=True,
        looked_up="flagged=true&",
        text="A person has looked at it. One that is not flagged, or was cleared before, is 409.",
        example={"note": "spoke to the shop; the till was offline"},
    ),
)
