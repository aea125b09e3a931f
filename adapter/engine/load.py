"""Load what a batch touches: a constant number of queries, however many commands it has.

Rows are locked in one order everywhere, names before orders before balances and each by its key, so that two doors on one
PostgreSQL never hold what the other waits for; where they do all the same, the database says so and the batch is
decided again.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from adapter.book import facts as order_facts
from adapter.book.orders import customer_of
from adapter.book.people import ADDRESS
from adapter.book.state import Advice, Balance, Lot, Order
from adapter.book.working import BalanceKey, Member, Person, WorkingSet
from adapter.commands import Command, RecordEvent
from adapter.engine.carrying import Touched, touched_by
from adapter.engine.holdings import load_holdings
from adapter.engine.limits import load_booked, load_limits
from adapter.engine.redeemed import (
    asking_for_linked,
    asking_who_names,
    holding_links,
    links_named,
    load_owners,
    note_linked,
    note_naming,
)
from adapter.engine.standings import load_standing
from adapter.engine.undone import load_undone
from adapter.engine.vouchers import load_vouchers
from adapter.store import tables as t
from adapter.store.bulk import by_keys, select_by_keys
from adapter.store.coming import due_by
from adapter.store.pipeline import answered_together, read_together
from adapter.store.rows import (
    ADVICE_COLUMNS,
    BALANCE_COLUMNS,
    MEMBER_COLUMNS,
    ORDER_COLUMNS,
    PERSON_COLUMNS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from adapter.book.working import OrderKey
    from adapter.store.pipeline import Asking, Query


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
    _load_orders(connection, work, events, touched)
    _load_names(connection, work, events, touched)
    _load_members(connection, work, touched)
    load_standing(connection, work, events, touched.whole)
    load_holdings(connection, work, touched, needs)
    load_undone(connection, work, touched.undone)
    answered_together(
        connection,
        _advices(connection, work, touched.advised),
        load_limits(connection, work, touched),
        load_booked(connection, work, touched),
    )
    load_vouchers(connection, work, touched)
    load_owners(connection, work)


def _load_orders(
    connection: Connection, work: WorkingSet, events: list[RecordEvent], touched: Touched
) -> None:
    """Load and lock the orders that a batch is about, once what leads to them is held."""
    held = holding_links(connection, work, events, touched)
    finding = _finding_orders(connection, work, events, touched)
    more: list[OrderKey] = []
    if any(finding):
        _, naming, due, *found = read_together(connection, held, *finding)
        held = None
        more = [*note_naming(work, naming), *_moved_by_time(due), *(tuple(row) for row in chain(*found))]
    keys = {*_orders_of(work, events), *touched.orders, *more}
    orders = by_keys(connection, t.orders, ("env", "source", "ref"), keys, columns=ORDER_COLUMNS, lock=True)
    _, rows = read_together(connection, held, orders)
    for row in rows:
        env, source, ref, program, created_at, facts, *rest = row
        order = Order(env, source, ref, program, created_at, order_facts.load(facts), *rest)
        work.orders.load(order.key, order)
        if order.member is None and order.email:
            work.guests.setdefault((order.env, order.email), []).append(order.key)
        if order.member is None and order.customer:
            work.awaited.setdefault((order.env, order.source, order.customer), []).append(order.key)


def _finding_orders(
    connection: Connection, work: WorkingSet, events: list[RecordEvent], touched: Touched
) -> tuple[Query | None, ...]:
    """Return what asks for orders that the commands do not name themselves.

    Those that name what is begun here, those whose points time moves (read without a lock, to lock the orders before the
    balances), those of members of whom all is needed, and the parked ones of guests and of customers who are no
    members yet.
    """
    addresses = {*touched.addresses, *_addresses_of(work, events)} if _matches_email(work) else set()
    return (
        asking_who_names(connection, touched),
        due_by(connection, touched.balances, work.now),
        by_keys(connection, t.orders, ("env", "member"), touched.whole, columns=_KEY),
        by_keys(connection, t.orders, ("env", "email"), addresses, columns=_KEY, where=_PARKED),
        by_keys(
            connection,
            t.orders,
            ("env", "source", "customer"),
            touched.customers,
            columns=_KEY,
            where=_PARKED,
        ),
    )


_KEY = ("env", "source", "ref")
_PARKED = "t.member IS NULL"


def _moved_by_time(due: Iterable[Any]) -> list[OrderKey]:
    """Return the orders whose pending points are in these lots."""
    lots = [Lot(*row) for row in due]
    return [
        (lot.env, lot.order_source, lot.order_ref)
        for lot in lots
        if lot.order_source and lot.order_ref and lot.pending
    ]


def _orders_of(work: WorkingSet, events: list[RecordEvent]) -> Iterator[OrderKey]:
    """Yield the orders that these events speak of."""
    for command in events:
        source = work.catalog.sources.get(command.source)
        for event in command.events if source is not None else ():
            if event.order is not None and source is not None:
                yield command.env, source.orders_of, event.order


def _addresses_of(work: WorkingSet, events: list[RecordEvent]) -> Iterator[tuple[int, str]]:
    """Yield the addresses of customers whom these events name by an id, too: who may have ordered as guests before."""
    for command in events:
        for event in command.events if command.source in work.catalog.sources else ():
            if event.customer is not None and event.customer.id and event.customer.email:
                yield command.env, event.customer.email


def _matches_email(work: WorkingSet) -> bool:
    return any(
        one.program.members.match_email for versions in work.catalog.programs.values() for one in versions
    )


def _load_names(
    connection: Connection, work: WorkingSet, events: list[RecordEvent], touched: Touched
) -> None:
    """Load what these events and the loaded orders name: customers, redemptions and vouchers."""
    named = links_named(work, events, touched)
    customers, addresses = _customers(work, events)
    customers |= touched.customers
    addresses |= touched.addresses
    customers |= {(env, ADDRESS, email) for env, email in addresses}
    matching = addresses if _matches_email(work) else ()
    redemptions, vouchers, identities, matched = read_together(
        connection,
        *asking_for_linked(connection, work, named),
        by_keys(connection, t.identities, ("env", "source", "customer"), customers),
        by_keys(connection, t.people, ("env", "email"), matching, columns=PERSON_COLUMNS),
    )
    note_linked(work, touched, named, redemptions, vouchers)
    _note_identities(work, identities)
    for row in sorted(matched, key=lambda row: row.member, reverse=True):
        work.by_email[row.env, row.email] = row.member
    if touched.whole:
        _load_names_of(connection, work, touched.whole)


def _note_identities(work: WorkingSet, rows: Iterable[Any]) -> None:
    for row in rows:
        work.identities.load((row.env, row.source, row.customer), row.member)


def _load_names_of(connection: Connection, work: WorkingSet, members: set[tuple[int, int]]) -> None:
    """Load all that leads to these members, and whom their addresses lead to."""
    theirs, named = read_together(
        connection,
        by_keys(connection, t.identities, ("env", "member"), members),
        by_keys(connection, t.people, ("env", "member"), members, columns=("env", "email")),
    )
    _note_identities(work, theirs)
    addresses = {(row.env, ADDRESS, row.email) for row in named if row.email}
    _note_identities(work, select_by_keys(connection, t.identities, ("env", "source", "customer"), addresses))


def _load_members(connection: Connection, work: WorkingSet, touched: Touched) -> None:
    """Load and lock members and their balances; also those whom another door has just merged them into."""
    members = _members(work) | touched.members
    holders = members | {(env, member) for env, member, _ in touched.balances}
    _load_people(connection, work, members, holders)
    into = _follow_merged(work)
    _load_people(connection, work, into - members, into - holders)


def _load_people(
    connection: Connection, work: WorkingSet, members: set[tuple[int, int]], holders: set[tuple[int, int]]
) -> None:
    """Load and lock members, then the balances of `holders`; and after that who they are.

    A lock writes to its row's page: one for a member and all that is said of them will do.
    """
    known, balances, people, identities = read_together(
        connection,
        by_keys(connection, t.members, ("env", "id"), members, columns=MEMBER_COLUMNS, lock=True),
        by_keys(connection, t.balances, ("env", "member"), holders, columns=BALANCE_COLUMNS, lock=True),
        by_keys(connection, t.people, ("env", "member"), members, columns=PERSON_COLUMNS),
        by_keys(connection, t.identities, ("env", "member"), holders),
    )
    for row in known:
        work.members.load((row.env, row.id), Member(*row))
    for row in balances:
        balance = Balance(*row)
        work.balances.load(balance.key, balance)
        work.due_before[balance.key] = balance.next_due_at
    for row in people:
        work.people.load((row.env, row.member), Person(*row))
    for row in identities:
        if row.source != ADDRESS:
            work.source_ids.setdefault((row.env, row.member), []).append(f"{row.source}:{row.customer}")


def _follow_merged(work: WorkingSet) -> set[tuple[int, int]]:
    """Follow what was read of somebody just before another door merged them: it is the other member's now."""
    merged = {
        (one.env, one.id): one.merged_into for one in work.members.values() if one.merged_into is not None
    }
    for key, member in list(work.identities.items()) if merged else ():
        work.identities.amend(key, merged.get((key[0], member), member))
    for address, member in work.by_email.items() if merged else ():
        work.by_email[address] = merged.get((address[0], member), member)
    return {(env, into) for (env, _), into in merged.items()}


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


_NEWEST = "t.number = (SELECT max(n.number) FROM advices n WHERE n.env = k.env AND n.member = k.member)"


def _advices(connection: Connection, work: WorkingSet, advised: set[tuple[int, int]]) -> Asking[None]:
    keys = ("env", "member")
    for row in (yield by_keys(connection, t.advices, keys, advised, columns=ADVICE_COLUMNS, where=_NEWEST)):
        advice = Advice(*row)
        work.advices.load(advice.key, advice)
        work.newest_advice[row.env, row.member] = advice
