"""Errors as Salesforce writes them: a list, each with its `errorCode`, a `message`, and the `fields` at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter.web.errors import Answer

if TYPE_CHECKING:
    from adapter.web.errors import Refusal

INSUFFICIENT = "INSUFFICIENT_LOYALTY_BALANCE"
CODES = {
    "insufficient_balance": INSUFFICIENT,
    "balance_locked": "UNABLE_TO_LOCK_ROW",
    "idempotency_key_reused": "DUPLICATE_VALUE",
    "member_exists": "DUPLICATE_VALUE",
    "request_invalid": "INVALID_API_INPUT",
    "json_invalid": "JSON_PARSER_ERROR",
    "media_type_unsupported": "UNSUPPORTED_MEDIA_TYPE",
    "api_key_missing": "INVALID_SESSION_ID",
    "api_key_malformed": "INVALID_SESSION_ID",
    "api_key_invalid": "INVALID_SESSION_ID",
    "api_key_expired": "INVALID_SESSION_ID",
    "api_key_revoked": "INVALID_SESSION_ID",
    "api_key_wrong_environment": "INVALID_SESSION_ID",
    "scope_missing": "INSUFFICIENT_ACCESS",
    "member_unknown": "NOT_FOUND",
    "member_deleted": "ENTITY_IS_DELETED",
    "route_unknown": "NOT_FOUND",
    "rate_limited": "REQUEST_LIMIT_EXCEEDED",
    "too_large": "REQUEST_ENTITY_TOO_LARGE",
    "unavailable": "SERVER_UNAVAILABLE",
    "busy": "SERVER_UNAVAILABLE",
    "database_unavailable": "SERVER_UNAVAILABLE",
    "internal": "UNKNOWN_EXCEPTION",
}
"""What our codes are called; any other is written in capitals."""


def refuse(refusal: Refusal) -> Answer:
    """Tell a refusal as Salesforce would."""
    return Answer(refusal.status, orjson.dumps(listed(refusal)), headers=refusal.headers)


def listed(refusal: Refusal) -> list[dict[str, Any]]:
    """Return the errors of a refusal: one for each field at fault, else one of them all."""
    code = CODES.get(refusal.code, refusal.code.upper())
    if refusal.code == "insufficient_balance":
        return [{"errorCode": code, **_shortage(refusal)}]
    if refusal.code == "request_invalid" and refusal.errors:
        return [
            {"errorCode": code, "message": f"{field}: {message}", "fields": [field]}
            for field, message in refusal.errors
        ]
    fields = [field for field, _ in refusal.errors]
    return [{"errorCode": code, "message": refusal.detail, **({"fields": fields} if fields else {})}]


def _shortage(refusal: Refusal) -> dict[str, Any]:
    """Return what was asked for and what there is, in a sentence and in fields."""
    figures = dict(refusal.figures or {})
    whose = {name: figures.pop(name) for name in ("memberId",) if name in figures}
    told = f"Requested: {figures.get('requested')} points. Available: {figures.get('available')} points."
    told += "".join(f" Member ID: {member}." for member in whose.values())
    return {"message": told, **{name: figure(one) for name, one in figures.items()}, **whose}


def figure(shown: int | str) -> int | float:
    """Return points as JSON's own number, which Salesforce's clients read; ours are text where there are decimals."""
    return shown if isinstance(shown, int) else float(shown)
