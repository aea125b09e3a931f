"""A balance: its unit, its bounds, its limits over time, and how amounts that are finer than its decimals are rounded.

Amounts are whole units here, as people write them.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from adapter.program.ending import Expiry
from adapter.program.limits import Limit
from adapter.program.part import Described, Name

if TYPE_CHECKING:
    from collections.abc import Iterator

Amount = Annotated[Decimal, Field(ge=0, le=10**15, max_digits=18)]
Rounding = Literal["down", "half_up", "up"]
LIMITS = ("min_amount", "max_amount", "max_credit", "max_debit")
ROUNDINGS = {"down": ROUND_FLOOR, "half_up": ROUND_HALF_UP, "up": ROUND_CEILING}
LIMITS_MAX = 20


class BalanceDefinition(Described):
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
    credit_rounding: Rounding | None = None  # of an amount finer than its decimals; left out: it is refused
    debit_rounding: Rounding | None = None
    expiry: Expiry | None = None  # when its points end; left out: as the program says
    limits: Annotated[tuple[Limit, ...], Field(max_length=LIMITS_MAX)] = ()
    retired: bool = False  # the API books nothing on it any more; what is there stays

    def smallest(self, limit: str) -> int | None:
        """Return one of the bounds in smallest units."""
        amount: Decimal | None = getattr(self, limit)
        return None if amount is None else int(amount.scaleb(self.decimals))

    def rounding(self, kind: str) -> str | None:
        """Return how what is finer than its decimals is rounded, in the words of `decimal`; None: it is not."""
        said = self.credit_rounding if kind == "credit" else self.debit_rounding
        return None if said is None else ROUNDINGS[said]

    @model_validator(mode="after")
    def _limits_are_amounts(self) -> Self:
        for limit in self._finer():
            raise ValueError(f"{limit}: this balance has {self.decimals} decimals")
        if self.min_amount is not None and self.max_amount is not None and self.min_amount > self.max_amount:
            raise ValueError("min_amount: it is more than max_amount")
        names = [limit.name for limit in self.limits]
        if len(set(names)) < len(names):
            raise ValueError("limits: two have the same name")
        return self

    def _finer(self) -> Iterator[str]:
        for limit in LIMITS:
            amount: Decimal | None = getattr(self, limit)
            if amount is not None and amount.scaleb(self.decimals) % 1:
                yield limit
