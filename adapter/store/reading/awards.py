"""Awards: what an order earned, and which rules of its program gave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from adapter.book.parts import Parts, read_parts
from adapter.points import points
from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.book.state import Transaction


@dataclass(frozen=True, slots=True)
class Awarded:
    """What became of an order's points so far, in smallest units. `reason` says why there are none, or not yet."""

    member: int | None
    state: str
    reason: str | None
    award: int
    retained: int
    parts: str | None


def awarded(connection: Connection, env: int, source: str, ref: str) -> Awarded | None:
    """Return what became of one order's points, None where nothing was heard of it."""
    orders = t.orders.c
    columns = (orders.member, orders.state, orders.reason, orders.award, orders.retained, orders.parts)
    query = select(*columns).where(orders.env == env, orders.source == source, orders.ref == ref)
    row = connection.execute(query).one_or_none()
    return None if row is None else Awarded(*row)


def award_of_transaction(
    connection: Connection, transaction: Transaction, decimals: int
) -> dict[str, Any] | None:
    """Return the award that a credit is of, whole or in part; None for what no order earned."""
    if transaction.kind != "credit" or transaction.order_source is None or transaction.order_ref is None:
        return None
    found = awarded(connection, transaction.env, transaction.order_source, transaction.order_ref)
    if found is None:
        return None
    return {
        "points": points(found.award, decimals),
        "parts": parts_view(read_parts(found.parts, found.award), decimals),
    }


def parts_view(parts: Parts, decimals: int) -> list[dict[str, Any]]:
    """Return the parts of an award as they are shown."""
    return [{"rule": rule, "points": points(amount, decimals)} for rule, amount in parts]
