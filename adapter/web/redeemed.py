"""What redemptions and rewards look like, as models, and how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import Field

from adapter import ids
from adapter.book.state import Redemption, RedemptionState
from adapter.clock import iso
from adapter.points import points
from adapter.web.routing import Shown
from adapter.web.shown import Instant, MemberId, Points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.clock import Millis
    from adapter.web.routing import Call

Kind = Literal["discount", "item", "credit"]
State = Literal["pending", "applied", "fulfillment_pending", "fulfilled", "released", "expired", "reversed"]
MinorUnits = int


class DiscountShown(Shown):
    """Money off an order. The shop takes `amount` off what it charges where `code` is used."""

    amount: MinorUnits = Field(description="In the currency's smallest unit: 500 is 5.00 EUR.")
    currency: str
    code: str = Field(examples=["POINTS-7K2M9QXB"])


class FulfillmentShown(Shown):
    """An item to be sent."""

    shipping: dict[str, str] | None
    tracking: str | None


class CreditShown(Shown):
    """Credit: to a balance, or money that is yours to grant."""

    amount: Points | None = Field(
        description="Of the balance; without one in the currency's smallest unit. Null where the caller says what the "
        "points are worth."
    )
    currency: str | None
    balance_definition: str | None


class RedemptionShown(Shown):
    """Points spent on something: exactly one of `discount`, `fulfillment` and `credit` is there."""

    id: str
    member: MemberId
    program: str
    balance_definition: str
    reward: str | None
    kind: Kind
    state: State
    usable: bool = Field(description="Whether its discount can be used now.")
    cost: Points
    returned: Points = Field(description="Of the cost: came back because its order was refunded.")
    transaction: str = Field(description="The debit that holds its points or spent them.")
    discount: DiscountShown | None
    fulfillment: FulfillmentShown | None
    credit: CreditShown | None
    source: str | None
    order: str | None
    payment: str | None
    reason: str | None
    flagged: str | None = Field(description="Why a person should look at it.")
    flag_note: str | None = Field(description="What a person found who looked at it.")
    flag_cleared_at: Instant | None
    locks_until: Instant | None = Field(
        description="While it waits, no other redemption of its balance before then."
    )
    metadata: dict[str, str]
    created_at: Instant
    updated_at: Instant
    expires_at: Instant | None
    applied_at: Instant | None
    fulfilled_at: Instant | None
    released_at: Instant | None
    expired_at: Instant | None
    reversed_at: Instant | None
    notes: list[str] = Field(description="What whoever has just moved it has to know; else empty.")


class RewardShown(Shown):
    """Something in the catalogue, by the program in force now."""

    id: str
    program: str
    balance_definition: str
    title: str | None
    kind: Kind
    cost: Points
    value: Points | None = Field(
        description="In the currency's smallest unit, or of the balance that is credited."
    )
    currency: str | None
    credits: str | None = Field(description="The balance definition that its value goes to.")
    available: Points | None = Field(description="What the member named in the request has.")
    affordable: bool | None = Field(description="Whether that covers the cost.")


MOMENTS = (
    "created_at",
    "updated_at",
    "expires_at",
    "applied_at",
    "fulfilled_at",
    "released_at",
    "expired_at",
    "reversed_at",
    "locks_until",
    "flag_cleared_at",
)


def redemption_of(row: Mapping[str, Any]) -> Redemption:
    """Return the redemption that an outcome's row is of; `notes` are of whoever moved it."""
    return Redemption(**{name: value for name, value in row.items() if name != "notes"})


def redemption_view(
    call: Call, found: Redemption, now: Millis, notes: list[str] | None = None
) -> dict[str, Any]:
    """Return a redemption as it stands at `now`."""
    definition = call.definition(found.definition)
    state = found.state_at(now)
    return {
        "id": ids.show("rdm", found.id),
        "member": ids.show("mem", found.member),
        "program": definition.program,
        "balance_definition": definition.name,
        "reward": found.reward,
        "kind": found.kind,
        "state": str(state),
        "usable": state == RedemptionState.PENDING,
        "cost": points(found.cost, definition.decimals),
        "returned": points(found.returned, definition.decimals),
        "transaction": ids.show("txn", found.transaction),
        **_had(call, found),
        "source": found.order_source,
        "order": found.order_ref,
        "payment": found.payment,
        "reason": found.reason,
        "flagged": found.flagged,
        "flag_note": found.flag_note,
        "metadata": {} if found.metadata is None else orjson.loads(found.metadata),
        **{name: None if (at := getattr(found, name)) is None else iso(at) for name in MOMENTS},
        "notes": notes or [],
    }


def _had(call: Call, found: Redemption) -> dict[str, Any]:
    """Return what was had for the points."""
    had: dict[str, Any] = {"discount": None, "fulfillment": None, "credit": None}
    money = {"amount": found.value, "currency": found.currency}
    if found.kind == "discount":
        had["discount"] = {**money, "code": found.code}
    elif found.kind == "item":
        shipping = None if found.shipping is None else orjson.loads(found.shipping)
        had["fulfillment"] = {"shipping": shipping, "tracking": found.tracking}
    elif found.credited is None:
        had["credit"] = {**money, "balance_definition": None}
    else:
        balance = call.definition(found.credited)
        amount = points(found.value or 0, balance.decimals)
        had["credit"] = {"amount": amount, "currency": None, "balance_definition": balance.name}
    return had
