"""The second phase: what was set aside for a pending transaction is used, or goes back where it came from.

A pending credit waits in `pending`, in a lot of its own. A pending debit holds points in `reserved`, in the lots they
came from: they can still be used after their lot's expiry, and expire at once when they are released after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapter.book.lots import release
from adapter.book.state import Account, Lot, Transaction
from adapter.book.transfers import Change, move

if TYPE_CHECKING:
    from adapter.clock import Millis

Parts = Sequence[tuple[Lot, int]]
"""Which lots a transaction's points are in, and how many of them in each."""


def set_aside(change: Change, transaction: Transaction, parts: Parts) -> None:
    """Begin the first of two phases: credit to `pending`, or hold."""
    credit = transaction.kind == "credit"
    route = (Account.ISSUED, Account.PENDING) if credit else (Account.AVAILABLE, Account.RESERVED)
    move(change, route, parts, kind="earn" if credit else "hold", transaction=transaction.id)
    transaction.sequence = change.balance.sequence


def use(change: Change, transaction: Transaction, parts: Parts) -> None:
    """Complete a debit: the points that it holds are spent. `completing.py` has the credits."""
    route = (Account.RESERVED, Account.REDEEMED)
    move(change, route, parts, kind="redeem", transaction=transaction.id)
    close(transaction, "completed", change.now)


def give_back(change: Change, transaction: Transaction, parts: Parts, state: str) -> None:
    """Cancel it, reject it, or let it expire: a credit is taken back, a hold released."""
    if transaction.kind == "credit":
        route = (Account.PENDING, Account.REVOKED)
        move(change, route, parts, kind="cancel", transaction=transaction.id)
    else:
        release(change, parts, transaction=transaction.id)
    close(transaction, state, change.now)


def close(transaction: Transaction, state: str, at: Millis) -> None:
    """Note that it has ended, how and when."""
    transaction.state, transaction.updated_at = state, at
    if state == "completed":
        transaction.completed_at = at
    elif state == "cancelled":
        transaction.cancelled_at = at
    elif state == "rejected":
        transaction.rejected_at = at
