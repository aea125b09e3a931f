"""Events over HTTP: what came in, with its raw bytes; and taking one in again after a fix."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import Field

from adapter import ids
from adapter.clock import iso
from adapter.engine.journal import API
from adapter.errors import Conflict
from adapter.intake import command_again
from adapter.program.reasons import SENTENCES
from adapter.store.reading.events import EventFilter, find_event, list_events
from adapter.store.reading.members import find_member
from adapter.web.queries import Period, Reference, Selection
from adapter.web.receiver import connector_of, error_of, outcome_view
from adapter.web.routing import Access, Call, Route, missing
from adapter.web.shown import EventShown, OutcomeShown

if TYPE_CHECKING:
    from adapter.catalog import Source


class EventsQuery(Period):
    state: Literal["applied", "parked", "ignored", "rejected"] | None = None
    source: Reference | None = None
    type: Reference | None = Field(None, description="The platform's own name, such as `orders/create`.")
    member: Reference | None = Field(None, description="`mem_…`, `source:customer` or an e-mail address.")
    order: Reference | None = Field(None, description="The shop's order id.")


def events(call: Call) -> dict[str, Any]:
    """List events."""
    asked: EventsQuery = call.query
    member = None if asked.member is None else find_member(call.database, call.env, asked.member).id
    chosen = EventFilter(asked.state, asked.source, asked.type, member, asked.order, asked.since, asked.until)
    return list_events(call.database, call.env, chosen, limit=asked.limit, cursor=asked.cursor).view(
        event_view
    )


def event(call: Call) -> dict[str, Any]:
    """Show one event with its headers and raw bytes."""
    row = find_event(call.database, call.env, call.id("event", "evt"))
    if row is None:
        raise missing("evt", call.path["event"])
    if row.emptied_at is not None:
        return {**event_view(row), "headers": None, "body": None, "body_base64": None}
    return {**event_view(row), "headers": orjson.loads(row.headers), **_body_view(bytes(row.body))}


def replay_event(call: Call) -> dict[str, Any]:
    """Take a stored event in again: normalized by today's connector, merged as if it came now."""
    with call.parts.engine.connect() as connection:
        row = find_event(connection, call.env, call.id("event", "evt"))
    if row is None:
        raise missing("evt", call.path["event"])
    source = _source_of(call, row.source)
    outcome = call.parts.submit(command_again(source, connector_of(call.parts, source), row))
    if outcome.error is not None:
        raise error_of(outcome.error)
    return {**outcome_view(outcome), "event": ids.show("evt", row.id)}


def _source_of(call: Call, name: str) -> Source:
    if name == API:
        raise Conflict(
            "This event is a command of the API, which was carried out; ask for another one instead."
        )
    source = call.catalog.sources.get(name)
    if source is None or source.env != call.env:
        raise Conflict(
            f"The source {name!r} of this event is not configured any more; apply it, then replay."
        )
    return source


def event_view(row: Any) -> dict[str, Any]:
    """Return an event as it is shown in lists."""
    return {
        "id": ids.show("evt", row.id),
        "source": row.source,
        "topic": row.topic,
        "types": row.types.split(),
        "state": row.state,
        "reason": row.reason,
        "explanation": None if row.reason is None else SENTENCES.get(row.reason, row.reason),
        "order_source": row.order_source,
        "order": row.order_ref,
        "member": None if row.member is None else ids.show("mem", row.member),
        "occurred_at": iso(row.occurred_at),
        "received_at": iso(row.received_at),
        "posted_at": iso(row.posted_at),
        "emptied_at": None if row.emptied_at is None else iso(row.emptied_at),
    }


def _body_view(body: bytes) -> dict[str, Any]:
    """Return the raw bytes: as text where they are text, and always as base64, which changes nothing."""
    try:
        text: str | None = body.decode()
    except UnicodeDecodeError:
        text = None
    return {"body": text, "body_base64": base64.b64encode(body).decode()}


ROUTES = (
    Route(
        "GET",
        "/v1/events",
        events,
        "events:read",
        "List events",
        EventShown,
        "Events",
        query=EventsQuery,
        listed=True,
        text="Every authentic webhook that came in, newest first, with what became of it and why.",
    ),
    Route(
        "GET",
        "/v1/events/{event}",
        event,
        "events:read",
        "Show an event",
        EventShown,
        "Events",
        query=Selection,
        text="With the headers (none that signs or opens anything) and the raw bytes.",
    ),
    Route(
        "POST",
        "/v1/events/{event}/replay",
        replay_event,
        "events:write",
        "Take an event in again",
        OutcomeShown,
        "Events",
        access=Access.DOOR,
        looked_up="source=shop&",
        text="The stored bytes are normalized by the connector as it is now, and merged like any other "
        "webhook: what is already in the book has no second effect.",
    ),
)
