"""Transactions: credits and debits as the loyalty API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from adapter.book.state import Transaction
from adapter.store import tables as t
from adapter.store.reading.paging import Page, decode_cursor, page_of
from adapter.store.rows import TRANSACTION_COLUMNS, columns_of

if TYPE_CHECKING:
    from adapter.clock import Millis

_COLUMNS = columns_of(t.transactions, TRANSACTION_COLUMNS)


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """What a list of transactions is narrowed by; instants compare with when it was created."""

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
    columns = t.transactions.c
    row = connection.execute(select(*_COLUMNS).where(columns.env == env, columns.id == number)).one_or_none()
    return None if row is None else Transaction(*row)


def list_transactions(
    connection: Connection,
    env: int,
    chosen: TransactionFilter,
    *,
    limit: int,
    cursor: str | None = None,
) -> Page[Transaction]:
    """Return a page of transactions, newest first."""
    columns = t.transactions.c
    query = select(*_COLUMNS).where(columns.env == env).order_by(columns.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(columns.id < decode_cursor(cursor, int)[0])
    for column, value in (
        (columns.member, chosen.member),
        (columns.state, chosen.state),
        (columns.kind, chosen.kind),
        (columns.order_source, chosen.source),
        (columns.definition, chosen.definition),
    ):
        if value is not None:
            query = query.where(column == value)
    if chosen.metadata is not None:
        name, _, value = chosen.metadata.partition(":")
        labels = t.transaction_metadata.c
        labelled = select(labels.transaction).where(
            labels.env == env, labels.name == name, labels.value == value
        )
        query = query.where(columns.id.in_(labelled))
    if chosen.since is not None:
        query = query.where(columns.created_at >= chosen.since)
    if chosen.until is not None:
        query = query.where(columns.created_at < chosen.until)
    return page_of([Transaction(*row) for row in connection.execute(query)], limit, lambda row: (row.id,))
