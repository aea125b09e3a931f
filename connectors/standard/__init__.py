"""Everybody else: our own events as JSON, signed as Standard Webhooks says. `schema.json` is the format."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from adapter.errors import Rejected
from connectors.base import RawEvent, SourceSettings, event_key
from connectors.payload import read_json
from connectors.settings import Options, check_secrets, read_options
from connectors.signed import check_keys, verify_body
from connectors.standard.normalize import normalize_webhook
from connectors.standard.topics import EVENT_TYPES, IGNORED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.events import Event

__all__ = ["CONNECTOR", "Standard"]


class Standard:
    """Any shop that can post JSON. It has no options."""

    name: str = "standard"
    event_types: Mapping[str, str] = EVENT_TYPES
    ignored: Mapping[str, str] = IGNORED

    def check_settings(self, settings: SourceSettings) -> None:
        check_secrets(settings)
        check_keys(settings)
        read_options(Options, settings)

    def handshake(self, raw: RawEvent) -> bool:  # noqa: ARG002 - the standard has no hello
        return False

    def verify(self, raw: RawEvent, settings: SourceSettings) -> None:
        verify_body(raw, settings.secrets)

    def topic(self, raw: RawEvent) -> str:
        try:
            told = read_json(raw.body).get("type")
        except Rejected:
            return "unknown"
        return told if isinstance(told, str) and told else "unknown"

    def key(self, raw: RawEvent) -> bytes:
        """Digest the signed id, which stays the same in every repeat; the body where there is none."""
        name = raw.headers.get("webhook-id")
        return event_key(self.name, name or hashlib.sha256(raw.body).digest())

    def normalize(self, raw: RawEvent, settings: SourceSettings) -> tuple[Event, ...]:  # noqa: ARG002 - no options
        return normalize_webhook(raw)


CONNECTOR = Standard()
