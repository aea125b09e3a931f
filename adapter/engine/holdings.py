"""Load what the balances of a batch consist of: their lots, what time is about to do to them, and what is pending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.lots import turn_of
from adapter.book.state import Lot, Transaction
from adapter.engine.redeemed import load_redemptions
from adapter.store import tables as t
from adapter.store.bulk import by_keys
from adapter.store.coming import due_lots, first_after
from adapter.store.pending import over, set_aside
from adapter.store.pipeline import answered_together, read_together
from adapter.store.rows import LOT_COLUMNS, TRANSACTION_COLUMNS
from adapter.store.usable import next_lots

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from adapter.book.working import BalanceKey, WorkingSet
    from adapter.engine.carrying import Touched
    from adapter.store.pipeline import Asking

LOTS_AT_ONCE = 32
"""How many lots are loaded for a debit at first: nearly always enough, and the same work however many there are."""


def load_holdings(connection: Connection, work: WorkingSet, touched: Touched, needs: set[BalanceKey]) -> None:
    """Fill the working set, once the balances are locked. `needs` are those of which all lots are asked for."""
    answered_together(
        connection,
        _lots_of_orders(connection, work),
        _due(connection, work, touched, needs),
        _open_lots(connection, work, touched, needs),
        _whole_lots(connection, work, touched),
        _later(connection, work, touched),
        _awards(connection, work),
        _over(connection, work, touched),
        load_redemptions(connection, work, touched),
    )
    _load_pending(connection, work, touched)


_OF_BALANCE = ("env", "member", "definition")
_NOT_EMPTY = (
    "(t.pending > 0 OR t.available > 0 OR t.reserved > 0 OR (t.expired > 0 AND t.order_ref IS NOT NULL))"
)


def _lots_of_orders(connection: Connection, work: WorkingSet) -> Asking[None]:
    own = [
        (order.env, order.member, order.definition, order.lot)
        for order in work.orders.values()
        if order.lot is not None
    ]
    for row in (yield by_keys(connection, t.lots, (*_OF_BALANCE, "id"), own, columns=LOT_COLUMNS)):
        work.know_lot(Lot(*row))


def _due(connection: Connection, work: WorkingSet, touched: Touched, needs: set[BalanceKey]) -> Asking[None]:
    """Load what time is about to do to these balances, which is an activity of theirs."""
    both = yield from due_lots(connection, touched.balances | needs, work.now)
    for due in both:
        lot = work.know_lot(due)
        if lot.balance_key in touched.balances:
            work.due.setdefault(lot.balance_key, []).append(lot)


def _open_lots(
    connection: Connection, work: WorkingSet, touched: Touched, needs: set[BalanceKey]
) -> Asking[None]:
    """Load all lots that points can be taken from, or the first ones where that will do."""
    for row in (
        yield by_keys(connection, t.lots, _OF_BALANCE, needs, columns=LOT_COLUMNS, where="t.available > 0")
    ):
        work.know_lot(Lot(*row))
    work.opened |= needs
    first = yield from next_lots(connection, touched.spent - needs, LOTS_AT_ONCE)
    for key, lots in first.items():
        known = [work.know_lot(lot) for lot in lots]
        if len(known) == LOTS_AT_ONCE:
            work.last_turn[key] = turn_of(known[-1])


def _whole_lots(connection: Connection, work: WorkingSet, touched: Touched) -> Asking[None]:
    whole = {key for key in touched.balances if key[:2] in touched.whole}
    for row in (yield by_keys(connection, t.lots, _OF_BALANCE, whole, columns=LOT_COLUMNS, where=_NOT_EMPTY)):
        work.know_lot(Lot(*row))
    work.opened |= whole


def _later(connection: Connection, work: WorkingSet, touched: Touched) -> Asking[None]:
    work.later |= yield from first_after(connection, touched.balances, work.now)


def _awards(connection: Connection, work: WorkingSet) -> Asking[None]:
    """Load the transactions that the loaded orders earned by."""
    keys = [
        (order.env, order.award_transaction)
        for order in work.orders.values()
        if order.award_transaction is not None
    ]
    for row in (yield by_keys(connection, t.transactions, ("env", "id"), keys, columns=TRANSACTION_COLUMNS)):
        work.transactions.load(row.id, Transaction(*row))


def _over(connection: Connection, work: WorkingSet, touched: Touched) -> Asking[None]:
    """Load the pending transactions whose time is over."""
    ended = yield from over(connection, touched.balances, work.now)
    for late in ended:
        known = work.transactions.get(late.id)
        if known is None:
            work.transactions.load(late.id, late)
        work.over.setdefault(late.balance_key, []).append(known or late)


def _load_pending(connection: Connection, work: WorkingSet, touched: Touched) -> None:
    """Load the pending transactions that are to end, and the lots that the points of pending ones are in."""
    named, theirs = read_together(
        connection,
        by_keys(connection, t.transactions, ("env", "id"), touched.transactions, columns=TRANSACTION_COLUMNS),
        by_keys(
            connection,
            t.transactions,
            ("env", "member"),
            touched.whole,
            columns=TRANSACTION_COLUMNS,
            where="t.state = 'pending'",
        ),
    )
    for row in (*named, *theirs):
        if work.transactions.get(row.id) is None:
            work.transactions.load(row.id, Transaction(*row))
    pending = [one for one in work.transactions.values() if one.state == "pending" and one.sequence]
    for transaction, lot, amount in set_aside(connection, pending):
        work.set_aside.setdefault(transaction.id, []).append((work.know_lot(lot), amount))
