"""Errors as VINR writes them: `{"error": {code, message, type, param, doc_url, request_id}}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from adapter.web.errors import Answer

if TYPE_CHECKING:
    from adapter.web.errors import Refusal

TYPES = {
    401: "authentication_error",
    402: "payment_error",
    403: "authentication_error",
    409: "billing_error",
    422: "billing_error",
    429: "rate_limit_error",
}
"""VINR's types by status; every other 4xx is a `validation_error`, and 5xx an `api_error`."""

CODES = {
    "payment_declined": "card_declined",
    "api_key_missing": "invalid_api_key",
    "api_key_malformed": "invalid_api_key",
    "api_key_invalid": "invalid_api_key",
    "api_key_revoked": "invalid_api_key",
    "api_key_wrong_environment": "invalid_api_key",
    "api_key_expired": "expired_api_key",
}
"""VINR's codes, by ours; for what VINR names no code of ours stays."""

FIELDS = {
    "member": "account",
    "events": "enabled_events",
    "joined_at": "created",
    "cursor": "starting_after",
}
"""VINR's fields, by those of ours that an error may name."""

SERVER_ERROR = 500


def refuse(refusal: Refusal) -> Answer:
    """Tell a refusal."""
    server = refusal.status >= SERVER_ERROR
    error = {
        "code": CODES.get(refusal.code, refusal.code),
        "message": _message(refusal),
        "type": "api_error" if server else TYPES.get(refusal.status, "validation_error"),
        "param": _param(refusal),
        "doc_url": f"/docs#error-{refusal.code}",
        "request_id": refusal.request_id,
    }
    return Answer(refusal.status, orjson.dumps({"error": error}), headers=refusal.headers)


def _param(refusal: Refusal) -> str | None:
    if not refusal.errors:
        return None
    field = refusal.errors[0][0]
    return FIELDS.get(field, field)


def _message(refusal: Refusal) -> str:
    """Return the sentence, with what is wrong with each field at fault: VINR has no place of its own for that."""
    faults = [
        f"{FIELDS.get(name, name)}: {text}" for name, text in refusal.errors if text not in refusal.detail
    ]
    return " ".join((refusal.detail, *faults))
