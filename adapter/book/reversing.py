"""Transactions undone by another one: what was credited is taken back, what was debited returns to its lots.

A transaction that is still pending is cancelled instead, that of an order or a redemption follows those. Nothing is edited:
the reversal is a transaction of its own, and names the one that it undoes, of which there is one at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.clawback import revoke, take_back
from adapter.book.elapsing import let_time_pass
from adapter.book.redemptions import all_lots, return_part
from adapter.book.refusals import member_refusal, moved_on
from adapter.book.state import Account, Transaction
from adapter.book.transacting import close_transaction, told, unending
from adapter.book.transfers import Cause, move
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from adapter.book.transfers import Change
    from adapter.book.working import WorkingSet
    from adapter.commands import ReverseTransaction


def reverse_transaction(work: WorkingSet, command: ReverseTransaction, event: int) -> Outcome:
    """Undo a completed transaction. Raises `NeedsLots` where points are taken from lots that are not loaded."""
    original = work.transactions.get(command.transaction)
    if original is None:
        return Outcome(error="not_found", reason="There is no such transaction.")
    if original.member != command.member:
        return moved_on(original.member)
    refusal = member_refusal(work, command.env, command.member) or unending(original)
    if refusal is not None:
        return refusal
    change = work.change(original.balance_key, Cause("transaction.reversed", command.received_at, event))
    let_time_pass(work, change)
    refusal = _refusal(work, original)
    if refusal is not None:
        close_transaction(work, change, None)
        return refusal
    reversal = _reversal(work, command, original, event)
    if original.kind == "credit":
        _revoke(work, change, original, reversal)
    else:
        for lot, amount in reversed(work.moved[original.id]):
            return_part(work, change, reversal, lot, amount)
    reversal.sequence = change.balance.sequence if change.transfers else None
    work.undone.add(original.id)
    close_transaction(work, change, reversal)
    return told(reversal, change.balance, event)


def _refusal(work: WorkingSet, original: Transaction) -> Outcome | None:
    """Return why a transaction cannot be undone, None where it can."""
    if original.id in work.undone:
        return Outcome(error="transaction_reversed", reason="It was reversed already.")
    if original.state == "pending":
        return Outcome(error="transaction_pending", reason="It is pending: cancel it.")
    if original.state != "completed":
        return Outcome(error=f"transaction_{original.state}", reason=f"It is {original.state} already.")
    if original.reverses is not None or original.id not in work.moved:
        why = "It is a reversal itself, a transfer, or of a time when it was not noted which points it moved."
        return Outcome(error="transaction_final", reason=why)
    return None


def _revoke(work: WorkingSet, change: Change, original: Transaction, reversal: Transaction) -> None:
    """Take credited points back, those that still wait first. Raises `NeedsLots` before anything has moved."""
    ((lot, _),) = work.moved[original.id]
    waiting = min(original.amount, lot.pending)
    posted = original.amount - waiting
    others = all_lots(work, change) if posted > lot.available + lot.expired else []
    if waiting:
        lot.due_amount = min(lot.due_amount, lot.pending - waiting)
        route = (Account.PENDING, Account.REVOKED)
        move(change, route, [(lot, waiting)], kind="reverse", transaction=reversal.id)
    program = change.program_at(change.now)
    parts, owed = take_back(change, lot, posted, others, waives=program.clawback.shortfall == "waived")
    revoke(change, parts, owed, transaction=reversal.id)
    work.balances.mark(change.balance.key)  # even where all was waived, and nothing moved
    work.keep_lots(change, [lot, *others])


def _reversal(
    work: WorkingSet, command: ReverseTransaction, original: Transaction, event: int
) -> Transaction:
    return Transaction(
        command.env,
        command.id,
        command.member,
        command.definition,
        "debit" if original.kind == "credit" else "credit",
        "completed",
        original.amount,
        None,
        None,
        event,
        command.received_at,
        work.now,
        work.now,
        command.reason,
        work.now,
        reverses=original.id,
    )
