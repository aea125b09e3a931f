"""What VINR's clients are answered."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from adapter.web.dialects import Answered
from adapter.web.shown import Points


class Thing(Answered):
    """VINR writes most names with underscores."""

    model_config = ConfigDict(alias_generator=None)


class DiscountShown(Thing):
    amount: int = Field(description="In the currency's minor units.")
    currency: str
    code: str


class FulfillmentShown(Thing):
    status: str
    shipping: dict[str, str] | None
    tracking: str | None


class CreditShown(Thing):
    amount: Points
    currency: str | None


class RedemptionShown(Thing):
    """Exactly one of `discount`, `fulfillment` and `credit` is there."""

    id: str
    object: Literal["redemption"]
    account: str
    program: str
    reward: str | None
    status: Literal["pending", "applied", "fulfillment_pending", "fulfilled", "released", "reversed"]
    points: Points
    points_transaction: str
    discount: DiscountShown | None
    fulfillment: FulfillmentShown | None
    credit: CreditShown | None
    payment: str | None
    reason: str | None
    created: int
    metadata: dict[str, str]
    notes: list[str]


class AccountShown(Thing):
    """`balance` is what can be spent now; `tier` is shown where one account is."""

    id: str
    object: Literal["loyalty_account"]
    program: str
    customer: str | None
    status: Literal["active", "closed", "merged"]
    balance: Points
    pending_points: Points
    lifetime_points: Points
    tier: str | None = None
    email: str | None
    name: str | None
    metadata: dict[str, str]
    created: int


class RewardShown(Thing):
    id: str
    object: Literal["reward"]
    program: str
    name: str | None
    type: Literal["discount_amount", "free_product", "store_credit"]
    cost: Points
    value: dict[str, Any] | None
    active: bool


class PaymentShown(Thing):
    """Money in minor units: `amount_charged` is `amount` less what the redemptions take off."""

    id: str
    object: Literal["payment"]
    status: Literal["pending", "completed", "failed", "canceled", "expired"]
    amount: int
    amount_discounted: int
    amount_charged: int
    currency: str
    customer: str | None
    discounts: list[dict[str, str]]
    created: int


class PointsTransactionShown(Thing):
    """`amount` is below zero for points that go."""

    id: str
    object: Literal["points_transaction"]
    account: str
    amount: Points
    type: Literal["credit", "debit"]
    status: Literal["pending", "completed", "canceled", "expired", "rejected"]
    reason: str | None
    redemption: str | None
    payment: str | None
    metadata: dict[str, str]
    created: int


class EventShown(Thing):
    id: str
    type: str
    data: dict[str, Any]
    created: int


class EndpointShown(Thing):
    """An endpoint. `secret` is shown once, in the answer that made it."""

    id: str
    object: Literal["webhook_endpoint"]
    url: str
    status: Literal["enabled", "disabled"]
    enabled_events: list[str]
    description: str
    created: int
    secret: str | None = None


class RemovedShown(Thing):
    id: str
    object: Literal["webhook_endpoint"]
    deleted: Literal[True]
