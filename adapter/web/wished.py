"""What is asked for of redemptions, as models: a reward or points to spend, and how one is moved on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adapter.web.queries import Instant, Reference
from adapter.web.routing import Given

VALUE_MAX = 10**12

Label = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^:]+$")]
Text = Annotated[str, Field(max_length=500)]
Part = Annotated[str, Field(min_length=1, max_length=200)]


class Shipping(Given):
    """Where an item goes."""

    name: Part
    line1: Part
    line2: Part | None = None
    city: Part
    postal_code: Part
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["NO"])]


class LastKnown(Given):
    """The balance as a till last read it, before it could not ask any more."""

    available: int | str
    sequence: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The balance's own, if it is known."
    )


class RedemptionAsked(Given):
    """What points are to be spent on: a reward, so many points, or so much money off."""

    member: Reference = Field(description="`mem_…`, `source:customer` or an e-mail address.")
    reward: Reference | None = Field(None, description="Of the catalogue, which says what it costs.")
    points: int | str | None = Field(
        None, description="So many points, for a discount of what they are worth."
    )
    value: Annotated[int, Field(ge=1, le=VALUE_MAX, strict=True)] | None = Field(
        None, description="A discount of so much, in the smallest unit of the program's currency."
    )
    program: Reference | None = Field(None, description="A program's name; needed where there are several.")
    balance_definition: Reference | None = Field(None, description="Needed where a program has several.")
    source: Reference | None = Field(None, description="With `order`: the shop whose order it is for.")
    order: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The shop's own id of the order that it is for; its events apply or release it."
    )
    payment: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The id of the payment that it is for; its order's events apply or release it."
    )
    shipping: Shipping | None = Field(None, description="Where an item goes.")
    apply: bool = Field(
        False,
        description="Use a discount at once, instead of holding its points until its order is paid. Then `points` can "
        "also be spent where the program gives no money for them.",
    )
    lock_s: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        None,
        description="For so many seconds no other redemption of this balance: while it waits, or for all of them where "
        "it was applied at once.",
    )
    last_known: LastKnown | None = Field(
        None,
        description="It was granted already, by a till that could not ask. Booked up to this balance, and flagged. "
        "Takes the scope `redemptions:degraded`.",
    )
    occurred_at: Instant | None = Field(None, description="With `last_known`: when it was granted.")
    reason: Text | None = None
    metadata: Annotated[dict[Label, Text], Field(max_length=50)] = Field(default_factory=dict)


class Moved(Given):
    """Why a redemption is applied or released."""

    reason: Text | None = None


class Fulfilled(Moved):
    """How an item was sent."""

    tracking: Annotated[str, Field(max_length=200)] | None = None


class Reversed(Moved):
    """Why a redemption is undone."""

    force: bool = Field(
        False,
        description="Although it was applied or fulfilled: the points come back, and nothing else does.",
    )
