"""Write what a batch decided: one statement a table, whatever the number of commands.

Rows are written in the order of their keys, which on PostgreSQL keeps two doors from waiting for each other. What is
only ever appended to is inserted; everything else is put in whole, because the batch holds its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Table, text

from adapter.book import facts as order_facts
from adapter.book.working import Message, StoredEvent, WorkingSet
from adapter.commands import RecordEvent
from adapter.engine.journal import scrub
from adapter.store import tables as t
from adapter.store.bulk import bulk_add, bulk_insert, bulk_upsert
from adapter.store.rows import (
    ADVICE_COLUMNS,
    BALANCE_COLUMNS,
    DELIVERY_COLUMNS,
    LOT_COLUMNS,
    MEMBER_COLUMNS,
    MEMBERSHIP_COLUMNS,
    ORDER_COLUMNS,
    PERSON_COLUMNS,
    REDEMPTION_COLUMNS,
    STANDING_COLUMNS,
    TRANSACTION_COLUMNS,
    VOUCHER_COLUMNS,
)

if TYPE_CHECKING:
    from adapter.book.rows import Rows

Recorded = list[tuple[RecordEvent, StoredEvent]]


def write(connection: Connection, work: WorkingSet, recorded: Recorded) -> None:
    """Write everything that the working set holds as changed or appended, in statements that return nothing."""
    _hand_on(connection, work)
    _write_people(connection, work)
    _write_events(connection, work, recorded)
    _write_orders(connection, work)
    _write_links(connection, work)
    _write_book(connection, work)
    _write_standing(connection, work)
    _write_messages(connection, work)


def forget(connection: Connection, work: WorkingSet) -> None:
    """Erase what was said of those who are forgotten, after all else of the batch was written."""
    if work.forgotten:
        scrub(connection, work.forgotten)
        _forget_addresses(connection, work)


Computed = dict[str, Callable[[Any], Any]]
"""Columns that no attribute holds, by name: how to get them from the object."""


def _put(
    connection: Connection,
    table: Table,
    rows: Rows[Any, Any],
    columns: tuple[str, ...],
    more: Computed | None = None,
) -> None:
    """Insert what is new and overwrite what is locked, both in the order of their keys."""
    names = (*columns, *(more or ()))
    for entries, update in ((rows.new(), ()), (rows.updated(), _updatable(table, names))):
        _put_entries(connection, table, entries, (columns, more or {}), update)


def _put_entries(
    connection: Connection,
    table: Table,
    entries: list[tuple[Any, Any]],
    columns: tuple[tuple[str, ...], Computed],
    update: tuple[str, ...],
) -> None:
    if not entries:  # of most tables
        return
    entries.sort(key=itemgetter(0))
    rows = _tuples([one for _, one in entries], *columns)
    bulk_upsert(connection, table, rows, (*columns[0], *columns[1]), update)


@cache
def _updatable(table: Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    key = {column.name for column in table.primary_key}
    return tuple(name for name in columns if name not in key)


def _add(connection: Connection, table: Table, objects: Sequence[Any]) -> None:
    if objects:
        columns = _all_columns(table)
        bulk_insert(connection, table, _tuples(objects, columns, {}), columns)


@cache
def _all_columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def _tuples(objects: Sequence[Any], columns: tuple[str, ...], more: Computed) -> list[tuple[Any, ...]]:
    rows = list(map(attrgetter(*columns), objects))
    if not more:
        return rows
    computed = zip(*[map(compute, objects) for compute in more.values()], strict=True)
    return [row + rest for row, rest in zip(rows, computed, strict=True)]


_HANDED_ON = ("identities", "orders", "balance_orders", "redemptions")
"""Tables of which all rows of a member become another's; what has points in it is moved by the book."""
_OVER = ("people", "memberships", "standings")
"""Tables in which somebody who was merged has no row any more; the book has made theirs what is worth keeping."""


