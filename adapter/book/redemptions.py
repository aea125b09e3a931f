"""What a redemption does to the ledger: its points are held, spent, given back, or taken once more.

It owns its transactions. The first is the debit that holds or spends its cost; points that come back after they were
spent are a credit of their own, and points that are taken once more a debit of their own: nothing is ever edited.
Points return to the lots they came from, the last ones taken first; those of a lot that is over by then expire at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.lots import expire, take
from adapter.book.phases import give_back, set_aside, use
from adapter.book.posting import points_end
from adapter.book.settle import NeedsLots
from adapter.book.state import Account, Lot, Redemption, RedemptionState, Transaction
from adapter.book.transfers import Change, move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.book.working import WorkingSet

Parts = list[tuple[Lot | None, int]]
"""Lots and how many points came from each; without a lot: points that were not there, and are owed."""


def hold(work: WorkingSet, change: Change, redemption: Redemption, parts: Sequence[tuple[Lot, int]]) -> None:
    """Hold its cost in the lots of `parts`, until it is applied, given up, or over."""
    transaction = own_transaction(work, change, redemption, "debit", redemption.cost)
    transaction.state, transaction.expires_at = "pending", redemption.expires_at
    transaction.completed_at = None
    set_aside(change, transaction, parts)
    work.set_aside[transaction.id] = list(parts)
    redemption.transaction = transaction.id
    move_on(work, change, redemption, RedemptionState.PENDING)
    work.keep_lots(change, [lot for lot, _ in parts])


def spend(
    work: WorkingSet, change: Change, redemption: Redemption, parts: Sequence[tuple[Lot, int]], state: str
) -> None:
    """Spend its cost at once."""
    transaction = own_transaction(work, change, redemption, "debit", redemption.cost)
    move(change, (Account.AVAILABLE, Account.REDEEMED), parts, kind="redeem", transaction=transaction.id)
    transaction.sequence = change.balance.sequence
    redemption.transaction = transaction.id
    work.spent[redemption.id] = list(parts)
    move_on(work, change, redemption, state)
    work.keep_lots(change, [lot for lot, _ in parts])


def use_held(work: WorkingSet, change: Change, redemption: Redemption) -> None:
    """Spend what is held."""
    transaction, parts = _held(work, redemption)
    use(change, transaction, parts)
    work.spent[redemption.id] = list(parts)
    _changed(work, change, transaction, parts)
    move_on(work, change, redemption, RedemptionState.APPLIED)


def let_go(work: WorkingSet, change: Change, redemption: Redemption, state: str) -> int:
    """Release what is held; return how many of the points expired at once."""
    before = _expired(change)
    transaction, parts = _held(work, redemption)
    give_back(change, transaction, parts, "expired" if state == RedemptionState.EXPIRED else "cancelled")
    _changed(work, change, transaction, parts)
    move_on(work, change, redemption, state)
    return _expired(change) - before


def come_back(work: WorkingSet, change: Change, redemption: Redemption, amount: int) -> int:
    """Give spent points back; return how many of them expired at once."""
    if not amount:
        return 0
    before = _expired(change)
    transaction = own_transaction(work, change, redemption, "credit", amount)
    spent = work.spent[redemption.id]
    while amount:
        lot, taken = spent.pop()
        part = min(taken, amount)
        if part < taken:
            spent.append((lot, taken - part))
        amount -= part
        return_part(work, change, transaction, lot, part)
    transaction.sequence = change.balance.sequence
    return _expired(change) - before


def take_again(work: WorkingSet, change: Change, redemption: Redemption, amount: int) -> int:
    """Spend points once more, as many as are available; return how many were not there, and are owed now.

    Raises `NeedsLots` where the member's lots are not loaded.
    """
    if not amount:
        return 0
    parts = take(all_lots(work, change), amount)
    covered = sum(part for _, part in parts)
    transaction = own_transaction(work, change, redemption, "debit", amount)
    for route, moved in (
        ((Account.AVAILABLE, Account.REDEEMED), list[tuple[Lot | None, int]](parts)),
        ((Account.OWED, Account.REDEEMED), [(None, amount - covered)] if covered < amount else []),
    ):
        move(change, route, moved, kind="redeem", transaction=transaction.id)
        work.spent.setdefault(redemption.id, []).extend(moved)
    transaction.sequence = change.balance.sequence
    if amount == redemption.cost:
        redemption.transaction = transaction.id
    work.keep_lots(change, [lot for lot, _ in parts])
    return amount - covered


def hold_again(work: WorkingSet, change: Change, redemption: Redemption) -> bool:
    """Hold its cost once more where all of it is available; return whether it is held."""
    parts = take(all_lots(work, change), redemption.cost)
    enough = sum(part for _, part in parts) == redemption.cost
    if enough:
        hold(work, change, redemption, parts)
    return enough


def expire_owner(work: WorkingSet, transaction: Transaction, change: Change) -> None:
    """Let the redemption of a hold that expired expire with it."""
    redemption = None if transaction.redemption is None else work.redemptions.get(transaction.redemption)
    if redemption is not None:
        move_on(work, change, redemption, RedemptionState.EXPIRED)


def move_on(work: WorkingSet, change: Change, redemption: Redemption, state: str) -> None:
    """Write a redemption's new state; subscribers are told of it with the change."""
    redemption.state, redemption.updated_at = state, change.now
    moment = f"{state}_at"
    if hasattr(redemption, moment):
        setattr(redemption, moment, change.now)
    work.redemptions.put(redemption.id, redemption)
    if state not in (RedemptionState.PENDING, RedemptionState.FULFILLMENT_PENDING):
        work.told_redemptions.append((redemption.id, state))


