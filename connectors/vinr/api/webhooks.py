"""Webhook endpoints: our endpoints of VINR's format, with VINR's schedule and time limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from adapter import ids
from adapter.delivery import endpoints as kept
from adapter.delivery import switching
from adapter.errors import NotFound
from adapter.web.dialects import Asked
from adapter.web.routing import Access, Route
from connectors.vinr.api.asking import Listing, each_place, listed, nothing, reading
from connectors.vinr.api.shown import EndpointShown, RemovedShown
from connectors.vinr.vendor import SCHEDULE_S, TIMEOUT_S
from connectors.vinr.words import NAME, renamed, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from adapter.web.routing import Call

OURS = {"enabled_events": "events"}
"""Our names of what VINR calls otherwise."""


class EndpointAdded(Asked):
    url: str
    enabled_events: list[str] = Field(default_factory=lambda: ["*"])
    description: str = ""


class EndpointChanged(Asked):
    """What is left out stays as it is."""

    url: str | None = None
    enabled_events: list[str] | None = None
    description: str | None = None
    status: Literal["enabled", "disabled"] | None = None


def add_webhook(call: Call) -> dict[str, Any]:
    """Add an endpoint; its secret is shown in this answer alone."""
    asked: EndpointAdded = call.body
    fixed = {"format": NAME, "schedule": list(SCHEDULE_S), "timeout": TIMEOUT_S}
    view = kept.add(call.database, call.env, {**fixed, **_given(asked)}, now=call.now)
    return _shown(view) | {"secret": view["secret"]}


def change_webhook(call: Call) -> dict[str, Any]:
    """Change an endpoint, or switch it on or off."""
    asked: EndpointChanged = call.body
    number = _number(call)
    given = {name: value for name, value in _given(asked).items() if name != "status" and value is not None}
    if given:
        kept.change(call.database, call.env, number, given, now=call.now)
    if asked.status == "enabled":
        switching.enable(call.database, call.env, number, now=call.now, release_held=True)
    elif asked.status == "disabled":
        switching.disable(call.database, call.env, number, now=call.now)
    return _shown(kept.show_one(call.database, call.env, number))


def remove_webhook(call: Call) -> dict[str, Any]:
    """Remove an endpoint; what it did not get becomes dead letters."""
    number = _number(call)
    kept.remove(call.database, call.env, number, now=call.now)
    return {"id": ids.show("we", number), "object": "webhook_endpoint", "deleted": True}


def show_webhook(call: Call) -> dict[str, Any]:
    """Show one endpoint."""
    return _shown(kept.show_one(call.database, call.env, _number(call)))


def list_webhooks(call: Call) -> dict[str, Any]:
    """List the endpoints of VINR's format, the oldest first."""
    asked: Listing = call.query
    views = [_shown(one) for one in kept.listed(call.database, call.env) if one["format"] == NAME]
    rest = [one for one in views if one["id"] > (asked.starting_after or "")]
    page = rest[: asked.limit]
    return listed(page, page[-1]["id"] if len(rest) > len(page) else None)


def _number(call: Call) -> int:
    """Return the number of the endpoint of the path. Raises `Problem` (404) where it is none of VINR's format."""
    named = call.path["webhook"]
    number = ids.read("we", named)
    try:
        view = None if number is None else kept.show_one(call.database, call.env, number)
    except NotFound:
        view = None
    if number is None or view is None or view["format"] != NAME:
        nothing("webhook endpoint", named)
    return number


def _given(asked: BaseModel) -> dict[str, Any]:
    return {OURS.get(name, name): value for name, value in asked.model_dump(exclude_unset=True).items()}


def _shown(view: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": renamed(view["id"], "we"),
        "object": "webhook_endpoint",
        "url": view["url"],
        "status": view["state"],
        "enabled_events": view["events"],
        "description": view["description"],
        "created": seconds(view["created_at"]),
    }


def _writing(
    verb: str, handler: Callable[[Call], Any], summary: str, answered: type[BaseModel], **more: Any
) -> Route:
    method, _, path = verb.partition(" ")
    return Route(
        method, path, handler, "endpoints:write", summary, answered, "VINR", access=Access.WRITE, **more
    )


def _routes(place: str) -> tuple[Route, ...]:
    one = f"{place}/{{webhook}}"
    return (
        _writing(f"POST {place}", add_webhook, "Add a webhook endpoint", EndpointShown, body=EndpointAdded, status=201),
        reading(place, list_webhooks, "endpoints:read", "List webhook endpoints", EndpointShown, query=Listing,
                listed=True),
        reading(one, show_webhook, "endpoints:read", "Show a webhook endpoint", EndpointShown),
        _writing(f"PUT {one}", change_webhook, "Change a webhook endpoint", EndpointShown, body=EndpointChanged),
        _writing(f"PATCH {one}", change_webhook, "Change a webhook endpoint", EndpointShown, body=EndpointChanged),
        _writing(f"DELETE {one}", remove_webhook, "Remove a webhook endpoint", RemovedShown),
    )  # fmt: skip


ROUTES = each_place(("/v1/webhooks", "/v1/webhook-endpoints"), _routes)
