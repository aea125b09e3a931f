"""What a connector is: the code that knows one outside shop platform, and nothing else.

A connector answers two questions about a webhook, `verify` (is it from them?) and `normalize` (what does it say?), and
names what it ignores. It does no I/O, asks no clock and knows no database: bytes and headers in, events out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from adapter.clock import Millis

if TYPE_CHECKING:
    from adapter.events import Event


class RawEvent(msgspec.Struct, frozen=True, gc=False):
    """One webhook as it came over the wire. Header names are lower-case; `body` is never re-encoded."""

    headers: Mapping[str, str]
    body: bytes
    received_at: Millis


class SourceSettings(msgspec.Struct, frozen=True, gc=False):
    """What the operator configured for a source, as far as a connector may see it.

    `secrets` are all currently valid; during a rotation there are several. `options` are the connector's own
    settings, checked by its `options_model` when they are applied.
    """

    name: str
    secrets: Sequence[str]
    options: Mapping[str, Any] = {}


def event_key(*parts: str | bytes) -> bytes:
    """Digest delimited parts: `("1", "23")` and `("12", "3")` never give the same key."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()


class Connector(Protocol):
    """The contract, checked for every connector by `tests/connectors/test_conformance.py`."""

    name: str
    event_types: Mapping[str, str]
    """The platform's topics that are understood, each with what becomes of it, in a few words."""
    ignored: Mapping[str, str]
    """The platform's topics that are known and have nothing to do with points, each with the reason."""

    def check_settings(self, settings: SourceSettings) -> None:
        """Raise `ConfigurationError` (naming the field) where secrets or options cannot be used."""

    def handshake(self, raw: RawEvent) -> bool:
        """Return whether this is the platform's unsigned hello, to be answered 200 without any effect."""

    def verify(self, raw: RawEvent, settings: SourceSettings) -> None:
        """Return if one of the secrets signed these very bytes.

        Raises `SignatureInvalid` for everything else, hostile headers included; never any other error.
        """

    def topic(self, raw: RawEvent) -> str:
        """Return the platform's name for this webhook, `unknown` if it says none; never raises."""

    def key(self, raw: RawEvent) -> bytes:
        """Return the 32-byte digest by which a repeat of this webhook is recognized; never raises."""

    def normalize(self, raw: RawEvent, settings: SourceSettings) -> tuple[Event, ...]:
        """Return the events.

        Raises `Ignored` for what has nothing to do with points and `Rejected` (with a reason that a person
        understands) for what cannot be read; never any other error, whatever the bytes are.
        """
