"""Payments that are rehearsed, as the facts of the orders that they are have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from adapter import ids
from adapter.book import facts as order_facts
from adapter.book.paying import payment_of
from adapter.book.state import Order
from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_payment(connection: Connection, env: int, source: str, number: int) -> Mapping[str, Any] | None:
    """Return a payment that was told of as a source's, with its `member`; None where there is none."""
    columns = t.orders.c
    query = select(columns.program, columns.created_at, columns.facts, columns.member)
    named = (columns.env == env, columns.source == source, columns.ref == ids.show("pay", number))
    row = connection.execute(query.where(*named)).one_or_none()
    if row is None:
        return None
    order = Order(
        env, source, ids.show("pay", number), row.program, row.created_at, order_facts.load(row.facts)
    )
    payment = payment_of(order)
    return None if payment is None else {**payment, "member": row.member}
