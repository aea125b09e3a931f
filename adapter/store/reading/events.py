"""Stored events: what came in, what became of it, and the raw bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from adapter.store import tables as t
from adapter.store.reading.paging import Page, equal, newest_first, page_of, within

if TYPE_CHECKING:
    from adapter.clock import Millis

_SHORT = tuple(
    t.events.c[name]
    for name in (
        "env",
        "id",
        "source",
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
        "emptied_at",
    )
)
_WHOLE = (*_SHORT, t.events.c.key, t.events.c.headers, t.events.c.body)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a list of events is narrowed by; `since` and `until` compare with when it was received."""

    state: str | None = None
    source: str | None = None
    topic: str | None = None
    member: int | None = None
    order: str | None = None
    since: Millis | None = None
    until: Millis | None = None


def find_event(connection: Connection, env: int, number: int) -> Any:
    """Return one event with its key, headers and body."""
    columns = t.events.c
    return connection.execute(select(*_WHOLE).where(columns.env == env, columns.id == number)).one_or_none()


def list_events(
    connection: Connection,
    env: int,
    chosen: EventFilter,
    *,
    limit: int,
    cursor: str | None = None,
) -> Page[Any]:
    """Return a page of events without their bodies, newest first."""
    columns = t.events.c
    query = newest_first(_SHORT, t.events, env, limit, cursor)
    query = equal(
        query,
        (columns.state, chosen.state),
        (columns.source, chosen.source),
        (columns.topic, chosen.topic),
        (columns.member, chosen.member),
        (columns.order_ref, chosen.order),
    )
    query = within(query, columns.received_at, chosen.since, chosen.until)
    return page_of(connection.execute(query).all(), limit, lambda row: (row.id,))


def events_of_orders(
    connection: Connection,
    env: int,
    order: tuple[str, str],
) -> list[Any]:
    """Return the events that told of one order, as they were received."""
    columns = t.events.c
    source, ref = order
    query = select(*_SHORT).where(
        columns.env == env, columns.order_source == source, columns.order_ref == ref
    )
    return list(connection.execute(query.order_by(columns.received_at, columns.id)))
