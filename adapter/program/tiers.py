"""Tiers as data: groups of them, what moves a member up and down, and which tier a measure reaches.

lifetime_points   points posted in a lifetime, less what was clawed back
rolling_points    the same, of the last months: what was posted on a day counts until that day's end in so many
                  months
balance           points of the balance now: usable and under holds, less what is owed
spend             what was paid for orders, as the program counts it, less refunds; from the fact on that posts points
rolling_spend     the same, of the last months
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from adapter.points import points
from adapter.program.part import Currency, Described, Money, Name

if TYPE_CHECKING:
    from collections.abc import Iterator

MONEY_DECIMALS = 6
"""Spend is kept in whole millionths of a currency, as the basis of an order is."""

Measure = Literal["lifetime_points", "rolling_points", "balance", "spend", "rolling_spend"]
Moves = Literal["real_time", "membership_anniversary", "tier_anniversary"]
Benefit = str | dict[str, str]


class Tier(Described):
    """One tier: reached when the measure is at least its threshold, in whole points or in money."""

    name: Name
    threshold: Money = Decimal(0)
    benefits: tuple[Benefit, ...] = ()
    unlisted: bool = False  # stands for having reached no tier, where a vendor's clients know of none


class TierGroup(Described):
    """A ladder of tiers, the entry tier first. Every member is on one of them."""

    name: Name
    measure: Measure
    balance_definition: Name | None = None  # whose points a measure of points is of; the program's first
    window_months: Annotated[int, Field(ge=1, le=120)] | None = None
    currency: Currency | None = None  # of spend: orders in another one do not count
    upgrade: Moves = "real_time"
    downgrade: Moves | Literal["never"] = "never"
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=50)]

    @property
    def rolling(self) -> bool:
        return self.measure.startswith("rolling_")

    @property
    def of_spend(self) -> bool:
        return self.measure.endswith("spend")

    @property
    def entry(self) -> Tier:
        return self.tiers[0]

    def place(self, name: str) -> int | None:
        """Return how high a tier is; None for a name that the group does not have, or no longer."""
        return next((place for place, tier in enumerate(self.tiers) if tier.name == name), None)

    def reached(self, amount: int, decimals: int) -> int:
        """Return the place of the highest tier that an amount in smallest units reaches."""
        return max(
            place for place, tier in enumerate(self.tiers) if self.least(tier, decimals) <= max(amount, 0)
        )

    def least(self, tier: Tier, decimals: int) -> int:
        """Return a tier's threshold in smallest units."""
        return int(tier.threshold.scaleb(self.decimals(decimals)))

    def decimals(self, of_points: int) -> int:
        """Return how many decimals the measure's smallest unit has."""
        return MONEY_DECIMALS if self.of_spend else of_points

    def shown(self, amount: int, of_points: int) -> int | str:
        """Show an amount of the measure: as points, or as money with at least two decimals."""
        if not self.of_spend:
            return points(amount, of_points)
        money = Decimal(amount).scaleb(-MONEY_DECIMALS)
        cents = money.quantize(Decimal("0.01"), ROUND_DOWN)
        return str(cents) if cents == money else f"{money.normalize():f}"

    @model_validator(mode="after")
    def _is_a_ladder(self) -> Self:
        if self.entry.threshold:
            raise ValueError(
                f"tiers: the first tier, {self.entry.name}, is where all begin: its threshold is 0"
            )
        for lower, higher in zip(self.tiers, self.tiers[1:], strict=False):
            if higher.threshold <= lower.threshold:
                raise ValueError(f"tiers: the threshold of {higher.name} must be above that of {lower.name}")
        twice = twice_in(tier.name for tier in self.tiers)
        if twice:
            raise ValueError(f"tiers: two are called {twice!r}")
        return self

    @model_validator(mode="after")
    def _measures_something(self) -> Self:
        if self.rolling != (self.window_months is not None):
            raise ValueError("window_months: a rolling measure needs it, and no other has one")
        if self.of_spend and self.balance_definition is not None:
            raise ValueError("balance_definition: only a measure of points is of a balance")
        if self.of_spend != (self.currency is not None):
            raise ValueError("currency: a measure of spend needs it, and no other has one")
        return self


def twice_in(names: Iterator[str]) -> str | None:
    """Return the first name that comes twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