def _hand_on(connection: Connection, work: WorkingSet) -> None:
    """Let rows that no command loaded follow their member into the one they were merged into."""
    merged = [{"env": env, "old": old, "into": into} for (env, old), into in work.merged.items()]
    if not merged:
        return
    for table in _HANDED_ON:
        statement = f"UPDATE {table} SET member = :into WHERE env = :env AND member = :old"  # noqa: S608 - names of ours
        connection.execute(text(statement), merged)
    theirs = (
        "UPDATE transactions SET chain = COALESCE(chain, member), member = :into "
        "WHERE env = :env AND member = :old"
    )
    connection.execute(text(theirs), merged)
    occasions = (
        "UPDATE bonuses SET member = :into WHERE env = :env AND member = :old AND NOT EXISTS (SELECT 1 FROM bonuses b "
        "WHERE b.env = :env AND b.member = :into AND b.program = bonuses.program AND b.occasion = bonuses.occasion)"
    )
    connection.execute(text(occasions), merged)
    for table in _OVER:
        connection.execute(text(f"DELETE FROM {table} WHERE env = :env AND member = :old"), merged)  # noqa: S608 - names of ours
    before = "UPDATE members SET merged_into = :into WHERE env = :env AND merged_into = :old"
    connection.execute(text(before), merged)


def _write_people(connection: Connection, work: WorkingSet) -> None:
    _forget(connection, work)
    _put(connection, t.members, work.members, MEMBER_COLUMNS)
    linked = [
        {"env": env, "source": source, "customer": customer, "member": member}
        for (env, source, customer), member in sorted(work.identities.new())
    ]
    bulk_insert(connection, t.identities, linked, ("env", "source", "customer", "member"))
    _put(connection, t.people, work.people, PERSON_COLUMNS)
    _put(connection, t.vouchers, work.vouchers, VOUCHER_COLUMNS)
    _put(connection, t.advices, work.advices, ADVICE_COLUMNS)


def _forget(connection: Connection, work: WorkingSet) -> None:
    """Erase who somebody was first: a customer id that was freed may come back, as somebody new."""
    gone = [{"env": env, "member": member} for env, member in sorted(work.forgotten)]
    if gone:
        connection.execute(text("DELETE FROM people WHERE env = :env AND member = :member"), gone)
        connection.execute(text("DELETE FROM identities WHERE env = :env AND member = :member"), gone)
    freed = [dict(zip(("env", "source", "customer"), key, strict=True)) for key in sorted(work.unlinked)]
    if freed:
        connection.execute(
            text("DELETE FROM identities WHERE env = :env AND source = :source AND customer = :customer"),
            freed,
        )


def _forget_addresses(connection: Connection, work: WorkingSet) -> None:
    """Erase where what somebody redeemed was sent."""
    gone = [{"env": env, "member": member} for env, member in sorted(work.forgotten)]
    statement = "UPDATE redemptions SET shipping = NULL WHERE env = :env AND member = :member AND shipping IS NOT NULL"
    connection.execute(text(statement), gone)


EVENT_COLUMNS = (
    "env",
    "id",
    "source",
    "key",
    "topic",
    "types",
    "state",
    "reason",
    "order_source",
    "order_ref",
    "member",
    "occurred_at",
    "received_at",
    "posted_at",
    "headers",
    "body",
)


def _event_row(work: WorkingSet, command: RecordEvent, stored: StoredEvent) -> tuple[Any, ...]:
    source, ref = stored.order or (None, None)
    headers = orjson.dumps(command.headers).decode()
    return (
        command.env,
        stored.id,
        command.source,
        command.key,
        command.topic,
        stored.types,
        stored.state,
        stored.reason,
        source,
        ref,
        stored.member,
        stored.occurred_at,
        command.received_at,
        work.now,
        headers,
        command.body,
    )


_TAKEN_IN_AGAIN = (
    "UPDATE events SET types = :types, state = :state, reason = :reason, order_source = :order_source, "
    "order_ref = :order_ref, member = :member, occurred_at = :occurred_at, posted_at = :posted_at "
    "WHERE env = :env AND id = :id"
)


def _write_events(connection: Connection, work: WorkingSet, recorded: Recorded) -> None:
    fresh = [_event_row(work, *one) for one in recorded if one[0].event_id is None]
    again = [
        dict(zip(EVENT_COLUMNS, _event_row(work, *one), strict=True)) for one in recorded if one[0].event_id
    ]
    bulk_insert(connection, t.events, fresh, EVENT_COLUMNS)
    if again:
        connection.execute(text(_TAKEN_IN_AGAIN), again)
    if work.unparked:
        statement = text(
            "UPDATE events SET state = 'applied', reason = NULL, member = :member WHERE env = :env "
            "AND order_source = :source AND order_ref = :ref AND state = 'parked'",
        )
        connection.execute(
            statement,
            [
                {"env": env, "source": source, "ref": ref, "member": member}
                for (env, source, ref), member in sorted(work.unparked.items())
            ],
        )


