"""Load what a batch touches: a constant number of queries, however many commands it has.

Rows are locked in one order everywhere, names before orders before balances and each by its key, so that two doors on one
PostgreSQL never hold what the other waits for; where they do all the same, the database says so and the batch is
decided again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book import facts as order_facts
from adapter.book.lots import turn_of
from adapter.book.orders import customer_of
from adapter.book.people import ADDRESS
from adapter.book.state import Advice, Balance, Lot, Order, Transaction
from adapter.book.working import BalanceKey, Member, Person, WorkingSet
from adapter.commands import Command, RecordEvent
from adapter.engine.carrying import Touched, touched_by
from adapter.engine.limits import load_booked, load_limits
from adapter.engine.redeemed import find_linked, find_naming, hold_links, load_owners, load_redemptions
from adapter.engine.standings import load_standing
from adapter.engine.undone import load_undone
from adapter.engine.vouchers import load_vouchers
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.coming import due_lots, first_after
from adapter.store.pending import over, set_aside
from adapter.store.rows import (
    ADVICE_COLUMNS,
    BALANCE_COLUMNS,
    LOT_COLUMNS,
    MEMBER_COLUMNS,
    ORDER_COLUMNS,
    PERSON_COLUMNS,
    TRANSACTION_COLUMNS,
)
from adapter.store.usable import next_lots

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

LOTS_AT_ONCE = 32
"""How many lots are loaded for a debit at first: nearly always enough, and the same work however many there are."""


def load(
    connection: Connection, work: WorkingSet, commands: Sequence[Command], needs: set[BalanceKey]
) -> None:
    """Fill the working set. `needs` are balances of which a clawback or a debit asked for all lots."""
    events = [command for command in commands if isinstance(command, RecordEvent)]
    touched = touched_by(commands)
    touched.balances |= {
        (env, member, definition)
        for env, member in touched.whole
        for whose, definition in work.catalog.definitions
        if whose == env
    }
    touched.members |= {(command.env, command.member) for command in events if command.member is not None}
    hold_links(connection, work, events, touched)
    more = [
        *find_naming(connection, work, touched),
        *_orders_of_due_lots(connection, touched.balances, work.now),
        *touched.orders,
        *_orders_of_members(connection, touched.whole),
        *_guest_orders(connection, touched.addresses if _matches_email(work) else ()),
        *_awaited_orders(connection, touched.customers),
    ]
    _load_orders(connection, work, events, more)
    find_linked(connection, work, events, touched)
    _load_people(connection, work, events, touched)
    _load_balances(connection, work, touched)
    load_standing(connection, work, events, touched.whole)
    _load_lots(connection, work, touched, needs)
    _load_transactions(connection, work)
    load_redemptions(connection, work, touched)
    _load_pending(connection, work, touched)
    load_undone(connection, work, touched.undone)
    _load_advices(connection, work, touched.advised)
    load_limits(connection, work, touched)
    load_booked(connection, work, touched)
    load_vouchers(connection, work, touched)
    load_owners(connection, work)


def _orders_of_due_lots(
    connection: Connection, lapses: set[BalanceKey], now: int
) -> list[tuple[int, str, str]]:
    """Return the orders whose points time moves. Read without a lock, to lock the orders before the balances."""
    due = due_lots(connection, lapses, now)
    return [
        (lot.env, lot.order_source, lot.order_ref)
        for lot in due
        if lot.order_source and lot.order_ref and lot.pending
    ]


def _orders_of_members(connection: Connection, members: set[tuple[int, int]]) -> list[tuple[int, str, str]]:
    """Return all orders of these members."""
    found = select_by_keys(connection, t.orders, ("env", "member"), members, columns=("env", "source", "ref"))
    return [tuple(row) for row in found]


def _load_orders(
    connection: Connection,
    work: WorkingSet,
    events: list[RecordEvent],
    more: list[tuple[int, str, str]],
) -> None:
    keys = [*more]
    addresses = []
    for command in events:
        source = work.catalog.sources.get(command.source)
        for event in command.events if source is not None else ():
            if event.order is not None and source is not None:
                keys.append((command.env, source.orders_of, event.order))
            if event.customer is not None and event.customer.id and event.customer.email:
                addresses.append((command.env, event.customer.email))
    guests = _guest_orders(connection, addresses if _matches_email(work) else [])
    rows = select_by_keys(
        connection,
        t.orders,
        ("env", "source", "ref"),
        [*keys, *guests],
        columns=ORDER_COLUMNS,
        lock=True,
    )
    for row in rows:
        env, source, ref, program, created_at, facts, *rest = row
        order = Order(env, source, ref, program, created_at, order_facts.load(facts), *rest)
        work.orders.load(order.key, order)
        if order.member is None and order.email:
            work.guests.setdefault((order.env, order.email), []).append(order.key)
        if order.member is None and order.customer:
            work.awaited.setdefault((order.env, order.source, order.customer), []).append(order.key)


def _guest_orders(connection: Connection, addresses: Iterable[tuple[int, str]]) -> list[tuple[int, str, str]]:
    """Return the parked orders of guests with these addresses."""
    found = select_by_keys(
        connection,
        t.orders,
        ("env", "email"),
        addresses,
        columns=("env", "source", "ref"),
        where="t.member IS NULL",
    )
    return [tuple(row) for row in found]


def _awaited_orders(
    connection: Connection, customers: Iterable[tuple[int, str, str]]
) -> list[tuple[int, str, str]]:
    """Return the parked orders of these customers, who are no members yet."""
    found = select_by_keys(
        connection,
        t.orders,
        ("env", "source", "customer"),
        customers,
        columns=("env", "source", "ref"),
        where="t.member IS NULL",
    )
    return [tuple(row) for row in found]


def _matches_email(work: WorkingSet) -> bool:
    return any(
        one.program.members.match_email for versions in work.catalog.programs.values() for one in versions
    )


def _load_people(
    connection: Connection, work: WorkingSet, events: list[RecordEvent], touched: Touched
) -> None:
    """Load who the customers of these events and of the loaded orders are, and the members that are named."""
    customers, addresses = _customers(work, events)
    customers |= touched.customers
    addresses |= touched.addresses
    _load_identities(connection, work, customers | {(env, ADDRESS, email) for env, email in addresses})
    if addresses and _matches_email(work):
        found = select_by_keys(connection, t.people, ("env", "email"), addresses, columns=PERSON_COLUMNS)
        for row in sorted(found, key=lambda row: row.member, reverse=True):
            work.by_email[row.env, row.email] = row.member
    if touched.whole:
        _load_names(connection, work, touched.whole)
    _load_members(connection, work, _members(work) | touched.members)
    _follow_merged(connection, work)


def _load_identities(connection: Connection, work: WorkingSet, keys: Iterable[tuple[int, str, str]]) -> None:
    for row in select_by_keys(connection, t.identities, ("env", "source", "customer"), keys):
        work.identities.load((row.env, row.source, row.customer), row.member)


def _load_names(connection: Connection, work: WorkingSet, members: set[tuple[int, int]]) -> None:
    """Load all that leads to these members, and whom their addresses lead to."""
    for row in select_by_keys(connection, t.identities, ("env", "member"), members):
        work.identities.load((row.env, row.source, row.customer), row.member)
    columns = ("env", "email")
    named = select_by_keys(connection, t.people, ("env", "member"), members, columns=columns)
    _load_identities(connection, work, {(row.env, ADDRESS, row.email) for row in named if row.email})


def _load_members(connection: Connection, work: WorkingSet, members: set[tuple[int, int]]) -> None:
    """Load and lock members, and after that who they are: a lock writes to its row's page, and one for both will do."""
    for row in select_by_keys(
        connection, t.members, ("env", "id"), members, columns=MEMBER_COLUMNS, lock=True
    ):
        work.members.load((row.env, row.id), Member(*row))
    for row in select_by_keys(connection, t.people, ("env", "member"), members, columns=PERSON_COLUMNS):
        work.people.load((row.env, row.member), Person(*row))


