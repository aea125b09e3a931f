"""What a vendor's client tells of a purchase, taken in as the shop's own webhook would be.

It is written in our published form (the connector `standard`), so that it is shown, replayed and rebuilt like any event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter.intake import command_of
from adapter.web.errors import Problem
from adapter.web.receiver import connector_of, error_of
from connectors.base import RawEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.catalog import Source
    from adapter.outcome import Outcome
    from adapter.web.routing import Call

STANDARD = "standard"


def taking_source(call: Call, name: str) -> Source | None:
    """Return the source of this name where events in our published form can be told to it."""
    source = call.find(lambda catalog: catalog.sources.get(name))
    return source if source and (source.env, source.connector) == (call.env, STANDARD) else None


def take_event(call: Call, source: Source, name: str, event: Mapping[str, Any]) -> Outcome:
    """Take an event in; `name` is its own among those of the source: under it, it is taken in once.

    Raises `Problem` where it cannot be understood, and `Unavailable` where nothing was decided.
    """
    raw = RawEvent({"webhook-id": name}, orjson.dumps(event), call.now)
    command = command_of(source, connector_of(call.parts, source), raw)
    if command.refusal is not None:
        raise Problem("request_invalid", command.refusal[1])
    outcome = call.parts.submit(command)
    if outcome.error is not None:
        raise error_of(outcome.error)
    return outcome
