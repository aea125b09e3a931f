"""Signatures as Standard Webhooks 1.0 says (v1, HMAC-SHA256), over the very bytes that are sent.

`{webhook-id}.{webhook-timestamp}.{body}` is signed with every secret that is in force, newest first, so that
a receiver can exchange its secret at any moment of a rotation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random_bytes
from typing import TYPE_CHECKING

from adapter.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.catalog import EndpointSecret
    from adapter.clock import Millis

PREFIX = "whsec_"
SHORTEST_BYTES, LONGEST_BYTES = 24, 64


def headers(message_id: str, now: Millis, body: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """Return the three headers for one attempt. `keys` are decoded secrets, newest first."""
    timestamp = str(now // 1000)
    content = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signature(content, key) for key in keys),
    }


def signature(content: bytes, key: bytes) -> str:
    """Return one token: `v1,` and the padded base64 of the HMAC."""
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def in_force(secrets: Iterable[EndpointSecret], now: Millis) -> tuple[str, ...]:
    """Return all secrets that have not run out, in their order."""
    return tuple(each.secret for each in secrets if each.expires_at is None or now < each.expires_at)


def keys_in_force(secrets: Iterable[EndpointSecret], now: Millis) -> tuple[bytes, ...]:
    """Return the keys of all secrets that have not run out, in their order."""
    return tuple(decode_secret(secret) for secret in in_force(secrets, now))


def new_secret() -> str:
    """Return a fresh secret of 32 random bytes."""
    return PREFIX + base64.b64encode(random_bytes.token_bytes(32)).decode()


def decode_secret(secret: str) -> bytes:
    """Return the key of a secret. Raises `Refused` (field `secrets`) that says what is wrong with it."""
    if not secret.startswith(PREFIX):
        pasted = secret.startswith("v1,")
        hint = "leave out the 'v1,' in front" if pasted else f"it begins with '{PREFIX}'"
        raise _invalid(f"this is not a signing secret: {hint}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"what follows '{PREFIX}' must be base64 with its padding") from error
    if not SHORTEST_BYTES <= len(key) <= LONGEST_BYTES:
        raise _invalid(f"it has {len(key)} bytes; {SHORTEST_BYTES} to {LONGEST_BYTES} are allowed")
    return key


def _invalid(reason: str) -> Refused:
    return Refused(
        f"secrets: {reason}. Leave it out to have one made.", code="secret_invalid", field="secrets"
    )