def _follow_merged(connection: Connection, work: WorkingSet) -> None:
    """Follow what was read of somebody just before another door merged them: it is the other member's now."""
    merged = {
        (one.env, one.id): one.merged_into for one in work.members.values() if one.merged_into is not None
    }
    if not merged:
        return
    for key, member in list(work.identities.items()):
        work.identities.amend(key, merged.get((key[0], member), member))
    for address, member in work.by_email.items():
        work.by_email[address] = merged.get((address[0], member), member)
    known = {key for key, _ in work.members.items()}
    _load_members(connection, work, {(env, into) for (env, _), into in merged.items()} - known)


def _customers(
    work: WorkingSet,
    events: list[RecordEvent],
) -> tuple[set[tuple[int, str, str]], set[tuple[int, str]]]:
    customers, addresses = set(), set()
    for command in events:
        source = work.catalog.sources.get(command.source)
        for event in command.events if source is not None else ():
            if event.customer is None or source is None:
                continue
            if event.customer.id:
                customers.add((command.env, source.orders_of, event.customer.id))
            if event.customer.email:
                addresses.add((command.env, event.customer.email))
    for order in work.orders.values():
        customer = customer_of(order.facts, order.source)
        if customer.id:
            customers.add((order.env, order.source, customer.id))
        if customer.email:
            addresses.add((order.env, customer.email))
    return customers, addresses


