"""Events: what was told, or is about to be, in VINR's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter import ids
from adapter.store.reading.messages import MessageFilter, find_message, list_messages
from connectors.vinr.api.asking import Id, Listing, after, listed, nothing, reading
from connectors.vinr.api.shown import EventShown
from connectors.vinr.words import NAME

if TYPE_CHECKING:
    from adapter.web.routing import Call


class EventsQuery(Listing):
    type: Id | None = None


def list_events(call: Call) -> dict[str, Any]:
    """List events, newest first."""
    asked: EventsQuery = call.query
    chosen = MessageFilter(asked.type, format=NAME)
    start = after("evt", asked.starting_after)
    page = list_messages(call.database, call.env, chosen, limit=asked.limit, cursor=start, bodies=True)
    return listed([orjson.loads(row.body) for row in page.rows], page.next_cursor)


def show_event(call: Call) -> dict[str, Any]:
    """Show one event, as it is told."""
    named = call.path["event"]
    number = ids.read("evt", named)
    found = None if number is None else find_message(call.database, call.env, number)
    if found is None or found.format != NAME:
        nothing("event", named)
    shown: dict[str, Any] = orjson.loads(found.body)
    return shown


ROUTES = (
    reading(
        "/v1/events", list_events, "messages:read", "List events", EventShown, query=EventsQuery, listed=True
    ),
    reading("/v1/events/{event}", show_event, "messages:read", "Show an event", EventShown),
)
