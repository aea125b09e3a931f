"""How amounts of points are written and read by people and programs: never as a float."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MOST = 10**15
"""More points than anybody has; what is larger is a mistake."""


def points(amount: int, decimals: int) -> int | str:
    """Show smallest units: a whole number where the definition has no decimals, else text such as `"12.50"`."""
    return amount if decimals == 0 else str(Decimal(amount).scaleb(-decimals))


def smallest(written: int | str, decimals: int) -> int:
    """Read an amount above zero into smallest units: `12`, or text such as `"12.50"`.

    Raises `ValueError`, which says what is wrong with it.
    """
    try:
        amount = Decimal(written)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise ValueError('give a number, or text such as "12.50"')
    if not 0 < amount <= MOST:
        raise ValueError(f"give an amount above zero and at most {MOST}")
    scaled = amount.scaleb(decimals)
    if scaled != int(scaled):
        raise ValueError(f"this balance has {decimals} decimals")
    return int(scaled)
