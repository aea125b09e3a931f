"""Points that a member gives to another: they keep their ends, and nobody earned anything by it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from adapter.book.advising import advice_of
from adapter.book.bounding import bounds_of, fitting
from adapter.book.elapsing import let_time_pass, plan_next
from adapter.book.lots import land, take, turn_of
from adapter.book.posting import finish
from adapter.book.refusals import insufficient, member_refusal, program_refusal
from adapter.book.rows import row_of
from adapter.book.settle import NeedsLots
from adapter.book.state import Account, Lot, Transaction
from adapter.book.transfers import Cause, Change, move
from adapter.outcome import Outcome
from adapter.program.redeeming import BLOCK, Bar

if TYPE_CHECKING:
    from adapter.book.working import WorkingSet
    from adapter.commands import TransferPoints


def transfer_points(work: WorkingSet, command: TransferPoints, event: int) -> Outcome:
    """Take points from one member in the order of use, and give them to another in lots with the same ends.

    A debt of the receiver's is repaid first. Whoever may not redeem may not give away either. Raises `NeedsLots` where
    the giver's lots are not loaded.
    """
    env, giver, receiver = command.env, command.member, command.to
    if giver == receiver:
        return Outcome(error="same_member", reason="Nobody can transfer points to themselves.")
    refusal = (
        member_refusal(work, env, giver)
        or member_refusal(work, env, receiver)
        or program_refusal(work, env, command.definition)
        or _blocked(work, env, giver)
    )
    if refusal is not None:
        return refusal
    cause = Cause("points.transferred", command.received_at, event)
    given = work.change((env, giver, command.definition), cause)
    let_time_pass(work, given)
    if given.balance.available < command.amount:
        _close(work, given, None)
        return insufficient(given.balance, command.amount)
    parts = take(work.next_lots(given.balance.key), command.amount)
    if sum(amount for _, amount in parts) < command.amount:
        raise NeedsLots(given.balance.key)
    taken = work.change((env, receiver, command.definition), cause)
    let_time_pass(work, taken)
    unfit = _unfit(work, command, given, taken)
    if unfit is not None:
        _close(work, given, None)
        _close(work, taken, None)
        return unfit
    debit, credit = (
        _transaction(command, event, work.now, "debit"),
        _transaction(command, event, work.now, "credit"),
    )
    move(given, (Account.AVAILABLE, Account.MOVED), parts, kind="transfer_out", transaction=debit.id)
    work.keep_lots(given, [lot for lot, _ in parts])
    _close(work, given, debit)
    for lot, amount in _lots_to(work, taken, command, parts):
        land(taken, lot, amount, origin=Account.MOVED, transaction=credit.id)
        work.keep_lots(taken, [lot])
    _close(work, taken, credit)
    return Outcome(event=event, state="completed", row={"debit": row_of(debit), "credit": row_of(credit)})


def _blocked(work: WorkingSet, env: int, giver: int) -> Outcome | None:
    if advice_of(work, env, giver) != BLOCK:
        return None
    why = "A fraud advice is outstanding for this member: nothing can be given away until it is cleared."
    return Outcome(error=Bar.BLOCKED, reason=why)


def _unfit(work: WorkingSet, command: TransferPoints, given: Change, taken: Change) -> Outcome | None:
    """Return why the bounds of one of the two balances do not let the whole amount over."""
    bounds = replace(bounds_of(work, command.env, command.definition), partial=False)
    for change, kind in ((given, "debit"), (taken, "credit")):
        found = fitting(bounds, change.balance, kind, command.amount)
        if isinstance(found, Outcome):
            return found
    return None


def _lots_to(
    work: WorkingSet, taken: Change, command: TransferPoints, parts: list[tuple[Lot, int]]
) -> list[tuple[Lot, int]]:
    """Return a new lot for each end that the given points have, those that end first before the others."""
    amounts: dict[int | None, int] = {}
    for lot, amount in sorted(parts, key=lambda part: turn_of(part[0])):
        amounts[lot.expires_at] = amounts.get(lot.expires_at, 0) + amount
    key = taken.balance.key
    return [
        (Lot(*key, work.new_id(), None, None, command.received_at, expires_at=ends), amount)
        for ends, amount in amounts.items()
    ]


def _transaction(command: TransferPoints, event: int, now: int, kind: str) -> Transaction:
    debit = kind == "debit"
    return Transaction(
        command.env,
        command.id if debit else command.credit,
        command.member if debit else command.to,
        command.definition,
        kind,
        "completed",
        command.amount,
        None,
        None,
        event,
        command.received_at,
        now,
        now,
        command.reason,
        now,
    )


def _close(work: WorkingSet, change: Change, transaction: Transaction | None) -> None:
    """Finish one side of it, and note when time will next change something of this balance."""
    if transaction is not None:
        change.transaction = transaction.id
        work.transactions.put(transaction.id, transaction)
        work.told.add(transaction.id)
    finish(work, change)
    plan_next(work, change.balance.key)
