"""Load the redemptions that a batch touches: those that commands name, and those that its orders use."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog

from adapter.book.linking import know_links
from adapter.book.links import links_of_event, links_of_order
from adapter.book.state import Redemption, RedemptionState
from adapter.store import tables as t
from adapter.store.bulk import by_keys
from adapter.store.locks import holding_names
from adapter.store.pipeline import answered
from adapter.store.redeemed import completed, linked_by, spent
from adapter.store.rows import REDEMPTION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from adapter.book.working import Link, OrderKey, WorkingSet
    from adapter.commands import RecordEvent
    from adapter.engine.carrying import Touched
    from adapter.store.pipeline import Asking, Query

log = structlog.get_logger()


def holding_links(
    connection: Connection, work: WorkingSet, events: Sequence[RecordEvent], touched: Touched
) -> Query | None:
    """Return what holds everything by which the orders and the redemptions of a batch may find each other.

    Either may be new, and then there is no row yet to lock: without this, two doors that begin both at once would
    each look before the other has written.
    """
    return holding_names(connection, chain(_links_of(work, events), touched.links))


def asking_who_names(connection: Connection, touched: Touched) -> Query | None:
    """Return what asks for the orders that named already what is begun in this batch."""
    wanted = {link for link in touched.links if link[1] in ("code", "payment")}
    return by_keys(connection, t.order_links, ("env", "kind", "name"), wanted)


def note_naming(work: WorkingSet, rows: Iterable[Any]) -> set[OrderKey]:
    """Note which orders these are, and return them."""
    found: set[OrderKey] = set()
    for row in rows:
        key = (row.env, row.source, row.ref)
        work.naming.setdefault((row.env, row.kind, row.name), {})[key] = None
        found.add(key)
    return found


def links_named(work: WorkingSet, events: Sequence[RecordEvent], touched: Touched) -> set[Link]:
    """Return by what the orders of a batch name redemptions and vouchers, and the codes that are to be given."""
    return {*_links(work, events), *(link for link in touched.links if link[1] in ("code", "id"))}


def asking_for_linked(connection: Connection, work: WorkingSet, named: set[Link]) -> tuple[Query | None, ...]:
    """Return what asks for the redemptions and the vouchers of these links.

    Redemptions are looked for where a program lets points be spent at all, vouchers where there is a code.
    """
    links = {link for link in named if work.catalog.redeems(link[0])}
    vouchers = by_keys(connection, t.vouchers, ("env", "code"), _codes(named), columns=("env", "member"))
    return linked_by(connection, links), vouchers


def note_linked(
    work: WorkingSet, touched: Touched, named: set[Link], redemptions: Sequence[Any], vouchers: Sequence[Any]
) -> None:
    """Note what was found: all of it is touched."""
    found = {(env, number): (env, member, definition) for env, number, member, definition in redemptions}
    touched.redemptions.update(found)
    touched.balances.update(found.values())
    touched.codes |= _codes(named)
    touched.members |= {(row.env, row.member) for row in vouchers}
    for env, kind, name in named:
        if kind == "id" and work.catalog.redeems(env) and (env, int(name)) not in found:
            log.warning("an order names a redemption that is not there", env=env, redemption=int(name))


def _codes(named: set[Link]) -> set[tuple[int, str]]:
    return {(env, name) for env, kind, name in named if kind == "code"}


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


def load_redemptions(connection: Connection, work: WorkingSet, touched: Touched) -> Asking[None]:
    """Load the redemptions that are touched; their balances are locked, so they stay as they are."""
    found = yield from _load(connection, work, touched.redemptions)
    waiting = [one for one in found if one.state == RedemptionState.PENDING]
    touched.transactions.update((one.env, one.transaction) for one in waiting)
    transactions = yield from completed(connection, {(one.env, one.id) for one in found if one.spent})
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
    answered(connection, _load(connection, work, owners))


def _load(
    connection: Connection, work: WorkingSet, keys: Collection[tuple[int, int]]
) -> Asking[list[Redemption]]:
    rows = yield by_keys(connection, t.redemptions, ("env", "id"), keys, columns=REDEMPTION_COLUMNS)
    found = [Redemption(*row) for row in rows]
    for redemption in found:
        work.redemptions.load(redemption.id, redemption)
        know_links(work, redemption)
    return found


def _in_its_balance(work: WorkingSet, number: int | None, definition: int) -> bool:
    """Return whether a transaction is of the points that a redemption cost, and not of the credit it gave."""
    redemption = None if number is None else work.redemptions.get(number)
    return redemption is not None and redemption.definition == definition
