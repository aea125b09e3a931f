"""Orders and events that Brevo's clients post, taken in like any shop's webhooks: the key of the request is the signature.

They are the events of the source whose customers the contacts are, stored as they came, so that they are read again
wherever stored events are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from adapter import ids as our_ids
from adapter.intake import command_of
from adapter.outcome import EventState
from adapter.web.asking import refusal, submit_all
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.errors import Problem
from adapter.web.receiver import connector_of
from adapter.web.routing import Access, Route
from connectors.base import RawEvent
from connectors.brevo.api.ids import customers_of
from connectors.brevo.topics import EVENT_TYPES
from connectors.brevo.vendor import NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.catalog import Source
    from adapter.commands import RecordEvent
    from adapter.web.routing import Call

BATCH_MOST = 1000
EXACT_BITS = 53  # of a number that JavaScript holds exactly


class Posted(BaseModel):
    """A body that the connector reads, whatever is in it."""

    model_config = ConfigDict(frozen=True, extra="allow")


class OrdersAsked(Asked):
    """Many orders. Historical ones are kept for the record, and earn nothing."""

    orders: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=BATCH_MOST)]
    historical: bool = False
    notify_url: str | None = None


class EventsAsked(Asked):
    """Many events."""

    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=BATCH_MOST)]


class Accepted(Answered):
    """Nothing is answered."""


class OrdersAccepted(Answered):
    """How many orders were taken in; all of them are durable."""

    batch_id: int = Field(alias="batch_id")
    count: int


class EventsAccepted(Answered):
    """How many events were taken in; all of them are durable."""

    message: str
    count: int


def report_order(call: Call) -> None:
    """Take in the status of an order."""
    _take_in(call, [("", call.body.model_dump())])


def report_orders(call: Call) -> dict[str, Any]:
    """Take in the status of many orders."""
    asked: OrdersAsked = call.body
    if asked.notify_url is not None:
        raise Problem("json_invalid", "notifyUrl: leave it out; what was answered is durable already.")
    more = {"historical": True} if asked.historical else {}
    told = [(f"orders[{number}].", {**order, **more}) for number, order in enumerate(asked.orders)]
    _take_in(call, told)
    batch = our_ids.new_id(call.now) % (1 << EXACT_BITS)
    return view_of(OrdersAccepted(batch_id=batch, count=len(told)))


def report_event(call: Call) -> None:
    """Take in an event."""
    _take_in(call, [("", call.body.model_dump())])


def report_events(call: Call) -> dict[str, Any]:
    """Take in many events."""
    told = [(f"events[{number}].", event) for number, event in enumerate(call.body.events)]
    _take_in(call, told)
    return view_of(EventsAccepted(message="The events are taken in.", count=len(told)))


def _take_in(call: Call, told: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Take in bodies, or none of them: each with the place that a refusal names."""
    source = _source(call)
    for outcome in submit_all(call, [_command(call, source, place, body) for place, body in told]):
        if outcome.error is not None:
            raise refusal(outcome)


def _command(call: Call, source: Source, place: str, body: dict[str, Any]) -> RecordEvent:
    """Return the command that takes a body in. Raises `Problem` for one of a kind that we know, but cannot be read.

    Events of other kinds are nothing that a client did wrong: they are kept, with the reason.
    """
    raw = RawEvent({"content-type": "application/json"}, orjson.dumps(body), call.now)
    command = command_of(source, connector_of(call.parts, source), raw)
    state, reason = command.refusal or (None, "")
    if state == EventState.REJECTED and (command.topic in EVENT_TYPES or command.topic == "unknown"):
        raise Problem("json_invalid", f"{place}{reason}")
    return command


def _source(call: Call) -> Source:
    name = customers_of(call)
    found = call.find(lambda catalog: catalog.sources.get(name))
    if found is not None and found.env == call.env and found.connector == NAME:
        return found
    raise Problem(
        "refused",
        f"Nothing takes orders and events here: apply a `[[tenants.sources]]` with name = {name!r}, connector = "
        f"{NAME!r} and its program.",
    )


def _posting(path: str, handler: Any, summary: str, **more: Any) -> Route:
    return Route(
        "POST", path, handler, "transactions:write", summary, tag="Commerce", access=Access.DOOR, **more
    )


ROUTES = (
    _posting(
        "/v3/orders/status",
        report_order,
        "Tell the status of an order",
        response=Accepted,
        body=Posted,
        status=204,
    ),
    _posting(
        "/v3/orders/status/batch",
        report_orders,
        "Tell the status of many orders",
        response=OrdersAccepted,
        body=OrdersAsked,
        status=202,
    ),
    _posting("/v3/events", report_event, "Tell of an event", response=Accepted, body=Posted, status=204),
    _posting(
        "/v3/events/batch",
        report_events,
        "Tell of many events",
        response=EventsAccepted,
        body=EventsAsked,
        status=202,
    ),
)
