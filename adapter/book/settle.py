"""Settle: post the difference between what an order should hold and what the ledger holds for it.

The same call serves every event and the clock. Nothing is undone and done again: points that are there stay where they
are, and only the difference moves. A clawback takes, in this order: the order's own pending points, its own open lot,
its own points that already ran out (waived: the member lost them before), the member's other live lots, and leaves the
rest as owed, or waives it, as the program says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapter.book.clawback import revoke, take_back
from adapter.book.lots import expire, land, revive
from adapter.book.state import Account, Lot, Order, Transaction
from adapter.book.transfers import Change, move

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapter.book.orders import Target


class NeedsLots(Exception):
    """A clawback is larger than what the order's own lot holds, and the member's other lots are not loaded yet."""

    def __init__(self, balance: tuple[int, int, int]) -> None:
        super().__init__(balance)
        self.balance = balance


@dataclass(slots=True)
class Settlement:
    """What settling works on. `others` are the member's other lots with available points; None: not loaded."""

    change: Change
    order: Order
    lot: Lot
    waive_shortfall: bool
    others: Sequence[Lot] | None
    new_id: Callable[[], int]
    transactions: dict[int, Transaction]
    touched: set[int] = field(default_factory=set)  # transactions written or changed here

    @property
    def now(self) -> int:
        return self.change.now


def settle(work: Settlement, target: Target) -> None:
    """Bring the order's lot to its target.

    Raises `NeedsLots` before anything moved when a shortfall must look at lots that are not loaded.
    """
    order, lot = work.order, work.lot
    excess = max(order.held - target.retained, 0)
    need_others = excess - lot.pending - lot.available - lot.expired
    if need_others > 0 and work.others is None and work.change.balance.available > lot.available:
        raise NeedsLots(work.change.balance.key)
    lot.expires_at = target.expires_at
    lot.earned_at = target.earned_at
    _let_lots_end(work, need_others=need_others > 0)
    if excess:
        _take_back(work, excess, target)
    missing = target.retained - order.held
    if missing > 0:
        _issue(work, missing, target)
    _rebalance(work, target)
    expire(work.change, lot)
    lot.available_at, lot.due_amount = target.due_at, min(target.due_amount, lot.pending)


def _let_lots_end(work: Settlement, *, need_others: bool) -> None:
    """Let lots end, or go on, as of now and not as of the last sweep, before anything is taken from them.

    The facts say when the order's own lot ends, and news may move that either way. Of the others only those matter
    that a clawback would have to pass over: nobody owes points while some are still called available.
    """
    revive(work.change, work.lot)
    expire(work.change, work.lot)
    for lot in (work.others or ()) if need_others else ():
        expire(work.change, lot)


def _order_key(work: Settlement) -> tuple[str, str]:
    return (work.order.source, work.order.ref)


def _issue(work: Settlement, missing: int, target: Target) -> None:
    """Credit what is missing: straight to where it belongs, pending first."""
    lot, order = work.lot, work.order
    to_pending = min(missing, max(target.pending - lot.pending, 0))
    if to_pending:
        transaction = _pending_transaction(work, to_pending)
        move(
            work.change,
            (Account.ISSUED, Account.PENDING),
            [(lot, to_pending)],
            kind="earn",
            order=_order_key(work),
            transaction=transaction.id,
        )
    to_posted = missing - to_pending
    if to_posted:
        transaction = _completed(work, "credit", to_posted)
        land(work.change, lot, to_posted, origin=Account.ISSUED, transaction=transaction.id)
    order.credited += missing


def _rebalance(work: Settlement, target: Target) -> None:
    """Move between pending and posted until the pending part is what it should be."""
    lot = work.lot
    post = lot.pending - target.pending
    if post > 0:
        transaction = _complete_pending(work, post)
        land(work.change, lot, post, origin=Account.PENDING, transaction=transaction.id)
    for origin in (Account.AVAILABLE, Account.EXPIRED) if target.pending > lot.pending else ():
        back = min(target.pending - lot.pending, getattr(lot, origin.value))
        if back > 0:  # the fact that posted them was taken back, a shipment cancelled say
            _deactivate(work, origin, back)