def _members(work: WorkingSet) -> set[tuple[int, int]]:
    found = {(order.env, order.member) for order in work.orders.values() if order.member is not None}
    found |= {(key[0], member) for key, member in work.identities.items()}
    found |= {(key[0], member) for key, member in work.by_email.items()}
    return found


def _load_balances(connection: Connection, work: WorkingSet, touched: Touched) -> None:
    members = _members(work) | touched.members | {(env, member) for env, member, _ in touched.balances}
    rows = select_by_keys(
        connection, t.balances, ("env", "member"), members, columns=BALANCE_COLUMNS, lock=True
    )
    for row in rows:
        balance = Balance(*row)
        work.balances.load(balance.key, balance)
        work.due_before[balance.key] = balance.next_due_at
    for row in select_by_keys(connection, t.identities, ("env", "member"), members):
        if row.source == ADDRESS:
            continue
        work.source_ids.setdefault((row.env, row.member), []).append(f"{row.source}:{row.customer}")


def _load_lots(
    connection: Connection,
    work: WorkingSet,
    touched: Touched,
    needs: set[BalanceKey],
) -> None:
    own = [
        (order.env, order.member, order.definition, order.lot)
        for order in work.orders.values()
        if order.lot is not None
    ]
    for row in select_by_keys(
        connection, t.lots, ("env", "member", "definition", "id"), own, columns=LOT_COLUMNS
    ):
        work.know_lot(Lot(*row))
    for due in due_lots(connection, touched.balances, work.now):
        lot = work.know_lot(due)
        work.due.setdefault(lot.balance_key, []).append(lot)
    keys = ("env", "member", "definition")
    for row in select_by_keys(connection, t.lots, keys, needs, columns=LOT_COLUMNS, where="t.available > 0"):
        work.know_lot(Lot(*row))
    for lot in due_lots(connection, needs - touched.balances, work.now):
        work.know_lot(lot)  # what time is about to do to them is an activity
    whole = {key for key in touched.balances if key[:2] in touched.whole}
    for row in select_by_keys(connection, t.lots, keys, whole, columns=LOT_COLUMNS, where=_NOT_EMPTY):
        work.know_lot(Lot(*row))
    work.opened |= needs | whole
    for key, lots in next_lots(connection, touched.spent - needs, LOTS_AT_ONCE).items():
        known = [work.know_lot(lot) for lot in lots]
        if len(known) == LOTS_AT_ONCE:
            work.last_turn[key] = turn_of(known[-1])
    work.later |= first_after(connection, touched.balances, work.now)


_NOT_EMPTY = (
    "(t.pending > 0 OR t.available > 0 OR t.reserved > 0 OR (t.expired > 0 AND t.order_ref IS NOT NULL))"
)


def _load_transactions(connection: Connection, work: WorkingSet) -> None:
    keys = [
        (order.env, order.award_transaction)
        for order in work.orders.values()
        if order.award_transaction is not None
    ]
    for row in select_by_keys(connection, t.transactions, ("env", "id"), keys, columns=TRANSACTION_COLUMNS):
        work.transactions.load(row.id, Transaction(*row))


def _load_pending(connection: Connection, work: WorkingSet, touched: Touched) -> None:
    """Load the pending transactions that are to end or whose time is over, and the lots that their points are in."""
    ends = touched.transactions
    named = select_by_keys(connection, t.transactions, ("env", "id"), ends, columns=TRANSACTION_COLUMNS)
    theirs = select_by_keys(
        connection,
        t.transactions,
        ("env", "member"),
        touched.whole,
        columns=TRANSACTION_COLUMNS,
        where="t.state = 'pending'",
    )
    for row in (*named, *theirs):
        if work.transactions.get(row.id) is None:
            work.transactions.load(row.id, Transaction(*row))
    for late in over(connection, touched.balances, work.now):
        known = work.transactions.get(late.id)
        if known is None:
            work.transactions.load(late.id, late)
        work.over.setdefault(late.balance_key, []).append(known or late)
    pending = [one for one in work.transactions.values() if one.state == "pending" and one.sequence]
    for transaction, lot, amount in set_aside(connection, pending):
        work.set_aside.setdefault(transaction.id, []).append((work.know_lot(lot), amount))


_NEWEST = "t.number = (SELECT max(n.number) FROM advices n WHERE n.env = k.env AND n.member = k.member)"


def _load_advices(connection: Connection, work: WorkingSet, advised: set[tuple[int, int]]) -> None:
    keys = ("env", "member")
    for row in select_by_keys(connection, t.advices, keys, advised, columns=ADVICE_COLUMNS, where=_NEWEST):
        advice = Advice(*row)
        work.advices.load(advice.key, advice)
        work.newest_advice[row.env, row.member] = advice
