"""Completing a transaction: held points are spent, and credited ones become usable, at once or a while later.

In a program that posts in batches credited points wait, still pending, for the next boundary, unless they were asked
for at once; and nobody's points are usable before the instant that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.lots import land
from adapter.book.phases import close, give_back, use
from adapter.book.state import Account
from adapter.book.transfers import move
from adapter.clock import LATEST
from adapter.program.ending import expires_at
from adapter.program.processing import posts_at

if TYPE_CHECKING:
    from adapter.book.phases import Parts
    from adapter.book.state import Lot, Transaction
    from adapter.book.transfers import Change
    from adapter.book.working import WorkingSet
    from adapter.clock import Millis


def complete(
    work: WorkingSet, change: Change, transaction: Transaction, parts: Parts, *, immediate: bool = False
) -> None:
    """Complete a pending transaction whose points are in these parts."""
    if transaction.kind == "debit":
        use(change, transaction, parts)
        return
    for lot, amount in parts:
        if transaction.completes_at is not None:  # it is earlier than was planned
            transaction.available_at = lot.expires_at = None
        _say_when(work, transaction, lot, work.now, immediate=immediate)
        _post(change, transaction, lot, amount, origin=Account.PENDING)
    close(transaction, "completed", change.now)


def credit(
    work: WorkingSet, change: Change, transaction: Transaction, parts: Parts, *, immediate: bool = False
) -> None:
    """Credit points of a transaction that is complete from the beginning."""
    for lot, amount in parts:
        _say_when(work, transaction, lot, work.now, immediate=immediate)
        _post(change, transaction, lot, amount, origin=Account.ISSUED)


def plan(work: WorkingSet, transaction: Transaction, lot: Lot) -> None:
    """Note on a credit that time will complete when its points can be used then, and when they end.

    So whoever reads it knows without asking the program, and the same is true however late the sweep is.
    """
    if transaction.completes_at is not None:
        _say_when(work, transaction, lot, transaction.completes_at, immediate=False)


def end_in_time(change: Change, transaction: Transaction, parts: Parts) -> None:
    """End a transaction that is due as time alone does: past its deadline it has expired, else it is completed."""
    if transaction.completes_at is None or transaction.due_at == transaction.expires_at:
        give_back(change, transaction, parts, "expired")
        return
    if transaction.kind == "debit":
        use(change, transaction, parts)
    for lot, amount in parts if transaction.kind == "credit" else ():
        _post(change, transaction, lot, amount, origin=Account.PENDING)
    close(transaction, "completed", transaction.completes_at)


def _say_when(work: WorkingSet, transaction: Transaction, lot: Lot, done: Millis, *, immediate: bool) -> None:
    """Say when the points of a credit that is complete then can be used, and when they end."""
    program = work.program_of(transaction.env, transaction.definition)
    at = max(done, transaction.available_at or done)
    transaction.available_at = at if immediate else posts_at(at, program)
    lot.transaction = transaction.id
    if transaction.points_last is not None:
        lot.expires_at = min(transaction.available_at + transaction.points_last, LATEST)
    lot.expires_at = lot.expires_at or expires_at(transaction.available_at, program.expiry, program.timezone)


def _post(change: Change, transaction: Transaction, lot: Lot, amount: int, *, origin: Account) -> None:
    assert transaction.available_at is not None
    if transaction.available_at <= change.now:
        land(change, lot, amount, origin=origin, transaction=transaction.id)
        return
    lot.available_at, lot.due_amount = transaction.available_at, amount
    if origin is Account.ISSUED:
        route = (Account.ISSUED, Account.PENDING)
        move(change, route, [(lot, amount)], kind="earn", transaction=transaction.id)
