"""Refusals as LoyalPro tells them: six statuses, with the request id in the body as well as in the header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter.web.errors import Answer, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    429: "rate_limited",
    500: "internal_error",
}
_TOLD_AS = {405: 404, 503: 500}
"""A method that an address does not take is no endpoint; a temporary trouble is a 500 that says when to come back."""


def refuse(refusal: Refusal) -> Answer:
    """Write a refusal."""
    status = status_of(refusal.status)
    return Answer(status, orjson.dumps({"error": error_of(refusal)}), headers=_without_allow(refusal.headers))


def status_of(status: int) -> int:
    """Return the status that LoyalPro has for one of ours: what a client does wrong otherwise is 400."""
    status = _TOLD_AS.get(status, status)
    return status if status in _TYPES else 400


def error_of(refusal: Refusal) -> dict[str, Any]:
    """Return what is said of a refusal, or of the one item of a bulk request that was refused."""
    told: dict[str, Any] = {
        "type": _TYPES[status_of(refusal.status)],
        "code": refusal.code,
        "message": refusal.detail,
        "errors": [{"field": field, "message": why} for field, why in refusal.errors],
        "request_id": refusal.request_id,
    }
    if refusal.code == "scope_missing":
        feature = refusal.errors[0][1]
        told["code"], told["feature"] = "feature_not_available", feature
        told["message"] = f"The feature `{feature}` is not among this API key's permissions, its plan."
    return told if refusal.figures is None else told | {"details": dict(refusal.figures)}


def refused_item(problem: Mapping[str, Any]) -> Refusal:
    """Return what a bulk of ours says of an item as the refusal that it was."""
    errors = tuple((one["field"], one["message"]) for one in problem["errors"])
    return Refusal(
        problem["status"],
        problem["code"],
        problem["detail"],
        problem["request_id"],
        errors,
        figures=problem.get("figures"),
    )


def _without_allow(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(one for one in headers if one[0] != "Allow")
