"""Replays over HTTP: sending again what was selected, each once, and how far that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from adapter import ids
from adapter.delivery import replay as kept
from adapter.store.reading.members import find_member
from adapter.store.reading.paging import Page, decode_cursor, encode_cursor
from adapter.web.queries import EndpointId, Instant, Listing, Reference, Selection
from adapter.web.routing import Access, Call, Given, Route, Shown
from adapter.web.shown import Instant as InstantShown

if TYPE_CHECKING:
    from sqlalchemy import Connection


class ReplayRequest(Given):
    """What is sent again; everything given must hold, and something must be given."""

    state: Literal["delivered", "dead", "held", "due"] | None = None
    endpoint: EndpointId | None = None
    since: Instant | None = Field(None, description="Messages made at or after this instant.")
    until: Instant | None = Field(None, description="Messages made before this instant.")
    type: Reference | None = Field(None, description="A message type, such as `balance.updated`.")
    member: Reference | None = Field(None, description="`mem_…`, `source:customer` or an e-mail address.")
    missing: bool = Field(
        default=False, description="What the endpoint wants now and was never attempted; names an endpoint."
    )


class ReplayShown(Shown):
    """How far a replay is: `selected` = `waiting` + `queued` + `sent` + `failed`."""

    id: str
    selected: int
    waiting: int
    queued: int
    sent: int
    failed: int
    filter: dict[str, Any]
    created_at: InstantShown
    finished_at: InstantShown | None


def replays(call: Call) -> dict[str, Any]:
    """List replays, newest first."""
    asked: Listing = call.query
    before = None if asked.cursor is None else decode_cursor(asked.cursor, int)[0]
    views = kept.listed(call.database, call.env, limit=asked.limit + 1, before=before)
    return page_of_views(views, asked.limit, "rpl").view(dict)


def replay(call: Call) -> dict[str, Any]:
    """Show how far a replay is."""
    return kept.progress(call.database, call.env, call.id("replay", "rpl"))


def create_replay(call: Call) -> dict[str, Any]:
    """Freeze a selection and begin to send it again."""
    return kept.create(
        call.database, call.env, selection_of(call.database, call.env, call.body), now=call.now
    )


def selection_of(connection: Connection, env: int, asked: ReplayRequest) -> kept.Selection:
    """Return what a replay is asked to be about. Raises `NotFound` for a member that there is not."""
    member = None if asked.member is None else find_member(connection, env, asked.member, deleted=True)
    return kept.Selection(
        state=asked.state,
        endpoint=asked.endpoint,
        since=asked.since,
        until=asked.until,
        type=asked.type,
        member=None if member is None else member.id,
        missing=asked.missing,
    )


def page_of_views(views: list[dict[str, Any]], limit: int, prefix: str) -> Page[dict[str, Any]]:
    """Return a page of views that were read with one more than `limit`; their ids are the places."""
    kept = tuple(views[:limit])
    more = len(views) > limit
    return Page(kept, encode_cursor(ids.read(prefix, kept[-1]["id"]) or 0) if more else None)


ROUTES = (
    Route(
        "POST",
        "/v1/replays",
        create_replay,
        "deliveries:write",
        "Start a replay",
        ReplayShown,
        "Replays",
        access=Access.WRITE,
        body=ReplayRequest,
        status=202,
        example={"state": "dead"},
        text="Sends again what is selected at this moment, each delivery once, whatever happens meanwhile. "
        "`missing` selects what an endpoint wants and never got.",
    ),
    Route(
        "GET",
        "/v1/replays",
        replays,
        "deliveries:read",
        "List replays",
        ReplayShown,
        "Replays",
        query=Listing,
        listed=True,
    ),
    Route(
        "GET",
        "/v1/replays/{replay}",
        replay,
        "deliveries:read",
        "Show a replay's progress",
        ReplayShown,
        "Replays",
        query=Selection,
    ),
)
