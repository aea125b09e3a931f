"""Balances as they are now: the row, with what time has done to it since the sweep came by last.

*Available* means unexpired now. Usually a balance is one row; only where its `next_due_at` has passed are the
due lots loaded, and the book's own rules let the points post and expire, on copies that nobody writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_, func, or_, select

from adapter.book.completing import end_in_time
from adapter.book.idling import coming_of, let_idle_end
from adapter.book.lots import expire, land
from adapter.book.state import Account, Balance, Lot, Transaction
from adapter.book.transfers import Cause, Change
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.coming import due_lots
from adapter.store.pending import over, set_aside
from adapter.store.pipeline import answered
from adapter.store.reading.definitions import definition_meant
from adapter.store.reading.programs import program_reader
from adapter.store.rows import BALANCE_COLUMNS, LOT_COLUMNS, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from adapter.book.phases import Parts
    from adapter.catalog import Catalog, Definition
    from adapter.clock import Millis

_BALANCE = columns_of(t.balances, BALANCE_COLUMNS)
_LOT = columns_of(t.lots, LOT_COLUMNS)


@dataclass(frozen=True, slots=True)
class Expiring:
    """What of a balance ends within the horizon, and when the first of its points end (however far away)."""

    amount: int
    next_at: Millis | None


def choose_definition(
    connection: Connection,
    catalog: Catalog,
    env: int,
    member: int,
    *,
    program: str | None = None,
    name: str | None = None,
) -> Definition:
    """Return the definition that is meant: named, the only one, or the only one the member has points of.

    Raises `NotFound` for a name that does not exist, `DefinitionUnclear` where a name is needed.
    """
    return definition_meant(
        catalog, env, lambda: definitions_of(connection, env, member), program=program, name=name
    )


def balance_now(
    connection: Connection, env: int, member: int, definition: int, now: Millis
) -> tuple[Balance, list[Lot]]:
    """Return a member's balance as of now, and the lots that time has changed since it was written."""
    balance = balance_row(connection, env, member, definition)
    if balance.next_due_at is None or balance.next_due_at > now:
        return balance, []
    return balance, catch_up(connection, balance, now)


def catch_up(connection: Connection, balance: Balance, now: Millis) -> list[Lot]:
    """Do to a balance in memory what the sweep has not done yet; return the lots that it changes."""
    touched = {lot.id: lot for lot in _due_lots(connection, balance, now)}
    due = list(touched.values())
    late = answered(connection, over(connection, [balance.key], now))
    parts: dict[int, list[tuple[Lot, int]]] = {one.id: [] for one in late}
    for one, lot, amount in set_aside(connection, late):
        parts[one.id].append((touched.setdefault(lot.id, lot), amount))
    program_at = program_reader(connection, balance.env, balance.definition)
    change = Change(balance, Cause("time.elapsed", now), now, program_at)
    _let_time_pass(change, due, [(one, parts[one.id]) for one in late])
    return list(touched.values())


def live_lots(connection: Connection, env: int, member: int, definition: int, now: Millis) -> list[Lot]:
    """Return the lots with points of a member that can be used now or are held, the oldest first."""
    _, passed = balance_now(connection, env, member, definition, now)
    lots = t.lots.c
    own = and_(lots.env == env, lots.member == member, lots.definition == definition)
    others = lots.id.not_in([lot.id for lot in passed])
    query = select(*_LOT).where(own, or_(lots.available > 0, lots.reserved > 0), others)
    found = [*passed, *(Lot(*row) for row in connection.execute(query))]
    return sorted((lot for lot in found if lot.available or lot.reserved), key=lambda lot: lot.id)


def balance_row(connection: Connection, env: int, member: int, definition: int) -> Balance:
    """Return a member's balance as it is stored; one that never moved is zero."""
    columns = t.balances.c
    row = connection.execute(
        select(*_BALANCE).where(
            columns.env == env, columns.member == member, columns.definition == definition
        ),
    ).one_or_none()
    return Balance(*row) if row is not None else Balance(env, member, definition)


