"""Webhooks: endpoints that hear of changes in Brevo's words. What they send as secrets is never shown again."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids as our_ids
from adapter.delivery import endpoints as kept
from adapter.errors import NotFound
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.errors import Problem
from adapter.web.routing import Access, Route
from connectors.brevo.vendor import NAME, VENDOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.web.routing import Call

PATH = "/v3/webhooks"
MOST = 40
"""How many an account may have, as Brevo has it."""
SCHEDULE_S = (600, 3600, 7200, 28_800)
"""Brevo's own: four more requests, after ten minutes, an hour, two and eight."""
EXACT_BITS = 53  # of a number that JavaScript holds exactly
AUTHORIZATION = "Authorization"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
SHOWN = "hidden"


class Auth(Asked):
    """What is sent as `Authorization`: the type, and the token after it."""

    type: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z]+$")] = "bearer"
    token: Annotated[str, Field(min_length=1, max_length=900)]


class Header(Asked):
    """A header that each request has."""

    key: str
    value: str


class EndpointChanged(Asked):
    """What is to be changed; what is left out stays."""

    url: str | None = None
    events: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None
    description: str | None = None
    auth: Auth | None = None
    headers: list[Header] | None = None
    batched: bool | None = None
    type: str | None = None
    domain: str | None = None


class EndpointAsked(EndpointChanged):
    """A webhook to create."""

    url: str


class EndpointsQuery(Asked):
    type: str | None = None
    sort: Literal["asc", "desc"] = "desc"


class EndpointMade(Answered):
    """The number of what was made."""

    id: int


class AuthShown(Answered):
    type: str
    token: str


class HeaderShown(Answered):
    key: str
    value: str


class EndpointShown(Answered):
    """A webhook; values of headers and tokens are hidden."""

    id: int
    type: Literal["marketing"] = "marketing"
    url: str
    description: str
    events: list[str]
    auth: AuthShown | None
    headers: list[HeaderShown]
    batched: bool = False
    created_at: str
    modified_at: str


class EndpointsShown(Answered):
    webhooks: list[EndpointShown]


class Done(Answered):
    """Nothing is answered."""


def list_webhooks(call: Call) -> dict[str, Any]:
    """List the webhooks."""
    found = [_shown(view) for view in _own(call)] if call.query.type in (None, "marketing") else []
    if call.query.sort == "desc":
        found.reverse()
    return view_of(EndpointsShown(webhooks=found))


def create_webhook(call: Call) -> dict[str, Any]:
    """Create a webhook."""
    asked: EndpointAsked = call.body
    if len(_own(call)) >= MOST:
        raise Problem("refused", f"There are {MOST} webhooks already; remove one first.")
    given = {"events": sorted(VENDOR.event_types()), "schedule": SCHEDULE_S, **_given(asked)}
    made = kept.add(call.database, call.env, {**given, "format": NAME}, now=call.now)
    return view_of(EndpointMade(id=_number(made["id"])))


def webhook(call: Call) -> dict[str, Any]:
    """Show a webhook."""
    return view_of(_shown(_found(call)))


def change_webhook(call: Call) -> None:
    """Change a webhook."""
    number = our_ids.read("end", _found(call)["id"])
    assert number is not None
    headers = kept.headers_of(call.database, call.env, number)
    kept.change(call.database, call.env, number, _given(call.body, headers), now=call.now)


def remove_webhook(call: Call) -> None:
    """Remove a webhook."""
    number = our_ids.read("end", _found(call)["id"])
    assert number is not None
    kept.remove(call.database, call.env, number, now=call.now)


def _given(asked: EndpointChanged, headers: Mapping[str, str] = NO_HEADERS) -> dict[str, Any]:
    """Return what an endpoint with these headers is told of it. Raises `Problem` for what we do not do."""
    if asked.batched:
        raise Problem("endpoint_invalid", "batched: each event is sent by itself, at once; leave it out.")
    if asked.type not in (None, "marketing") or asked.domain is not None:
        why = "type: webhooks of loyalty are of the type marketing; there are no others here."
        raise Problem("endpoint_invalid", why)
    given = {"url": asked.url, "events": asked.events, "description": asked.description}
    told = {name: value for name, value in given.items() if value is not None}
    return {**told, "headers": _headers(asked, headers)}


def _headers(asked: EndpointChanged, before: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of each request: the token is one of them, and either stays where only the other is said."""
    own = {name: value for name, value in before.items() if name != AUTHORIZATION}
    if asked.headers is not None:
        own = {header.key: header.value for header in asked.headers}
    token = before.get(AUTHORIZATION)
    if asked.auth is not None:
        token = f"{asked.auth.type.capitalize()} {asked.auth.token}"
    return own if token is None else {**own, AUTHORIZATION: token}


def _own(call: Call) -> list[dict[str, Any]]:
    return [view for view in kept.listed(call.database, call.env) if view["format"] == NAME]


def _number(shown: str) -> int:
    """Return an endpoint's id as Brevo's clients hold it: the lower part of its number, which is enough to tell it."""
    return (our_ids.read("end", shown) or 0) % (1 << EXACT_BITS)


def _found(call: Call) -> dict[str, Any]:
    for view in _own(call):
        if str(_number(view["id"])) == call.path["webhook"]:
            return view
    raise NotFound(f"There is no webhook {call.path['webhook'][:64]!r} here.", field="webhookId")


def _shown(view: dict[str, Any]) -> EndpointShown:
    names = [name for name in view["headers"] if name != AUTHORIZATION]
    return EndpointShown(
        id=_number(view["id"]),
        url=view["url"],
        description=view["description"],
        events=list(view["events"]),
        auth=AuthShown(type="bearer", token=SHOWN) if AUTHORIZATION in view["headers"] else None,
        headers=[HeaderShown(key=name, value=SHOWN) for name in names],
        created_at=view["created_at"],
        modified_at=view["updated_at"],
    )


_ONE = f"{PATH}/{{webhook}}"
ROUTES = (
    Route(
        "GET",
        PATH,
        list_webhooks,
        "endpoints:read",
        "List the webhooks",
        EndpointsShown,
        "Webhooks",
        query=EndpointsQuery,
    ),
    Route(
        "POST",
        PATH,
        create_webhook,
        "endpoints:write",
        "Create a webhook",
        EndpointMade,
        "Webhooks",
        access=Access.WRITE,
        body=EndpointAsked,
        status=201,
    ),
    Route("GET", _ONE, webhook, "endpoints:read", "Show a webhook", EndpointShown, "Webhooks"),
    Route(
        "PUT",
        _ONE,
        change_webhook,
        "endpoints:write",
        "Change a webhook",
        Done,
        "Webhooks",
        access=Access.WRITE,
        body=EndpointChanged,
        status=204,
    ),
    Route(
        "DELETE",
        _ONE,
        remove_webhook,
        "endpoints:write",
        "Remove a webhook",
        Done,
        "Webhooks",
        access=Access.WRITE,
        status=204,
    ),
)
