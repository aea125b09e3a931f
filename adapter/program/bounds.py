"""Between which amounts a balance is kept, and how much one transaction may move: whole units, as people write them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from adapter.program.part import Name, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

Amount = Annotated[Decimal, Field(ge=0, le=10**15, max_digits=18)]
LIMITS = ("min_amount", "max_amount", "max_credit", "max_debit")


class BalanceDefinition(Part):
    """A unit that a program keeps: points without decimals, or cashback with two."""

    name: Name = "points"
    unit: str = "points"
    decimals: Annotated[int, Field(ge=0, le=4)] = 0
    min_amount: Amount | None = None  # no debit leaves less
    max_amount: Amount | None = None  # no credit leads to more, what is pending included
    max_credit: Amount | None = None  # most of one credit
    max_debit: Amount | None = None  # most of one debit
    overtaking: Literal["strict", "partial"] = (
        "strict"  # a credit beyond `max_amount`: none of it, or what has room
    )

    def smallest(self, limit: str) -> int | None:
        """Return one of the limits in smallest units."""
        amount: Decimal | None = getattr(self, limit)
        return None if amount is None else int(amount.scaleb(self.decimals))

    @model_validator(mode="after")
    def _limits_are_amounts(self) -> Self:
        for limit in self._finer():
            raise ValueError(f"{limit}: this balance has {self.decimals} decimals")
        if self.min_amount is not None and self.max_amount is not None and self.min_amount > self.max_amount:
            raise ValueError("min_amount: it is more than max_amount")
        return self

    def _finer(self) -> Iterator[str]:
        for limit in LIMITS:
            amount: Decimal | None = getattr(self, limit)
            if amount is not None and amount.scaleb(self.decimals) % 1:
                yield limit
