"""Deliveries over HTTP: one message for one endpoint, each with its attempts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from adapter.delivery import listing, replay
from adapter.store.reading.members import find_member
from adapter.store.reading.paging import decode_cursor
from adapter.web.queries import EndpointId, MessageId, Period, Reference, Selection
from adapter.web.replays import ReplayShown, page_of_views
from adapter.web.routing import Access, Call, Route, Shown
from adapter.web.shown import Instant


class DeliveriesQuery(Period):
    state: Literal["due", "claimed", "delivered", "dead", "held"] | None = None
    endpoint: EndpointId | None = None
    message: MessageId | None = None
    type: Reference | None = Field(None, description="A message type, such as `balance.updated`.")
    member: Reference | None = Field(None, description="`mem_…`, `source:customer` or an e-mail address.")


class AttemptShown(Shown):
    """One HTTP request. Without an answer `status` is null and `error` says why."""

    number: int
    started_at: Instant
    duration_ms: int
    status: int | None
    error: str | None
    response: str | None = Field(description="The beginning of what was answered.")


class DeliveryShown(Shown):
    """How one message stands with one endpoint. `body` and `attempts` only where one is shown."""

    id: str
    endpoint: str
    url: str | None
    message: str
    type: str
    member: str | None
    sequence: int | None
    state: str
    attempt_count: int
    next_attempt_at: Instant | None
    replay: str | None
    last_status: int | None
    last_error: str | None
    created_at: Instant
    updated_at: Instant
    body: dict[str, Any] | None = None
    attempts: list[AttemptShown] | None = None


def deliveries(call: Call) -> dict[str, Any]:
    """List deliveries, newest first."""
    asked: DeliveriesQuery = call.query
    member = (
        None if asked.member is None else find_member(call.database, call.env, asked.member, deleted=True)
    )
    wanted = listing.DeliveryFilter(
        endpoint=asked.endpoint,
        state=asked.state,
        since=asked.since,
        until=asked.until,
        member=None if member is None else member.id,
        message=asked.message,
        type=asked.type,
        before=None if asked.cursor is None else decode_cursor(asked.cursor, int)[0],
        limit=asked.limit + 1,
    )
    return page_of_views(listing.deliveries(call.database, call.env, wanted), asked.limit, "dlv").view(dict)


def delivery(call: Call) -> dict[str, Any]:
    """Show one delivery with its message and all attempts."""
    return listing.delivery(call.database, call.env, call.id("delivery", "dlv"))


def delivery_attempts(call: Call) -> dict[str, Any]:
    """List the attempts of one delivery, oldest first."""
    number = call.id("delivery", "dlv")
    listing.delivery(call.database, call.env, number)
    return {"data": listing.attempts(call.database, call.env, number), "next_cursor": None}


def replay_delivery(call: Call) -> dict[str, Any]:
    """Send one delivery again."""
    selection = replay.Selection(delivery=call.id("delivery", "dlv"))
    return replay.create(call.database, call.env, selection, now=call.now)


_ONE = "/v1/deliveries/{delivery}"
ROUTES = (
    Route(
        "GET",
        "/v1/deliveries",
        deliveries,
        "deliveries:read",
        "List deliveries",
        DeliveryShown,
        "Deliveries",
        query=DeliveriesQuery,
        listed=True,
        text="Newest first. `state=dead` are the dead letters.",
    ),
    Route(
        "GET",
        _ONE,
        delivery,
        "deliveries:read",
        "Show a delivery",
        DeliveryShown,
        "Deliveries",
        query=Selection,
    ),
    Route(
        "GET",
        f"{_ONE}/attempts",
        delivery_attempts,
        "deliveries:read",
        "List a delivery's attempts",
        AttemptShown,
        "Deliveries",
        query=Selection,
        listed=True,
    ),
    Route(
        "POST",
        f"{_ONE}/replay",
        replay_delivery,
        "deliveries:write",
        "Send a delivery again",
        ReplayShown,
        "Deliveries",
        access=Access.WRITE,
        status=202,
        text="With the same bytes and the same `webhook-id`. Asking twice sends twice.",
    ),
)
