"""Stripe's amounts: whole numbers of what the API takes for a currency's smallest unit.

That is ISO 4217's exponent, but for three currencies. Króna and shilling have no decimals any more, yet the
API kept two (`500` is 5 ISK) so that old integrations go on; the ariary has two in ISO 4217 and none in the
API. Forint and Taiwan dollar are whole only in payouts: in charges and refunds they have their two decimals.
Currencies of three decimals end in 0, which needs no care here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.payload import currency_code, from_minor

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNTED_LIKE: Mapping[str, str] = {"ISK": "EUR", "UGX": "EUR", "MGA": "JPY"}


def currency_of(thing: Mapping[str, Any]) -> str:
    """Return the currency in upper case. Raises `Rejected` where there is none."""
    return currency_code(thing.get("currency"), "currency")


def amount_of(thing: Mapping[str, Any], field: str, currency: str) -> Decimal:
    """Return a field of minor units in main units: 8999, USD → `Decimal("89.99")`; null is 0."""
    minor = thing.get(field)
    return Decimal(0) if minor is None else from_minor(minor, COUNTED_LIKE.get(currency, currency), field)
