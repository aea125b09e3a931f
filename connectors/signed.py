"""Is it from this source, and is it fresh? Signed as Standard Webhooks 1.0 says: `v1`, HMAC-SHA256.

Three headers: `webhook-id`, `webhook-timestamp` (unix seconds) and `webhook-signature`, a list of tokens
`v1,<base64>` with spaces between. Signed is `<id>.<timestamp>.<body>`, on bytes. An id with a dot in it could
move the border between the three, so ids have none. Tokens of other schemes prove nothing.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from adapter.errors import ConfigurationError, SignatureInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.clock import Millis
    from connectors.base import RawEvent, SourceSettings

TOLERANCE_MS: Millis = 300_000  # what every library of the standard allows; on both sides of the clock
PREFIX = "whsec_"
SHORTEST_BYTES, LONGEST_BYTES = 24, 64

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)


def verify_body(raw: RawEvent, secrets: Sequence[str]) -> None:
    """Return if a secret signed id, time and body, and the time is near. Raises `SignatureInvalid`."""
    name = _header(raw, "webhook-id", _ID, "1 to 128 letters, digits, - or _")
    seconds = _header(raw, "webhook-timestamp", _SECONDS, "unix seconds")
    tokens = raw.headers.get("webhook-signature", "").split(" ")
    told = [token.encode("utf-8", "surrogatepass") for token in tokens if token.startswith("v1,")]
    if not told:
        raise SignatureInvalid("the header webhook-signature has no token `v1,<base64>`")
    expected = [sign(raw.body, key, name, seconds) for secret in secrets if (key := key_of(secret))]
    matches = [hmac.compare_digest(one, token) for one in expected for token in told]
    if not any(matches):
        raise SignatureInvalid("no token in webhook-signature matches one of the source's secrets")
    if abs(raw.received_at - int(seconds) * 1000) > TOLERANCE_MS:
        raise SignatureInvalid(
            "webhook-timestamp is more than five minutes away; check both machines' clocks"
        )


def _header(raw: RawEvent, name: str, form: re.Pattern[str], wanted: str) -> str:
    value = raw.headers.get(name, "")
    if not form.fullmatch(value):
        raise SignatureInvalid(f"the header {name} must be {wanted}")
    return value


def sign(body: bytes, key: bytes, name: str, seconds: str) -> bytes:
    """Return the token of a body under an id at a time."""
    digest = hmac.digest(key, f"{name}.{seconds}.".encode() + body, hashlib.sha256)
    return b"v1," + b64encode(digest)


def key_of(secret: str) -> bytes | None:
    """Return the bytes that a secret stands for, or None where it is not one that may be used."""
    if not secret.startswith(PREFIX):
        return None
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if SHORTEST_BYTES <= len(key) <= LONGEST_BYTES else None


def check_keys(settings: SourceSettings) -> None:
    """Raise `ConfigurationError` where a secret is not `whsec_` and the base64 of 24 to 64 bytes."""
    if any(key_of(secret) is None for secret in settings.secrets):
        raise ConfigurationError(
            f"Each of the `secrets` of the source `{settings.name}` must be `{PREFIX}` and the "
            f"padded base64 of {SHORTEST_BYTES} to {LONGEST_BYTES} random bytes",
            field="secrets",
        )
