"""What a program's catalogue has."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from adapter.program.part import Currency, Described, Money, Name
from adapter.program.worth import EXPONENTS


class Reward(Described):
    """Something in the catalogue: money off an order, an item to be sent, or credit."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    kind: Literal["discount", "item", "credit"]
    cost: Annotated[int, Field(gt=0, le=10**12)] | None = None  # whole points; none: only vouchers give it
    value: Money | None = None
    currency: Currency | None = None  # of `value`; a credit to a balance definition has none
    balance_definition: Name | None = None  # whose points it costs; the program's first
    credits: Name | None = None  # the balance definition that a credit's value goes to; none: kept as money

    @model_validator(mode="after")
    def _is_worth_something(self) -> Self:
        check_currency(self.currency)
        if self.credits is not None and self.kind != "credit":
            raise ValueError("credits: only a reward of the kind credit goes to a balance definition")
        if self.credits is not None and (not self.value or self.currency is not None):
            raise ValueError("credits: give a value above zero in units of that balance, and no currency")
        if self.credits is None and self.kind != "item" and not (self.value and self.currency):
            raise ValueError(f"value: a {self.kind} has a value above zero and its currency")
        if self.value is not None and self.currency is not None:
            exponent = EXPONENTS[self.currency]
            if self.value != round(self.value, exponent):
                raise ValueError(f"value: {self.currency} has {exponent} decimals")
        return self


def check_currency(currency: str | None) -> None:
    """Raise `ValueError` for what is no currency."""
    if currency is not None and currency not in EXPONENTS:
        raise ValueError(f"currency: {currency} is not a currency of ISO 4217")
