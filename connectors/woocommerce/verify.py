"""Is it from this shop? A base64 HMAC-SHA256 over the raw body, and nothing else.

WooCommerce signs neither a time nor its headers, so a captured request verifies for ever, under any topic.
What protects the book is that facts are merged by what the signed body says of its own age.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from typing import TYPE_CHECKING

from adapter.errors import SignatureInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.base import RawEvent

SIGNATURE = "x-wc-webhook-signature"

_PING = re.compile(rb"webhook_id=[0-9]{1,20}")
_CHARACTERS = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_CODES = {"34": '"', "38": "&", "39": "'", "60": "<", "62": ">"}
_HEX_CODES = {"22": '"', "26": "&", "27": "'"}
_ENTITY = re.compile(r"&(?:(lt|gt|amp|quot)|#0*(34|38|39|60|62)|#[xX]0*(22|26|27));", re.ASCII)


def verify_body(raw: RawEvent, secrets: Sequence[str]) -> None:
    """Return if one of the secrets signed the body. Raises `SignatureInvalid`."""
    told = raw.headers.get(SIGNATURE, "").strip().encode("utf-8", "surrogatepass")
    if not told:
        raise SignatureInvalid("the header X-WC-Webhook-Signature is missing")
    matches = [hmac.compare_digest(sign(raw.body, secret), told) for secret in secrets if secret]
    if not any(matches):
        raise SignatureInvalid("X-WC-Webhook-Signature matches none of the source's secrets")


def sign(body: bytes, secret: str) -> bytes:
    """Return what WooCommerce would write into the header."""
    key = decoded(secret).encode("utf-8", "surrogatepass")
    return b64encode(hmac.digest(key, body, "sha256"))


def decoded(secret: str) -> str:
    """Return the secret as the shop uses it: with the entities of `& < > " '` decoded, once.

    WordPress may keep what was typed into the form with entities (`a<b` as `a&lt;b`) and decodes it before it
    signs. Whichever of the two the operator copied, decoding gives the key. The undecoded text is never a
    key, so accepting it as well would only let a signature in that no shop makes.
    """
    return _ENTITY.sub(_character, secret) if "&" in secret else secret


def _character(entity: re.Match[str]) -> str:
    name, code, hex_code = entity.groups()
    return _CHARACTERS[name] if name else _CODES[code] if code else _HEX_CODES[hex_code]


def is_ping(raw: RawEvent) -> bool:
    """Return whether this is the unsigned form posted when a webhook is saved; it wants exactly 200."""
    kind = raw.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/x-www-form-urlencoded" and _PING.fullmatch(raw.body) is not None