def _write_orders(connection: Connection, work: WorkingSet) -> None:
    _put(
        connection,
        t.orders,
        work.orders,
        tuple(name for name in ORDER_COLUMNS if name != "facts"),
        {
            "facts": lambda order: order_facts.dump(order.facts),
            "updated_at": lambda _order: work.now,
        },
    )


def _write_links(connection: Connection, work: WorkingSet) -> None:
    rows = sorted((*link, *key[1:]) for link, key in work.named)
    bulk_upsert(connection, t.order_links, rows, ORDER_LINK_COLUMNS, ("ref",))  # it may be named once more


def _write_book(connection: Connection, work: WorkingSet) -> None:
    _put_balances(connection, work)
    _put(connection, t.lots, work.lots, (*LOT_COLUMNS, "due_at"))
    _put(connection, t.transactions, work.transactions, (*TRANSACTION_COLUMNS, "due_at"))
    _put(connection, t.redemptions, work.redemptions, REDEMPTION_COLUMNS)
    _add(connection, t.balance_orders, work.placed)
    bulk_insert(connection, t.transaction_metadata, work.labels, LABEL_COLUMNS)
    _add(connection, t.transfers, [one for change in work.changes for one in change.transfers])
    _add(connection, t.allocations, [one for change in work.changes for one in change.allocations])


_MOVED_COLUMNS = tuple(name for name in BALANCE_COLUMNS if name != "updated_at")


def _put_balances(connection: Connection, work: WorkingSet) -> None:
    """Write balances; most of them are due when they were before, and then that is left alone.

    SQLite would write the entry in the index of what is due anew, which is a page more for each member.
    """
    columns = (_MOVED_COLUMNS, {"updated_at": lambda _balance: work.now})
    every = _updatable(t.balances, (*_MOVED_COLUMNS, "updated_at"))
    due_before = set(work.due_before.items())
    stays: dict[bool, list[tuple[Any, Any]]] = {True: [], False: []}
    for key, balance in work.balances.updated():
        stays[(key, balance.next_due_at) in due_before].append((key, balance))
    _put_entries(connection, t.balances, work.balances.new(), columns, ())
    _put_entries(connection, t.balances, stays[False], columns, every)
    others = tuple(name for name in every if name != "next_due_at")
    _put_entries(connection, t.balances, stays[True], columns, others)


ORDER_LINK_COLUMNS = ("env", "kind", "name", "source", "ref")
MEASURE_COLUMNS = ("env", "member", "definition", "unit", "day", "amount")


def _write_standing(connection: Connection, work: WorkingSet) -> None:
    _put(connection, t.memberships, work.memberships, MEMBERSHIP_COLUMNS)
    _put(connection, t.standings, work.standings, STANDING_COLUMNS)
    _add(connection, t.tier_changes, work.tier_changes)
    _add(connection, t.bonuses, list(work.bonuses.values()))
    added = [(*key, amount) for key, amount in sorted(work.added.items()) if amount]
    bulk_add(connection, t.measures, added, MEASURE_COLUMNS, "amount")


LABEL_COLUMNS = ("env", "name", "value", "transaction")


def _write_messages(connection: Connection, work: WorkingSet) -> None:
    _add(connection, t.messages, work.messages)
    if work.catalog.publishes:
        ours = [(message.env, message.id) for message in work.messages if message.format == "native"]
        bulk_insert(connection, t.publications, ours, ("env", "message"))
    rows = [delivery for message in work.messages for delivery in _fan_out(work, message)]
    bulk_insert(connection, t.deliveries, rows, DELIVERY_COLUMNS)


def _fan_out(work: WorkingSet, message: Message) -> list[tuple[Any, ...]]:
    """Return a delivery for each endpoint that wants this message; a disabled endpoint's are held for it."""
    return [
        (
            message.env,
            work.new_id(),
            endpoint.id,
            message.id,
            message.member,
            "due" if endpoint.state == "enabled" else "held",
            0,
            0,
            work.now if work.clock_now is None else work.clock_now,
            0,
            work.now,
            work.now,
        )
        for endpoint in work.catalog.endpoints_of.get(message.env, ())
        if endpoint.format == message.format and endpoint.wants(message.type)
    ]
