"""Deliveries: what went out and how, and sending it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.delivery import replay
from adapter.messages import MessageType
from adapter.web.console.visit import go
from adapter.web.replays import ReplayRequest, selection_of
from adapter.web.routing import checked

if TYPE_CHECKING:
    from adapter.web.console.visit import Visit
    from adapter.web.errors import Answer

STATES = ("due", "claimed", "delivered", "dead", "held")
FILTERS = ("state", "endpoint", "type", "since")


def deliveries(visit: Visit) -> Answer:
    """List deliveries."""
    asked = visit.asked(*FILTERS)
    found = visit.get(
        "/v1/deliveries", **asked | {"since": instant(asked["since"])}, cursor=visit.query.get("cursor", "")
    )
    known = visit.get("/v1/endpoints", limit="200")["data"] if visit.may("GET", "/v1/endpoints") else []
    return visit.page(
        "deliveries.html", asked=asked, found=found, endpoints=known, states=STATES, types=list(MessageType)
    )


def delivery(visit: Visit) -> Answer:
    """Show one delivery with every attempt."""
    return visit.page("delivery.html", delivery=visit.get("/v1/deliveries/{delivery}", visit.path))


def replay_one(visit: Visit) -> Answer:
    """Send one delivery again."""
    return _begun(visit.post("/v1/deliveries/{delivery}/replay", visit.path)["id"])


def confirm_replay(visit: Visit) -> Answer:
    """Say how many deliveries a filter selects, before they are sent again."""
    visit.get("/v1/replays", limit="1")  # who may not see replays may not count what is in them
    asked = visit.asked(*FILTERS)
    body = {name: one for name, one in {**asked, "since": instant(asked["since"])}.items() if one}
    selection = selection_of(visit.database, visit.key.env, checked(ReplayRequest, body, "query"))
    number = replay.count(visit.database, visit.key.env, selection)
    return visit.page("replay_new.html", body=body, number=number)


def create_replay(visit: Visit) -> Answer:
    """Send again what a filter selects."""
    body = {name: one for name in FILTERS if (one := visit.form.get(name))}
    return _begun(visit.post("/v1/replays", **body)["id"])


def replays(visit: Visit) -> Answer:
    """List replays."""
    return visit.page("replays.html", found=visit.get("/v1/replays", cursor=visit.query.get("cursor", "")))


def show_replay(visit: Visit) -> Answer:
    """Show how far a replay is."""
    return visit.page("replay.html", replay=visit.get("/v1/replays/{replay}", visit.path))


def instant(written: str) -> str:
    """Return an instant as the API takes it: browsers leave out the zone, which is UTC here."""
    return (
        f"{written}Z"
        if written and "T" in written and not written.endswith("Z") and "+" not in written
        else written
    )


def _begun(number: str) -> Answer:
    return go(f"/console/replays/{number}")
