"""Is it from this shop? A base64 HMAC-SHA256 over the raw body, and nothing else.

Shopify signs neither a time nor its headers, so a captured request verifies for ever, under any topic. What
protects the book is that facts are merged by what the signed body says of itself.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import TYPE_CHECKING

from adapter.errors import SignatureInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.base import RawEvent


def header(raw: RawEvent, name: str) -> str:
    """Return a header of Shopify's; newer deliveries leave the `X-` away. Empty where there is none."""
    return raw.headers.get(f"x-shopify-{name}") or raw.headers.get(f"shopify-{name}") or ""


def verify_body(raw: RawEvent, secrets: Sequence[str]) -> None:
    """Return if one of the secrets signed the body. Raises `SignatureInvalid`."""
    told = header(raw, "hmac-sha256").strip(" \t").encode("utf-8", "surrogatepass")
    if not told:
        raise SignatureInvalid("the header X-Shopify-Hmac-SHA256 is missing")
    matches = [hmac.compare_digest(sign(raw.body, secret), told) for secret in secrets if secret]
    if not any(matches):
        raise SignatureInvalid(
            "X-Shopify-Hmac-SHA256 matches none of the source's secrets. An app's webhooks are signed with "
            "its client secret, those of the shop's admin with the secret shown there under Notifications"
        )


def sign(body: bytes, secret: str) -> bytes:
    """Return what Shopify would write into the header."""
    return b64encode(hmac.new(secret.encode("utf-8", "surrogatepass"), body, hashlib.sha256).digest())
