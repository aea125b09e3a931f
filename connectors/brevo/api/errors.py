"""Errors as Brevo writes them: `{"code", "message"}`.

Its SDKs send again by themselves what is answered 408, 409, 429 or 5xx. So a refusal that another attempt cannot change is
422, whatever our own API says of it; a service that is away stays 503.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from adapter.web.errors import Answer

if TYPE_CHECKING:
    from adapter.web.errors import Refusal

BAD_REQUEST, CONFLICT, UNPROCESSABLE = 400, 409, 422

WORDS = {
    401: "unauthorized",
    403: "permission_denied",
    404: "document_not_found",
    405: "method_not_allowed",
    429: "too_many_requests",
}
"""Brevo's codes of a status; any other refusal keeps our own code."""

ILL_FORMED = ("json_invalid", "endpoint_invalid")
"""What Brevo answers 400 as well: what is no request at all, and a webhook that cannot be made."""

WORDS_OF_OURS = {"request_invalid": "invalid_parameter", "json_invalid": "invalid_parameter"}


def refuse(refusal: Refusal) -> Answer:
    """Tell a refusal."""
    status = refusal.status
    if status == CONFLICT or (status == BAD_REQUEST and refusal.code not in ILL_FORMED):
        status = UNPROCESSABLE
    code = WORDS.get(status) or WORDS_OF_OURS.get(refusal.code, refusal.code)
    body = {"code": code, "message": _message(refusal)}
    return Answer(status, orjson.dumps(body), headers=refusal.headers)


def _message(refusal: Refusal) -> str:
    """Return the sentence with the fields at fault in it: Brevo has no place of their own for them."""
    faults = [f"{field}: {message}" for field, message in refusal.errors if message not in refusal.detail]
    return " ".join((refusal.detail, *faults))
