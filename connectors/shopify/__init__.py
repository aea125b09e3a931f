"""Shopify, the shop platform."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from connectors.base import RawEvent, SourceSettings, event_key
from connectors.settings import Options, check_secrets, read_options
from connectors.shopify.normalize import normalize_webhook
from connectors.shopify.topics import EVENT_TYPES, IGNORED
from connectors.shopify.verify import verify_body
from connectors.shopify.webhook import topic_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.events import Event

__all__ = ["CONNECTOR", "Shopify"]


class Shopify:
    """Orders, payments, shipments, refunds and customers of a Shopify shop. It has no options."""

    name: str = "shopify"
    event_types: Mapping[str, str] = EVENT_TYPES
    ignored: Mapping[str, str] = IGNORED

    def check_settings(self, settings: SourceSettings) -> None:
        check_secrets(settings)
        read_options(Options, settings)

    def handshake(self, raw: RawEvent) -> bool:  # noqa: ARG002 - Shopify says no hello
        return False

    def verify(self, raw: RawEvent, settings: SourceSettings) -> None:
        verify_body(raw, settings.secrets)

    def topic(self, raw: RawEvent) -> str:
        return topic_of(raw)

    def key(self, raw: RawEvent) -> bytes:
        """Digest topic and body.

        The ids in the headers are none: they are not signed, and two subscriptions deliver one event under
        two. A retry sends the very bytes of the first attempt.
        """
        return event_key(self.name, self.topic(raw), hashlib.sha256(raw.body).digest())

    def normalize(self, raw: RawEvent, settings: SourceSettings) -> tuple[Event, ...]:  # noqa: ARG002 - no options
        return normalize_webhook(raw, self.topic(raw))


CONNECTOR = Shopify()
