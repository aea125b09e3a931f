"""Events: what came in, what became of it and why, and taking it in again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.web.console.deliveries import instant
from adapter.web.console.visit import go

if TYPE_CHECKING:
    from adapter.web.console.visit import Visit
    from adapter.web.errors import Answer

STATES = ("rejected", "parked", "ignored", "applied")
FILTERS = ("state", "source", "type", "since")


def events(visit: Visit) -> Answer:
    """List events."""
    asked = visit.asked(*FILTERS)
    found = visit.get(
        "/v1/events", **asked | {"since": instant(asked["since"])}, cursor=visit.query.get("cursor", "")
    )
    sources = sorted(one.name for one in visit.catalog.sources.values() if one.env == visit.key.env)
    return visit.page("events.html", asked=asked, found=found, states=STATES, sources=sources)


def event(visit: Visit) -> Answer:
    """Show one event with its headers and raw bytes."""
    return visit.page("event.html", event=visit.get("/v1/events/{event}", visit.path))


def replay(visit: Visit) -> Answer:
    """Take a stored event in again."""
    again = visit.post("/v1/events/{event}/replay", visit.path)
    return go(f"/console/events/{again['event']}?again={again['status']}")
