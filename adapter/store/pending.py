"""Pending transactions of the API: which time has ended, and which lots their points are in.

The allocations of the change that set the points aside say from which lots they came; `sequence` names that change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.state import Lot, Transaction
from adapter.store import tables as t
from adapter.store.allocated import ASKED, allocated
from adapter.store.bulk import by_keys, select_by_keys
from adapter.store.rows import LOT_COLUMNS, TRANSACTION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Connection

    from adapter.clock import Millis
    from adapter.store.pipeline import Asking

BalanceKey = tuple[int, int, int]
_KEY = ("env", "member", "definition")


def over(connection: Connection, keys: Collection[BalanceKey], now: Millis) -> Asking[list[Transaction]]:
    """Ask for the transactions of these balances that time has ended by now; return the first ones first."""
    rows = yield by_keys(
        connection,
        t.transactions,
        _KEY,
        keys,
        columns=TRANSACTION_COLUMNS,
        where=("t.due_at <= ?", now),
    )
    return sorted((Transaction(*row) for row in rows), key=lambda one: (one.due_at or 0, one.id))


def set_aside(
    connection: Connection, pending: Iterable[Transaction]
) -> Iterator[tuple[Transaction, Lot, int]]:
    """Return in which lots the points of pending transactions are, and how many of them in each."""
    by_id = {one.id: one for one in pending}
    by_change = {one.change_key for one in by_id.values()}
    key = (*_KEY, "sequence")
    rows = select_by_keys(
        connection,
        t.transfers,
        key,
        by_change,
        columns=(*ASKED, "transaction"),
        where="t.to_account IN ('pending', 'reserved')",
    )
    own = [row for row in rows if row.transaction in by_id]
    whose = {tuple(row[:5]): by_id[row.transaction] for row in own}
    parts = allocated(connection, own)
    lots = {(one.env, one.member, one.definition, one.lot) for of in parts.values() for one in of}
    known = {
        (row.env, row.member, row.definition, row.id): Lot(*row)
        for row in select_by_keys(connection, t.lots, (*_KEY, "id"), lots, columns=LOT_COLUMNS)
    }
    for place in sorted(parts):
        for one in parts[place]:
            yield whose[place], known[one.env, one.member, one.definition, one.lot], one.amount
