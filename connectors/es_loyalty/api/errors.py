"""Refusals and headers as ES Loyalty writes them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import orjson

from adapter.web.errors import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.web.errors import Refusal

INVALID_REQUEST = "INVALID_REQUEST"
_CODES = {
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
"""What is told under a status of its own; whatever else a client does wrong is 400 INVALID_REQUEST."""

FIXED = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Strict-Transport-Security": "max-age=31536000",
    "Expect-CT": "max-age=86400",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "sameorigin",
    "X-XSS-Protection": "1;mode=block",
    "Referrer-Policy": "no-referrer",
    "Feature-Policy": "vibrate 'none'; geolocation 'none'",
    "Content-Security-Policy": "connect-src 'none';object-src 'self';script-src 'self'",
    "Access-Control-Allow-Origin": "*",
}


def refuse(refusal: Refusal) -> Answer:
    """Write a refusal as `statusCode`, `errorMessage` and `errorCode`."""
    status = refusal.status if refusal.status in _CODES else 400
    body = {
        "statusCode": status,
        "errorMessage": _message(refusal),
        "errorCode": _CODES.get(status, INVALID_REQUEST),
    }
    return Answer(status, orjson.dumps(body), headers=refusal.headers)


def _message(refusal: Refusal) -> str:
    """Return the sentence; where fields of the request are at fault, what is wrong with each."""
    if refusal.code != "request_invalid" or not refusal.errors:
        return refusal.detail
    return "; ".join(f"{field}: {why}" for field, why in refusal.errors)


def headers_of(request_id: str) -> Mapping[str, str]:
    """Return the headers of every answer: the vendor's, and our own request id under its names for one."""
    digits = request_id.removeprefix("req_")
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return {
        **FIXED,
        "x-amzn-RequestId": "-".join(parts),
        "x-amz-apigw-id": base64.b64encode(bytes.fromhex(digits)[:11]).decode(),
        "X-Amzn-Trace-Id": f"Root=1-{digits[:8]}-{digits[8:]};Sampled=0",
    }
