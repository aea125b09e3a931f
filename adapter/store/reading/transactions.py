"""Transactions: credits and debits as the loyalty API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from adapter.book.state import Transaction
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.reading.paging import Page, equal, newest_first, page_of, within
from adapter.store.rows import TRANSACTION_COLUMNS, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.clock import Millis

_COLUMNS = columns_of(t.transactions, TRANSACTION_COLUMNS)


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """What a list of transactions is narrowed by; instants compare with when it was created. States are as of `now`."""

    now: Millis

    member: int | None = None
    state: str | None = None
    kind: str | None = None
    source: str | None = None
    definition: int | None = None
    since: Millis | None = None
    until: Millis | None = None
    metadata: str | None = None  # name:value


def find_transaction(connection: Connection, env: int, number: int) -> Transaction | None:
    """Return one transaction of this environment."""
    return find_transactions(connection, [(env, number)]).get((env, number))


def find_transactions(
    connection: Connection, keys: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Transaction]:
    """Return transactions by (env, id), as many of these as there are."""
    rows = select_by_keys(connection, t.transactions, ("env", "id"), keys, columns=TRANSACTION_COLUMNS)
    found = [Transaction(*row) for row in rows]
    return {(one.env, one.id): one for one in found}


def last_of_redemption(connection: Connection, env: int, redemption: int) -> Transaction:
    """Return the newest transaction of a redemption: what came back of it last, where something did."""
    columns = t.transactions.c
    query = select(*_COLUMNS).where(columns.env == env, columns.redemption == redemption)
    return Transaction(*connection.execute(query.order_by(columns.id.desc()).limit(1)).one())


def list_transactions(
    connection: Connection,
    env: int,
    chosen: TransactionFilter,
    *,
    limit: int,
    cursor: str | None = None,
) -> Page[Transaction]:
    """Return a page of transactions, newest first."""
    query = _chosen(newest_first(_COLUMNS, t.transactions, env, limit, cursor), env, chosen)
    return page_of([Transaction(*row) for row in connection.execute(query)], limit, lambda row: (row.id,))


def history(
    connection: Connection, env: int, chosen: TransactionFilter, *, limit: int, offset: int, rising: bool
) -> tuple[list[Transaction], int]:
    """Return some transactions by their place in the list, and how many there are: of one member, as `chosen` says."""
    columns = t.transactions.c
    number = _chosen(select(func.count()).where(columns.env == env), env, chosen)
    query = _chosen(select(*_COLUMNS).where(columns.env == env), env, chosen)
    ordered = query.order_by(columns.id if rising else columns.id.desc()).limit(limit).offset(offset)
    rows = [Transaction(*row) for row in connection.execute(ordered)]
    return rows, connection.execute(number).scalar_one()


def ends_of(connection: Connection, env: int, member: int, credits_: Iterable[int]) -> dict[int, Millis]:
    """Return when the points that these credits gave a member end, where they do."""
    lots = t.lots.c
    query = select(lots.transaction, func.min(lots.expires_at)).where(
        lots.env == env,
        lots.member == member,
        lots.transaction.in_(list(credits_)),
        lots.expires_at.is_not(None),
    )
    return {row[0]: row[1] for row in connection.execute(query.group_by(lots.transaction))}


def _chosen(query: Select[Any], env: int, chosen: TransactionFilter) -> Select[Any]:
    columns = t.transactions.c
    query = equal(
        query,
        (columns.member, chosen.member),
        (columns.kind, chosen.kind),
        (columns.order_source, chosen.source),
        (columns.definition, chosen.definition),
    )
    if chosen.state is not None:
        query = query.where(in_state(chosen.state, chosen.now))
    if chosen.metadata is not None:
        query = query.where(columns.id.in_(labelled(env, chosen.metadata)))
    return within(query, columns.created_at, chosen.since, chosen.until)


def in_state(state: str, now: Millis) -> ColumnElement[bool]:
    """Return the condition of being in a state as of now, whether or not the sweep has come by."""
    columns = t.transactions.c
    due = and_(columns.state == "pending", columns.due_at <= now)
    if state == "pending":
        return and_(columns.state == state, or_(columns.due_at.is_(None), columns.due_at > now))
    if state == "expired":
        return or_(columns.state == state, and_(due, columns.due_at == columns.expires_at))
    if state == "completed":
        late = or_(columns.expires_at.is_(None), columns.due_at != columns.expires_at)
        return or_(columns.state == state, and_(due, late))
    return columns.state == state


def labelled(env: int, metadata: str) -> Select[tuple[int]]:
    """Select the transactions that have this in their metadata; it is written `name:value`."""
    name, _, value = metadata.partition(":")
    labels = t.transaction_metadata.c
    return select(labels.transaction).where(labels.env == env, labels.name == name, labels.value == value)
