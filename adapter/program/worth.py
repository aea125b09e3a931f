"""What points are worth in money, for the books: exact until it is shown, and rounded once then."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import TYPE_CHECKING

import iso4217

if TYPE_CHECKING:
    from adapter.program.model import Program

EXPONENTS = {one.code: one.exponent for one in iso4217.Currency if one.exponent is not None}
"""How many decimals an amount in a currency has; units of account that have none of their own are not here."""

_EXACT = Context(prec=60)  # 19 digits of points times 18 of a value, with room for sums


@dataclass(frozen=True, slots=True)
class Worth:
    """The money that one whole unit of a balance definition stands for."""

    point_value: Decimal
    currency: str

    def exactly(self, amount: int, decimals: int) -> Decimal:
        """Return what `amount` smallest units are worth, not rounded."""
        with localcontext(_EXACT):
            return Decimal(amount).scaleb(-decimals) * self.point_value

    def shown(self, amount: int, decimals: int) -> str:
        """Return it as it is written: half up to the currency's decimals."""
        return rounded(self.exactly(amount, decimals), self.currency)


def rounded(money: Decimal, currency: str) -> str:
    """Write money with the currency's decimals: `"12.50"` EUR, `"13"` JPY."""
    with localcontext(_EXACT):
        exponent = Decimal(1).scaleb(-EXPONENTS[currency])
        return str(money.quantize(exponent, ROUND_HALF_UP) + 0)  # + 0: less than nothing is not "-0.00"


def worth_of(program: Program, definition: str) -> Worth | None:
    """Return what a unit of a balance definition is worth, None where the program does not say.

    The program's value is of its first definition; any other unit is not worth the same.
    """
    if program.point_value is None or program.currency is None:
        return None
    return (
        Worth(program.point_value, program.currency)
        if definition == program.balance_definitions[0].name
        else None
    )
