"""Load the redemptions that a batch touches: those that commands name, and those that its orders use."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import structlog

from adapter.book.linking import know_links
from adapter.book.links import links_of_event, links_of_order
from adapter.book.state import Redemption, RedemptionState
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.locks import lock_names
from adapter.store.redeemed import completed, linked, spent
from adapter.store.rows import REDEMPTION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection

    from adapter.book.working import Link, OrderKey, WorkingSet
    from adapter.commands import RecordEvent
    from adapter.engine.carrying import Touched

log = structlog.get_logger()


def hold_links(
    connection: Connection, work: WorkingSet, events: Sequence[RecordEvent], touched: Touched
) -> None:
    """Hold everything by which the orders and the redemptions of a batch may find each other.

    Either may be new, and then there is no row yet to lock: without this, two doors that begin both at once would
    each look before the other has written.
    """
    lock_names(connection, chain(_links_of(work, events), touched.links))


def find_naming(connection: Connection, work: WorkingSet, touched: Touched) -> set[OrderKey]:
    """Return the orders that named already what is begun in this batch."""
    found: set[OrderKey] = set()
    wanted = {link for link in touched.links if link[1] in ("code", "payment")}
    for row in select_by_keys(connection, t.order_links, ("env", "kind", "name"), wanted):
        key = (row.env, row.source, row.ref)
        work.naming.setdefault((row.env, row.kind, row.name), {})[key] = None
        found.add(key)
    return found


def find_linked(
    connection: Connection, work: WorkingSet, events: Sequence[RecordEvent], touched: Touched
) -> None:
    """Note which redemptions and vouchers the orders of a batch use, and which have a code that is to be given.

    Redemptions are looked for where a program lets points be spent at all, vouchers where there is a code.
    """
    named = {*_links(work, events), *(link for link in touched.links if link[1] in ("code", "id"))}
    _find_vouchers(connection, touched, {(env, name) for env, kind, name in named if kind == "code"})
    links = {link for link in named if work.catalog.redeems(link[0])}
    if not links:
        return
    found = linked(connection, links)
    touched.redemptions.update(found)
    touched.balances.update(found.values())
    for env, kind, name in links:
        if kind == "id" and (env, int(name)) not in found:
            log.warning("an order names a redemption that is not there", env=env, redemption=int(name))


def _find_vouchers(connection: Connection, touched: Touched, codes: set[tuple[int, str]]) -> None:
    touched.codes |= codes
    columns = ("env", "member")
    touched.members |= {
        (row.env, row.member)
        for row in select_by_keys(connection, t.vouchers, ("env", "code"), codes, columns=columns)
    }


def _links(work: WorkingSet, events: Sequence[RecordEvent]) -> Iterator[Link]:
    for order in work.orders.values():
        yield from links_of_order(order.key, order.facts, redeems=work.catalog.redeems(order.env))
    yield from _links_of(work, events)


def _links_of(work: WorkingSet, events: Sequence[RecordEvent]) -> Iterator[Link]:
    for command in events:
        source = work.catalog.sources.get(command.source)
        for event in command.events if source is not None else ():
            if event.order is not None and source is not None:
                key = (command.env, source.orders_of, event.order)
                yield from links_of_event(key, event, redeems=work.catalog.redeems(command.env))


def load_redemptions(connection: Connection, work: WorkingSet, touched: Touched) -> None:
    """Load the redemptions that are touched; their balances are locked, so they stay as they are."""
    found = _load(connection, work, touched.redemptions)
    waiting = [one for one in found if one.state == RedemptionState.PENDING]
    touched.transactions.update((one.env, one.transaction) for one in waiting)
    transactions = completed(connection, {(one.env, one.id) for one in found if one.spent})
    for transaction in transactions:
        work.transactions.load(transaction.id, transaction)
    mine = [one for one in transactions if _in_its_balance(work, one.redemption, one.definition)]
    for number, parts in spent(connection, mine).items():
        work.spent[number] = [(None if lot is None else work.know_lot(lot), amount) for lot, amount in parts]


def load_owners(connection: Connection, work: WorkingSet) -> None:
    """Load the redemptions whose holds have run out: they expire with them."""
    late = [transaction for some in work.over.values() for transaction in some]
    owners = {
        (one.env, one.redemption)
        for one in late
        if one.redemption is not None and work.redemptions.get(one.redemption) is None
    }
    _load(connection, work, owners)


def _load(connection: Connection, work: WorkingSet, keys: Collection[tuple[int, int]]) -> list[Redemption]:
    rows = select_by_keys(connection, t.redemptions, ("env", "id"), keys, columns=REDEMPTION_COLUMNS)
    found = [Redemption(*row) for row in rows]
    for redemption in found:
        work.redemptions.load(redemption.id, redemption)
        know_links(work, redemption)
    return found


def _in_its_balance(work: WorkingSet, number: int | None, definition: int) -> bool:
    """Return whether a transaction is of the points that a redemption cost, and not of the credit it gave."""
    redemption = None if number is None else work.redemptions.get(number)
    return redemption is not None and redemption.definition == definition
