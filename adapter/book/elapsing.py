"""What time alone causes for one member: points whose wait is over are posted, points whose time is over expire.

The sweep asks for it, but nothing depends on the sweep being on time: every decision and every read compares with the
clock itself. An order's points are settled again rather than moved, so that the clock and the events can never disagree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.completing import end_in_time
from adapter.book.lots import land
from adapter.book.occasions import note_order
from adapter.book.orders import target_of
from adapter.book.posting import expire_lots, finish, settle_into
from adapter.book.redemptions import expire_owner
from adapter.book.reminding import remind
from adapter.book.state import Account
from adapter.book.transfers import Cause
from adapter.book.valuing import describe, setting_of

if TYPE_CHECKING:
    from adapter.book.state import Lot, Order, Transaction
    from adapter.book.transfers import Change
    from adapter.book.working import BalanceKey, WorkingSet
    from adapter.commands import Elapse


def elapse(work: WorkingSet, command: Elapse) -> None:
    """Let time take effect; does nothing when nothing is due."""
    key = (command.env, command.member, command.definition)
    if work.balances.get(key) is None:
        return
    change = work.change(key, Cause("time.elapsed", work.now))
    let_time_pass(work, change)
    finish(work, change)
    plan_next(work, key)
    work.balances.mark(key)


def let_time_pass(work: WorkingSet, change: Change) -> None:
    """Do, as a part of a change, all that is due for its balance by now; a second time there is nothing to do."""
    key = change.balance.key
    for transaction in _over(work, key):
        change.due_at = transaction.completes_at
        _end(work, change, transaction)
    due = sorted(work.due.pop(key, []), key=lambda lot: (lot.available_at or 0, lot.id))
    for lot in due:
        if lot.pending and lot.due_amount and lot.available_at is not None and lot.available_at <= work.now:
            change.due_at = lot.available_at
            _post(work, change, lot)
    change.due_at = None
    expire_lots(work, change, due)
    remind(work, change, due)


def _over(work: WorkingSet, key: BalanceKey) -> list[Transaction]:
    """Return the pending transactions that are due: those stored before, and those that this very batch began late."""
    stored = {one.id: one for one in work.over.pop(key, ())}
    begun = {
        number: one
        for number, one in work.deadlines.get(key, {}).items()
        if one.due_at is not None and one.due_at <= work.now
    }
    return list((stored | begun).values())


def _end(work: WorkingSet, change: Change, transaction: Transaction) -> None:
    """End a transaction that is due."""
    parts = work.set_aside[transaction.id]
    end_in_time(change, transaction, parts)
    if transaction.state == "expired":
        expire_owner(work, transaction, change)
    work.transactions.put(transaction.id, transaction)
    work.told.add(transaction.id)
    work.keep_lots(change, [lot for lot, _ in parts])


def _post(work: WorkingSet, change: Change, lot: Lot) -> None:
    """Make a lot's points usable whose wait is over."""
    if lot.order_ref is None:
        amount, lot.due_amount = lot.due_amount, 0
        land(change, lot, amount, origin=Account.PENDING, transaction=lot.transaction)
        return
    order = _order_of(work, lot)
    if order is not None:
        note_order(work, order)
        setting = setting_of(work, order, None)
        target = target_of(order.facts, setting, work.now)
        settle_into(work, change, order, target, setting)
        describe(order, target, setting)
        work.orders.mark(order.key)


def plan_next(work: WorkingSet, key: BalanceKey) -> None:
    """Note on the balance when time will next change something: `later` has what the batch did not load."""
    lots = [lot.due_at for lot in work.kept.get(key, {}).values()]
    pending = [one.due_at for one in work.deadlines.get(key, {}).values()]
    balance = work.balance(key)
    dues = [at for at in (work.later.get(key), *lots, *pending, balance.due_at) if at is not None]
    if balance.next_due_at != min(dues, default=None):
        balance.next_due_at = min(dues, default=None)
        work.balances.mark(key)


def _order_of(work: WorkingSet, lot: Lot) -> Order | None:
    if lot.order_source is None or lot.order_ref is None:
        return None
    order = work.orders.get((lot.env, lot.order_source, lot.order_ref))
    return order if order is not None and order.lot == lot.id else None
