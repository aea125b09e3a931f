"""Endpoints over HTTP: who hears of changes, where, and signed with what."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from adapter.delivery import endpoints as kept
from adapter.delivery import switching
from adapter.delivery.fields import EndpointFields
from adapter.store.reading.paging import decode_cursor, page_of
from adapter.web.queries import Listing, Selection
from adapter.web.routing import Access, Call, Given, Route, Shown
from adapter.web.shown import Instant


class SecretShown(Shown):
    hint: str = Field(description="The secret's first letters.")
    expires_at: Instant | None = Field(description="Set once it is being rotated out.")


class EndpointShown(Shown):
    """A subscriber's URL. `secret` is shown once, in the answer that made it; header values never."""

    id: str
    url: str
    events: list[str]
    format: str
    schedule: list[int] = Field(description="Seconds before each retry.")
    timeout: int
    ordered: bool
    headers: dict[str, str]
    concurrency: int
    rate_per_s: int | None
    description: str
    secrets: list[SecretShown]
    state: str
    disabled_reason: str | None
    failing_since: Instant | None
    failures: int
    probe_at: Instant | None
    created_at: Instant
    updated_at: Instant
    secret: str | None = None


class MessageQueued(Shown):
    message: str


class Removed(Shown):
    """Nothing is answered."""


class EndpointChange(Given):
    """What is to be changed; everything left out stays as it is."""

    url: str | None = None
    secrets: list[str] | None = Field(None, description="Replaces all at once; to overlap, rotate instead.")
    events: list[str] | None = None
    format: str | None = None
    schedule: list[int] | None = None
    timeout: int | None = None
    ordered: bool | None = None
    headers: dict[str, str] | None = None
    concurrency: int | None = None
    rate_per_s: int | None = None
    description: str | None = None


class Rotation(Given):
    overlap: Annotated[int, Field(ge=0, le=kept.OVERLAP_MOST_S)] = Field(
        kept.OVERLAP_S,
        description="For how many seconds the old secrets sign as well.",
    )
    secret: str | None = Field(None, description="The new secret, `whsec_…`; without it one is made.")


class Enabling(Given):
    release_held: bool = Field(default=True, description="Whether what was held meanwhile is sent now.")


def endpoints(call: Call) -> dict[str, Any]:
    """List endpoints, the oldest first."""
    views = kept.listed(call.database, call.env)
    if call.query.cursor is not None:
        last = decode_cursor(call.query.cursor, str)[0]
        views = [view for view in views if view["id"] > last]
    return page_of(views, call.query.limit, lambda view: (view["id"],)).view(dict)


def endpoint(call: Call) -> dict[str, Any]:
    """Show one endpoint."""
    return kept.show_one(call.database, call.env, call.id("endpoint", "end"))


def add_endpoint(call: Call) -> dict[str, Any]:
    """Add an endpoint."""
    return kept.add(call.database, call.env, call.body.model_dump(exclude_unset=True), now=call.now)


def change_endpoint(call: Call) -> dict[str, Any]:
    """Change an endpoint."""
    given = call.body.model_dump(exclude_unset=True)
    return kept.change(call.database, call.env, call.id("endpoint", "end"), given, now=call.now)


def remove_endpoint(call: Call) -> None:
    """Remove an endpoint; what it did not get becomes dead letters."""
    kept.remove(call.database, call.env, call.id("endpoint", "end"), now=call.now)


def rotate_secret(call: Call) -> dict[str, Any]:
    """Sign with a new secret, and for a while with the old ones too."""
    asked: Rotation = call.body
    number = call.id("endpoint", "end")
    return kept.rotate(
        call.database, call.env, number, now=call.now, overlap_s=asked.overlap, secret=asked.secret
    )


def send_test(call: Call) -> dict[str, Any]:
    """Send an `endpoint.test` message to this endpoint alone."""
    return kept.send_test(call.database, call.env, call.id("endpoint", "end"), now=call.now)


def enable_endpoint(call: Call) -> dict[str, Any]:
    """Send to an endpoint again."""
    number = call.id("endpoint", "end")
    switching.enable(call.database, call.env, number, now=call.now, release_held=call.body.release_held)
    return kept.show_one(call.database, call.env, number)


def disable_endpoint(call: Call) -> dict[str, Any]:
    """Stop sending to an endpoint; its messages are held."""
    number = call.id("endpoint", "end")
    switching.disable(call.database, call.env, number, now=call.now)
    return kept.show_one(call.database, call.env, number)


_ONE = "/v1/endpoints/{endpoint}"
ROUTES = (
    Route(
        "GET",
        "/v1/endpoints",
        endpoints,
        "endpoints:read",
        "List endpoints",
        EndpointShown,
        "Endpoints",
        query=Listing,
        listed=True,
    ),
    Route(
        "POST",
        "/v1/endpoints",
        add_endpoint,
        "endpoints:write",
        "Add an endpoint",
        EndpointShown,
        "Endpoints",
        access=Access.WRITE,
        body=EndpointFields,
        status=201,
        example={"url": "https://example.com/hook", "events": ["balance.updated"]},
        text="Without `secrets` one is made; it is shown in this answer and never again. A live environment "
        "takes https URLs of public addresses only.",
    ),
    Route(
        "GET",
        _ONE,
        endpoint,
        "endpoints:read",
        "Show an endpoint",
        EndpointShown,
        "Endpoints",
        query=Selection,
    ),
    Route(
        "PATCH",
        _ONE,
        change_endpoint,
        "endpoints:write",
        "Change an endpoint",
        EndpointShown,
        "Endpoints",
        access=Access.WRITE,
        body=EndpointChange,
        example={"description": "The mail team", "timeout": 10},
    ),
    Route(
        "DELETE",
        _ONE,
        remove_endpoint,
        "endpoints:write",
        "Remove an endpoint",
        Removed,
        "Endpoints",
        access=Access.WRITE,
        status=204,
        text="What it did not get becomes dead letters, to be looked at.",
    ),
    Route(
        "POST",
        f"{_ONE}/rotate",
        rotate_secret,
        "endpoints:write",
        "Rotate an endpoint's secret",
        EndpointShown,
        "Endpoints",
        access=Access.WRITE,
        body=Rotation,
        example={"overlap": 86400},
        text="Every request is signed with all secrets in force, so a subscriber may switch at any moment of "
        "the overlap (24 hours, if nothing is said).",
    ),
    Route(
        "POST",
        f"{_ONE}/test",
        send_test,
        "endpoints:write",
        "Send a test message",
        MessageQueued,
        "Endpoints",
        access=Access.WRITE,
        status=202,
    ),
    Route(
        "POST",
        f"{_ONE}/enable",
        enable_endpoint,
        "endpoints:write",
        "Enable an endpoint",
        EndpointShown,
        "Endpoints",
        access=Access.WRITE,
        body=Enabling,
        example={"release_held": True},
    ),
    Route(
        "POST",
        f"{_ONE}/disable",
        disable_endpoint,
        "endpoints:write",
        "Disable an endpoint",
        EndpointShown,
        "Endpoints",
        access=Access.WRITE,
        text="What is due for it is held until it is enabled.",
    ),
)
