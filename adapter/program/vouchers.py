"""Rules that attribute vouchers: what gives occasion to one, what it is worth, and for how long.

enrolled         becoming a member
tier_reached     reaching a tier
points_earned    each so many points, of those posted in a lifetime less what was clawed back
order_completed  an order whose points are posted
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from adapter.program.part import Currency, Money, Name, Part
from adapter.program.worth import EXPONENTS

When = Literal["enrolled", "tier_reached", "points_earned", "order_completed"]


class VoucherRule(Part):
    """One voucher for each occasion: worth a reward of the catalogue, an amount of money, or a percentage."""

    name: Name
    when: When
    tier: Name | None = None  # tier_reached: which one
    every_points: Annotated[int, Field(gt=0, le=10**12)] | None = None  # points_earned: whole points
    minimum: Money = Decimal(0)  # order_completed: least that counts of the order
    reward: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    value: Annotated[Decimal, Field(gt=0, max_digits=18)] | None = None
    currency: Currency | None = None  # of `value`
    percent: Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)] | None = None
    valid_days: Annotated[int, Field(ge=1, le=36_500)] | None = None  # left out: for ever
    limit_per_member: Annotated[int, Field(ge=1)] | None = None
    revocable: bool = False  # an unused one is taken back when its occasion is
    code_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")] = "GIFT"

    @model_validator(mode="after")
    def _says_its_occasion(self) -> Self:
        for field, when in (("tier", "tier_reached"), ("every_points", "points_earned")):
            if (getattr(self, field) is not None) != (self.when == when):
                raise ValueError(f"{field}: goes with when = {when!r}, and with nothing else")
        if self.minimum and self.when != "order_completed":
            raise ValueError("minimum: goes with when = 'order_completed'")
        return self

    @model_validator(mode="after")
    def _is_worth_one_thing(self) -> Self:
        if sum(one is not None for one in (self.reward, self.value, self.percent)) != 1:
            raise ValueError("give exactly one of reward, value and percent")
        if (self.value is None) != (self.currency is None):
            raise ValueError("give value and currency together")
        if self.value is not None and self.currency is not None:
            if self.currency not in EXPONENTS:
                raise ValueError(f"currency: {self.currency} is not a currency of ISO 4217")
            if self.value != round(self.value, EXPONENTS[self.currency]):
                raise ValueError(f"value: {self.currency} has {EXPONENTS[self.currency]} decimals")
        return self

    @property
    def units(self) -> int | None:
        """Return its value in the currency's smallest units."""
        if self.value is None or self.currency is None:
            return None
        return int(self.value.scaleb(EXPONENTS[self.currency]))