def return_part(
    work: WorkingSet, change: Change, transaction: Transaction, lot: Lot | None, part: int
) -> None:
    """Give spent points back to the lot they came from; a debt is repaid first, what is over by now expires at once."""
    owed = min(change.balance.owed, part)
    if lot is None and part > owed:  # it was owed, and has been repaid since: there is no lot to go back to
        key = change.balance.key
        lot = Lot(*key, work.new_id(), None, None, change.now, expires_at=points_end(work, key))
    for target, amount in ((Account.OWED, owed), (Account.AVAILABLE, part - owed)):
        parts = [(lot, amount)] if amount else []
        move(change, (Account.REDEEMED, target), parts, kind="return", transaction=transaction.id)
    if lot is not None:
        expire(change, lot)
        work.keep_lots(change, [lot])


def all_lots(work: WorkingSet, change: Change) -> list[Lot]:
    """Let lots run out whose time is over; return all with points that can be used now.

    Raises `NeedsLots` where they are not loaded.
    """
    lots = work.other_lots(change.balance.key)
    if lots is None:
        raise NeedsLots(change.balance.key)
    for lot in lots:
        expire(change, lot)
    work.keep_lots(change, lots)
    return lots


def _held(work: WorkingSet, redemption: Redemption) -> tuple[Transaction, list[tuple[Lot, int]]]:
    transaction = work.transactions.get(redemption.transaction)
    assert transaction is not None
    return transaction, work.set_aside[transaction.id]


def _changed(
    work: WorkingSet, change: Change, transaction: Transaction, parts: Sequence[tuple[Lot, int]]
) -> None:
    work.transactions.put(transaction.id, transaction)
    work.told.add(transaction.id)
    work.keep_lots(change, [lot for lot, _ in parts])


def own_transaction(
    work: WorkingSet, change: Change, redemption: Redemption, kind: str, amount: int
) -> Transaction:
    """Return a new transaction of a redemption, in the change's balance, completed."""
    cause, key = change.cause, change.balance.key
    transaction = Transaction(
        redemption.env,
        work.new_id(),
        *key[1:],
        kind,
        "completed",
        amount,
        None,
        None,
        cause.event,
        cause.occurred_at,
        change.now,
        change.now,
        reason=cause.kind,
        completed_at=change.now,
        redemption=redemption.id,
    )
    work.transactions.put(transaction.id, transaction)
    work.told.add(transaction.id)
    work.deadlines.setdefault(key, {})[transaction.id] = transaction
    return transaction


def _expired(change: Change) -> int:
    return sum(transfer.amount for transfer in change.transfers if transfer.kind == "expire")