def _deactivate(work: Settlement, origin: Account, amount: int) -> None:
    transaction = _pending_transaction(work, amount)
    move(
        work.change,
        (origin, Account.PENDING),
        [(work.lot, amount)],
        kind="deactivate",
        order=_order_key(work),
        transaction=transaction.id,
    )


def _take_back(work: Settlement, excess: int, target: Target) -> None:
    work.order.taken += excess
    lot = work.lot
    from_pending = min(excess, max(lot.pending - target.pending, 0))
    from_own = min(excess - from_pending, lot.available)
    more_pending = min(excess - from_pending - from_own, lot.pending - from_pending)
    _revoke_pending(work, from_pending + more_pending)
    posted = excess - from_pending - more_pending
    if posted:
        _claw_back(work, posted)


def _revoke_pending(work: Settlement, amount: int) -> None:
    if not amount:
        return
    transaction = _amend_pending(work, amount)
    move(
        work.change,
        (Account.PENDING, Account.REVOKED),
        [(work.lot, amount)],
        kind="reverse",
        order=_order_key(work),
        transaction=transaction.id if transaction else None,
    )


def _claw_back(work: Settlement, amount: int) -> None:
    """Take posted points back, in the order that the module's first lines give."""
    parts, owed = take_back(work.change, work.lot, amount, work.others or (), waives=work.waive_shortfall)
    taken = sum(part for _, part in parts) + owed
    if not taken:
        return
    transaction = _completed(work, "debit", taken)
    revoke(work.change, parts, owed, order=_order_key(work), transaction=transaction.id)


# --- the transactions that own these transfers -----------------------------------------------------------------------


def _completed(work: Settlement, kind: str, amount: int) -> Transaction:
    transaction = _begin(work, kind, amount)
    transaction.state, transaction.completed_at = "completed", work.now
    return transaction


def _begin(work: Settlement, kind: str, amount: int) -> Transaction:
    order, cause = work.order, work.change.cause
    env, member, definition = work.change.key
    transaction = Transaction(
        env,
        work.new_id(),
        member,
        definition,
        kind,
        "pending",
        amount,
        order.source,
        order.ref,
        cause.event,
        cause.occurred_at,
        work.now,
        work.now,
        reason=cause.kind,
    )
    work.transactions[transaction.id] = transaction
    work.touched.add(transaction.id)
    return transaction


def _open(work: Settlement) -> Transaction | None:
    """Return the order's pending transaction, marked as changed."""
    if work.order.award_transaction is None:
        return None
    transaction = work.transactions[work.order.award_transaction]
    transaction.updated_at = work.now
    work.touched.add(transaction.id)
    return transaction


def _pending_transaction(work: Settlement, amount: int) -> Transaction:
    """Add to the order's pending transaction, or begin one."""
    transaction = _open(work)
    if transaction is None:
        transaction = _begin(work, "credit", amount)
        work.order.award_transaction = transaction.id
    else:
        transaction.amount += amount
    return transaction


def _amend_pending(work: Settlement, amount: int) -> Transaction | None:
    """Take from the order's pending transaction; one that is left with nothing is cancelled."""
    transaction = _open(work)
    if transaction is None:
        return None
    if transaction.amount > amount:
        transaction.amount -= amount
    else:
        transaction.state, transaction.cancelled_at = "cancelled", work.now
        work.order.award_transaction = None
    return transaction


def _complete_pending(work: Settlement, amount: int) -> Transaction:
    """Complete the order's pending transaction, or split off the part that is complete."""
    transaction = _open(work)
    if transaction is None or transaction.amount > amount:
        if transaction is not None:
            transaction.amount -= amount
        return _completed(work, "credit", amount)
    transaction.state, transaction.completed_at = "completed", work.now
    work.order.award_transaction = None
    return transaction
