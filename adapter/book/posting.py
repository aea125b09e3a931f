"""Post a target to a member's balance, and tell of it: what an order's events and the passing of time have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.counting import count_posted
from adapter.book.lots import expire
from adapter.book.news import tell_balance, tell_expired, tell_redemption, tell_transaction
from adapter.book.settle import Settlement, settle
from adapter.book.state import Lot, Order, Transaction
from adapter.program.ending import expires_at

if TYPE_CHECKING:
    from adapter.book.orders import Setting, Target
    from adapter.book.transfers import Cause, Change
    from adapter.book.working import WorkingSet


def post_order(
    work: WorkingSet,
    order: Order,
    member: int,
    target: Target,
    *,
    setting: Setting,
    cause: Cause,
) -> None:
    """Bring the member's balance to what the order's target says, in one change with one message."""
    if not target.retained and not order.held and order.lot is None:
        return
    assert order.definition is not None
    change = work.change((order.env, member, order.definition), cause)
    settle_into(work, change, order, target, setting)
    finish(work, change)


def settle_into(work: WorkingSet, change: Change, order: Order, target: Target, setting: Setting) -> None:
    """Settle one order as a part of a change."""
    lot = _lot_of(work, change, order, target)
    others = work.other_lots(change.key)
    earned = change.balance.earned
    settlement = Settlement(
        change,
        order,
        lot,
        setting.program.clawback.shortfall == "waived",
        others,
        work.new_id,
        _transactions_of(work, order),
    )
    settle(settlement, target)
    order.lot = lot.id
    if change.balance.earned != earned:  # even where all was waived, and nothing moved
        work.balances.mark(change.key)
    for number in settlement.touched:
        work.transactions.put(number, settlement.transactions[number])
    work.keep_lots(change, [lot, *(others or ())])
    work.told.update(settlement.touched)


def _lot_of(work: WorkingSet, change: Change, order: Order, target: Target) -> Lot:
    known = None if order.lot is None else work.lots.get((*change.key, order.lot))
    return known or Lot(*change.key, work.new_id(), order.source, order.ref, target.earned_at)


def _transactions_of(work: WorkingSet, order: Order) -> dict[int, Transaction]:
    known = None if order.award_transaction is None else work.transactions.get(order.award_transaction)
    return {} if known is None else {known.id: known}


def _count(work: WorkingSet, change: Change) -> None:
    """Have the member's tier follow what was posted or clawed back."""
    env, member, definition = change.key
    count_posted(work, change)
    change.earned = change.balance.earned
    work.stir(env, member, work.catalog.definitions[env, definition].program, change.cause)


def expire_lots(work: WorkingSet, change: Change, lots: list[Lot]) -> None:
    """Let lots run out whose time is over."""
    for lot in lots:
        expire(change, lot)
    work.keep_lots(change, lots)


def points_end(work: WorkingSet, key: tuple[int, int, int]) -> int | None:
    """Return when points that become available now end, as the program says now."""
    program = work.program_of(key[0], key[2])
    return expires_at(work.now, program.expiry, program.timezone)


def tell_redemptions(work: WorkingSet) -> None:
    """Tell subscribers what became of redemptions in the change being made."""
    for number, word in work.told_redemptions:
        redemption = work.redemptions.get(number)
        if redemption is not None:
            tell_redemption(work, redemption, word)
    work.told_redemptions.clear()


def _plan_whole(change: Change) -> None:
    """Have the sweep come by no later than time does something to the balance as a whole."""
    balance, due = change.balance, change.balance.due_at
    if due is not None and (balance.next_due_at is None or due < balance.next_due_at):
        balance.next_due_at = due


def finish(work: WorkingSet, change: Change) -> None:
    """Close a change: mark its balance, and tell subscribers of everything in it.

    A transaction can change without a transfer: one that is completed while its points still wait.
    """
    if change.balance.earned != change.earned:
        _count(work, change)
    if change.transfers:
        _plan_whole(change)
        work.balances.mark(change.key)
        work.changes.append(change)
        tell_balance(work, change)
    for number in sorted(work.told):
        transaction = work.transactions.get(number)
        if transaction is not None:
            tell_transaction(work, transaction)
    work.told.clear()
    tell_redemptions(work)
    expired = sum(transfer.amount for transfer in change.transfers if transfer.kind == "expire")
    if expired:
        tell_expired(work, change, expired)
