"""Balance orders, each with the transaction that has its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, select

from adapter.book.state import BalanceOrder, Transaction
from adapter.store import tables as t
from adapter.store.reading.paging import Page, decode_cursor, page_of
from adapter.store.reading.transactions import in_state, labelled
from adapter.store.rows import BALANCE_ORDER_COLUMNS, TRANSACTION_COLUMNS, columns_of

if TYPE_CHECKING:
    from adapter.clock import Millis

Ordered = tuple[BalanceOrder, Transaction]
_ORDER = columns_of(t.balance_orders, BALANCE_ORDER_COLUMNS)
_COLUMNS = (*_ORDER, *columns_of(t.transactions, TRANSACTION_COLUMNS))


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a list of orders is narrowed by. States are as of `now`."""

    now: Millis
    member: int | None = None
    state: str | None = None
    source: str | None = None
    metadata: str | None = None  # name:value


def find_order(connection: Connection, env: int, number: int) -> Ordered | None:
    """Return one order of this environment."""
    row = connection.execute(_orders(env).where(t.balance_orders.c.id == number)).one_or_none()
    return None if row is None else _ordered(row)


def list_orders(
    connection: Connection, env: int, chosen: OrderFilter, *, limit: int, cursor: str | None = None
) -> Page[Ordered]:
    """Return a page of orders, newest first."""
    orders = t.balance_orders.c
    query = _orders(env).order_by(orders.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(orders.id < decode_cursor(cursor, int)[0])
    if chosen.member is not None:
        query = query.where(orders.member == chosen.member)
    if chosen.source is not None:
        query = query.where(orders.source == chosen.source)
    if chosen.state is not None:
        query = query.where(in_state(chosen.state, chosen.now))
    if chosen.metadata is not None:
        query = query.where(orders.transaction.in_(labelled(env, chosen.metadata)))
    return page_of([_ordered(row) for row in connection.execute(query)], limit, lambda one: (one[0].id,))


def _orders(env: int) -> Select[Any]:
    orders, transactions = t.balance_orders, t.transactions
    mine = (transactions.c.env == orders.c.env) & (transactions.c.id == orders.c.transaction)
    return select(*_COLUMNS).select_from(orders).join(transactions, mine).where(orders.c.env == env)


def _ordered(row: Any) -> Ordered:
    return BalanceOrder(*row[: len(_ORDER)]), Transaction(*row[len(_ORDER) :])
