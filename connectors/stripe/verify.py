"""Is it from Stripe, and is it fresh? `Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>…]`.

The signature is a hex HMAC-SHA256 over `t.body`, and the key is the whole secret, `whsec_` included. While a
secret is rotated Stripe sends one `v1` per secret. Other schemes are no proof: `v0` is there to be ignored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from adapter.errors import SignatureInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.clock import Millis
    from connectors.base import RawEvent

SIGNATURE = "stripe-signature"
TOLERANCE_MS: Millis = (
    300_000  # Stripe's own libraries allow five minutes; we do so on both sides of the clock
)

_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)


def verify_body(raw: RawEvent, secrets: Sequence[str]) -> None:
    """Return if one of the secrets signed body and time, and the time is near. Raises `SignatureInvalid`."""
    seconds, told = _parts(raw.headers.get(SIGNATURE, ""))
    matches = [
        hmac.compare_digest(sign(raw.body, secret, seconds), signature)
        for secret in secrets
        if secret
        for signature in told
    ]
    if not any(matches):
        raise SignatureInvalid("no v1 signature in Stripe-Signature matches one of the source's secrets")
    if abs(raw.received_at - int(seconds) * 1000) > TOLERANCE_MS:
        raise SignatureInvalid(
            "the time in Stripe-Signature is more than five minutes away; check the machine's clock"
        )


def sign(body: bytes, secret: str, seconds: str) -> bytes:
    """Return the `v1` signature of a body at a time."""
    signed = seconds.encode() + b"." + body
    return hmac.new(secret.encode("utf-8", "surrogatepass"), signed, hashlib.sha256).hexdigest().encode()


def _parts(header: str) -> tuple[str, list[bytes]]:
    items = [item.strip().partition("=") for item in header.split(",")]
    times = [value for scheme, _, value in items if scheme == "t"]
    told = [value.encode("utf-8", "surrogatepass") for scheme, _, value in items if scheme == "v1" and value]
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]):
        raise SignatureInvalid("Stripe-Signature needs exactly one t=<unix seconds>")
    if not told:
        raise SignatureInvalid("Stripe-Signature has no v1 signature")
    return times[0], told