def _due_lots(connection: Connection, balance: Balance, now: Millis) -> list[Lot]:
    """Return the lots that time has caught up with, in the order in which it did; all, where it has with their member."""
    found = {lot.id: lot for lot in answered(connection, due_lots(connection, [balance.key], now))}
    if balance.idle_at is not None and balance.idle_at <= now:
        lots = t.lots.c
        own = and_(
            lots.env == balance.env, lots.member == balance.member, lots.definition == balance.definition
        )
        for row in connection.execute(
            select(*_LOT).where(own, lots.available > 0).order_by(lots.due_at, lots.id)
        ):
            lot = Lot(*row)
            found.setdefault(lot.id, lot)
    return list(found.values())


def _let_time_pass(change: Change, due: Sequence[Lot], late: Sequence[tuple[Transaction, Parts]]) -> None:
    """Do to a balance in memory what the sweep will do in the book; sequence and chain stay as they are.

    `late` are the pending transactions that time has ended, with the lots that their points are in.
    """
    balance, now = change.balance, change.now
    sequence, head = balance.sequence, balance.head
    let_idle_end(change, due, coming_of(due, [transaction for transaction, _ in late], now))
    for transaction, parts in late:
        change.due_at = transaction.completes_at
        end_in_time(change, transaction, parts)
    for lot in sorted(due, key=lambda lot: (lot.available_at or 0, lot.id)):
        waiting = min(lot.pending, lot.due_amount)
        if waiting and lot.available_at is not None and lot.available_at <= now:
            change.due_at = lot.available_at
            land(change, lot, waiting, origin=Account.PENDING, transaction=None)
        expire(change, lot)
    balance.sequence, balance.head = sequence, head


def expiring(
    connection: Connection, balance: Balance, passed: Sequence[Lot], now: Millis, until: Millis
) -> Expiring:
    """Return what of the available points ends before `until`, and when the next ones end.

    `passed` are the lots that `balance_now` let time pass for; all others are as the database has them.
    """
    lots = t.lots.c
    untouched = and_(
        lots.env == balance.env,
        lots.member == balance.member,
        lots.definition == balance.definition,
        lots.available > 0,
        lots.expires_at > now,
        lots.id.not_in([lot.id for lot in passed]),
    )
    sum_ = select(func.sum(lots.available)).where(untouched, lots.expires_at < until).scalar_subquery()
    first = select(lots.expires_at).where(untouched).order_by(lots.expires_at).limit(1).scalar_subquery()
    soon, next_at = connection.execute(select(sum_, first)).one()
    ends = [(lot.expires_at, lot.available) for lot in passed if lot.available and lot.expires_at is not None]
    soon = int(soon or 0) + sum(amount for at, amount in ends if at < until)
    next_at = min((at for at in (next_at, *(at for at, _ in ends)) if at is not None), default=None)
    return if_idle(Expiring(soon, next_at), balance, until)


def if_idle(ends: Expiring, balance: Balance, until: Millis) -> Expiring:
    """Return what ends of a balance if its member does nothing from now on, given what does by itself."""
    if balance.idle_at is None or not balance.available:
        return ends
    amount = balance.available if balance.idle_at < until else ends.amount
    return Expiring(amount, balance.idle_at if ends.next_at is None else min(balance.idle_at, ends.next_at))


def held_by(connection: Connection, members: Iterable[tuple[int, int]]) -> dict[tuple[int, int], set[int]]:
    """Return the definitions of the balances that each of these members (env, member) has a row of."""
    held: dict[tuple[int, int], set[int]] = {}
    columns = ("env", "member", "definition")
    for env, member, definition in select_by_keys(
        connection, t.balances, columns[:2], members, columns=columns
    ):
        held.setdefault((env, member), set()).add(definition)
    return held


def definitions_of(connection: Connection, env: int, member: int) -> list[int]:
    """Return the definitions that the member has a balance row of."""
    columns = t.balances.c
    query = select(columns.definition).where(columns.env == env, columns.member == member)
    return list(connection.execute(query.order_by(columns.definition)).scalars())


def accounts_of(balance: Balance) -> dict[str, int]:
    """Return the four accounts by name, in smallest units."""
    return {
        "pending": balance.pending,
        "available": balance.available,
        "reserved": balance.reserved,
        "owed": balance.owed,
    }
