"""Awards: what an order earned, and which rules of its program gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from adapter.book.parts import Parts, read_parts
from adapter.points import points
from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.book.state import Transaction


def award_of_transaction(
    connection: Connection, transaction: Transaction, decimals: int
) -> dict[str, Any] | None:
    """Return the award that a credit is of, whole or in part; None for what no order earned."""
    if transaction.kind != "credit" or transaction.order_ref is None:
        return None
    orders = t.orders.c
    row = connection.execute(
        select(orders.award, orders.parts).where(
            orders.env == transaction.env,
            orders.source == transaction.order_source,
            orders.ref == transaction.order_ref,
        )
    ).one_or_none()
    if row is None:
        return None
    return {
        "points": points(row.award, decimals),
        "parts": parts_view(read_parts(row.parts, row.award), decimals),
    }


def parts_view(parts: Parts, decimals: int) -> list[dict[str, Any]]:
    """Return the parts of an award as they are shown."""
    return [{"rule": rule, "points": points(amount, decimals)} for rule, amount in parts]
