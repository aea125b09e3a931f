"""Transactions of the API: credits and debits, in one phase or in two.

Time passes first: what is due by now is posted, expired or released before anything is decided, so that no answer
depends on when the sweep came by. What is refused moves nothing of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from adapter import ids
from adapter.book.bounding import bounds_of, fitting, held_to
from adapter.book.completing import complete, credit, plan
from adapter.book.elapsing import let_time_pass, plan_next
from adapter.book.lots import take
from adapter.book.phases import give_back, set_aside
from adapter.book.posting import finish
from adapter.book.rationing import over_limit
from adapter.book.refusals import insufficient, member_refusal, moved_on, program_refusal
from adapter.book.rows import row_of
from adapter.book.settle import NeedsLots
from adapter.book.state import Account, Balance, Lot, Transaction
from adapter.book.transfers import Cause, move
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.book.transfers import Change
    from adapter.book.working import WorkingSet
    from adapter.commands import BeginTransaction, EndTransaction


def begin_transaction(work: WorkingSet, command: BeginTransaction, event: int) -> Outcome:
    """Credit or debit a member. Raises `NeedsLots` where a debit must see lots that are not loaded."""
    key = (command.env, command.member, command.definition)
    refusal = member_refusal(work, command.env, command.member) or program_refusal(
        work, command.env, command.definition, spends=command.kind == "debit"
    )
    if refusal is not None:
        return refusal
    cause = Cause(f"transaction.{command.kind}", command.occurred_at, event)
    change = work.change(key, cause)
    let_time_pass(work, change)
    if command.kind == "debit" and change.balance.available < command.amount:
        close_transaction(work, change, None)
        return insufficient(change.balance, command.amount)
    bounds = bounds_of(work, command.env, command.definition)
    amount = fitting(bounds, change.balance, command.kind, command.amount)
    if not isinstance(amount, Outcome):
        amount = over_limit(work, key, command.kind, amount) or amount
    if isinstance(amount, Outcome):
        close_transaction(work, change, None)
        return amount
    command = msgspec.structs.replace(command, amount=amount)
    transaction = _new(work, command, event)
    parts = _lots_for(work, command)
    if not command.complete:
        if command.kind == "credit":
            plan(work, transaction, parts[0][0])
        set_aside(change, transaction, parts)
        work.set_aside[transaction.id] = parts
    elif command.kind == "credit":
        credit(work, change, transaction, parts, immediate=command.immediate)
    else:
        route = (Account.AVAILABLE, Account.REDEEMED)
        move(change, route, parts, kind="redeem", transaction=transaction.id)
    transaction.sequence, work.moved[transaction.id] = change.balance.sequence, parts
    work.keep_lots(change, [lot for lot, _ in parts])
    work.labels += _labels(command)
    close_transaction(work, change, transaction)
    return told(transaction, change.balance, event)


def end_transaction(work: WorkingSet, command: EndTransaction, event: int) -> Outcome:
    """Complete or cancel a pending transaction."""
    transaction = work.transactions.get(command.transaction)
    if transaction is None:
        return Outcome(error="not_found", reason="There is no such transaction.")
    if transaction.member != command.member:
        return moved_on(transaction.member)
    refusal = unending(transaction)
    if refusal is not None:
        return refusal
    change = work.change(transaction.balance_key, Cause(f"transaction.{command.state}", work.now, event))
    let_time_pass(work, change)
    if transaction.state != "pending":
        close_transaction(work, change, None)
        return Outcome(error=f"transaction_{transaction.state}", reason=f"It is {transaction.state} already.")
    parts = work.set_aside[transaction.id]
    transaction.reason = command.reason or transaction.reason
    if command.state == "completed":
        _complete(work, change, transaction, immediate=command.immediate)
    else:
        give_back(change, transaction, parts, "cancelled")
    work.keep_lots(change, [lot for lot, _ in parts])
    close_transaction(work, change, transaction)
    return told(transaction, change.balance, event)


def unending(transaction: Transaction) -> Outcome | None:
    """Return why a transaction is not ended by itself, None where it is."""
    if transaction.order_ref is not None:
        why = f"It is the award of order {transaction.order_ref}, whose events complete or cancel it."
        return Outcome(error="transaction_of_order", reason=why)
    if transaction.redemption is not None:
        why = f"It belongs to redemption {ids.show('rdm', transaction.redemption)}: apply, release or reverse that."
        return Outcome(error="transaction_of_redemption", reason=why)
    return None


def _complete(work: WorkingSet, change: Change, transaction: Transaction, *, immediate: bool) -> None:
    """Complete a transaction, or reject it where the balance's bounds do not let it be; that is kept, and told."""
    parts, refusal = held_to(work, change, transaction, work.set_aside[transaction.id])
    if refusal is None:
        complete(work, change, transaction, parts, immediate=immediate)
    else:
        transaction.reason = refusal.reason
        give_back(change, transaction, parts, "rejected")


def _new(work: WorkingSet, command: BeginTransaction, event: int) -> Transaction:
    return Transaction(
        command.env,
        command.id,
        command.member,
        command.definition,
        command.kind,
        "completed" if command.complete else "pending",
        command.amount,
        None,
        None,
        event,
        command.occurred_at,
        work.now,
        work.now,
        command.reason,
        work.now if command.complete else None,
        expires_at=None if command.complete else command.deadline,
        metadata=orjson.dumps(command.metadata, option=orjson.OPT_SORT_KEYS).decode()
        if command.metadata
        else None,
        available_at=command.available_at,
        completes_at=command.completes_at,
        points_last=command.points_last,
    )


def _lots_for(work: WorkingSet, command: BeginTransaction) -> list[tuple[Lot, int]]:
    """Return the lot that a credit makes, or those that a debit takes its points from."""
    key = (command.env, command.member, command.definition)
    if command.kind == "credit":
        lot = Lot(*key, work.new_id(), None, None, command.occurred_at, expires_at=command.points_end_at)
        return [(lot, command.amount)]
    parts = take(work.next_lots(key), command.amount)
    if sum(amount for _, amount in parts) < command.amount:
        raise NeedsLots(key)
    return parts


def _labels(command: BeginTransaction) -> Iterator[tuple[int, str, str, int]]:
    """Yield the metadata by which a transaction is found: text as it is, numbers and truths as JSON writes them."""
    for name, value in sorted(command.metadata.items()):
        if isinstance(value, str | int | float):
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            yield command.env, name, text, command.id


def close_transaction(work: WorkingSet, change: Change, transaction: Transaction | None) -> None:
    """Finish a change, and note when time will next change something of this balance."""
    key = change.balance.key
    if transaction is not None:
        change.transaction = transaction.id
        work.transactions.put(transaction.id, transaction)
        work.told.add(transaction.id)
        work.deadlines.setdefault(key, {})[transaction.id] = transaction
    finish(work, change)
    plan_next(work, key)


def told(transaction: Transaction, balance: Balance, event: int) -> Outcome:
    """Return the answer: the transaction and the accounts of its balance as they are then."""
    row: dict[str, Any] = row_of(transaction)
    accounts: dict[str, int | str] = {
        "pending": balance.pending,
        "available": balance.available,
        "reserved": balance.reserved,
        "owed": balance.owed,
    }
    return Outcome(event=event, state=transaction.state, row=row, figures=accounts)
