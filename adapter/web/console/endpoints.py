"""Endpoints: who hears of changes, how healthy each is, and its own log of deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.web.console.visit import go

if TYPE_CHECKING:
    from adapter.web.console.visit import Visit
    from adapter.web.errors import Answer


def endpoints(visit: Visit) -> Answer:
    """List endpoints."""
    return visit.page(
        "endpoints.html", found=visit.get("/v1/endpoints", cursor=visit.query.get("cursor", ""))
    )


def endpoint(visit: Visit) -> Answer:
    """Show one endpoint with what was sent to it."""
    one = visit.get("/v1/endpoints/{endpoint}", visit.path)
    sent = None
    if visit.may("GET", "/v1/deliveries"):
        sent = visit.get("/v1/deliveries", endpoint=one["id"], cursor=visit.query.get("cursor", ""))
    return visit.page("endpoint.html", endpoint=one, found=sent)


def enable(visit: Visit) -> Answer:
    """Send to an endpoint again, what was held as well."""
    return _back(visit.post("/v1/endpoints/{endpoint}/enable", visit.path)["id"])


def disable(visit: Visit) -> Answer:
    """Stop sending to an endpoint; its messages are held."""
    return _back(visit.post("/v1/endpoints/{endpoint}/disable", visit.path)["id"])


def test(visit: Visit) -> Answer:
    """Send a test message to an endpoint."""
    visit.post("/v1/endpoints/{endpoint}/test", visit.path)
    return _back(visit.path["endpoint"])


def _back(number: str) -> Answer:
    return go(f"/console/endpoints/{number}")
