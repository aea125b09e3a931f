"""Redemptions: those that a person should look at, and all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.web.console.visit import go

if TYPE_CHECKING:
    from adapter.web.console.visit import Visit
    from adapter.web.errors import Answer

STATES = ("pending", "applied", "fulfillment_pending", "fulfilled", "released", "expired", "reversed")
FILTERS = ("flagged", "state", "member")


def redemptions(visit: Visit) -> Answer:
    """List redemptions."""
    asked = visit.asked(*FILTERS)
    found = visit.get("/v1/redemptions", **asked, cursor=visit.query.get("cursor", ""))
    return visit.page("redemptions.html", asked=asked, found=found, states=STATES)


def redemption(visit: Visit) -> Answer:
    """Show one redemption."""
    return visit.page("redemption.html", redemption=visit.get("/v1/redemptions/{redemption}", visit.path))


def clear(visit: Visit) -> Answer:
    """Say what a person found who looked at a flagged redemption."""
    note = visit.form.get("note", "")
    return go(
        f"/console/redemptions/{visit.post('/v1/redemptions/{redemption}/clear', visit.path, note=note)['id']}"
    )
