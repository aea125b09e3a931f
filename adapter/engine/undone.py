"""Load the transactions that a batch undoes: the lots that their points went to or came from, and which are undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.state import Transaction
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.redeemed import moved
from adapter.store.rows import TRANSACTION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from adapter.book.working import WorkingSet


def load_undone(connection: Connection, work: WorkingSet, keys: Collection[tuple[int, int]]) -> None:
    """Fill the working set; their balances are locked, so they stay as they are."""
    if not keys:
        return
    named = select_by_keys(connection, t.transactions, ("env", "id"), keys, columns=TRANSACTION_COLUMNS)
    for row in named:
        if work.transactions.get(row.id) is None:
            work.transactions.load(row.id, Transaction(*row))
    rows = select_by_keys(
        connection,
        t.transactions,
        ("env", "reverses"),
        keys,
        columns=("reverses",),
        where="t.reverses IS NOT NULL",
    )
    work.undone.update(row.reverses for row in rows)
    mine = [Transaction(*row) for row in named if row.sequence is not None and row.redemption is None]
    for number, parts in moved(connection, mine).items():
        work.moved[number] = [(work.know_lot(lot), amount) for lot, amount in parts]
