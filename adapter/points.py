"""How amounts of points are written and read by people and programs: never as a float."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MOST = 10**15
"""More points than anybody has; what is larger is a mistake."""


def points(amount: int, decimals: int) -> int | str:
    """Show smallest units: a whole number where the definition has no decimals, else text such as `"12.50"`."""
    return amount if decimals == 0 else str(Decimal(amount).scaleb(-decimals))


def smallest(written: int | str, decimals: int, rounding: str | None = None) -> int:
    """Read an amount above zero into smallest units: `12`, or text such as `"12.50"`.

    What is finer is rounded (`rounding` is one of `decimal`'s) or refused. Raises `ValueError`, which says what is wrong.
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
    if rounding is not None:
        scaled = scaled.to_integral_value(rounding)
        if not scaled:
            raise ValueError("nothing is left of it once it is rounded")
    if scaled != int(scaled):
        raise ValueError(f"this balance has {decimals} decimals")
    return int(scaled)
