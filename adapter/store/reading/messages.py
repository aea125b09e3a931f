"""Messages: what went out, with the frozen bytes and the deliveries of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, literal_column, select

from adapter.store import tables as t
from adapter.store.reading.paging import Page, newest_first, page_of, within

if TYPE_CHECKING:
    from adapter.clock import Millis

_SHORT = tuple(
    t.messages.c[name]
    for name in ("env", "id", "type", "member", "definition", "sequence", "created_at", "format")
)

_OURS: ColumnElement[str] = literal_column("'native'")
"""Written out: by a parameter no database would know that the index of vendors' messages has all that are asked for."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What a list of messages is narrowed by. `format` is a vendor's: its index has none of our own messages."""

    type: str | None = None
    format: str | None = None
    member: int | None = None
    since: Millis | None = None
    until: Millis | None = None


def find_message(connection: Connection, env: int, number: int) -> Any:
    """Return one message with its body."""
    columns = t.messages.c
    query = select(*_SHORT, columns.body).where(columns.env == env, columns.id == number)
    return connection.execute(query).one_or_none()


def list_messages(
    connection: Connection,
    env: int,
    chosen: MessageFilter,
    *,
    limit: int,
    cursor: str | None = None,
    bodies: bool = False,
) -> Page[Any]:
    """Return a page of messages, newest first; with their bodies only where asked for."""
    columns = t.messages.c
    query = newest_first((*_SHORT, columns.body) if bodies else _SHORT, t.messages, env, limit, cursor)
    if chosen.format is not None:
        query = query.where(columns.format == chosen.format, columns.format != _OURS)
    if chosen.type is not None:
        query = query.where(columns.type == chosen.type)
    if chosen.member is not None:
        query = query.where(columns.member == chosen.member)
    query = within(query, columns.created_at, chosen.since, chosen.until)
    return page_of(connection.execute(query).all(), limit, lambda row: (row.id,))


def deliveries_of(connection: Connection, env: int, message: int) -> list[Any]:
    """Return how a message stands with each endpoint that it is for."""
    columns = t.deliveries.c
    query = select(
        columns.id,
        columns.endpoint,
        columns.state,
        columns.attempts,
        columns.last_status,
        columns.last_error,
    ).where(columns.env == env, columns.message == message)
    return list(connection.execute(query.order_by(columns.id)))
