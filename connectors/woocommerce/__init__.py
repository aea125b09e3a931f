"""WooCommerce, the shop plugin of WordPress."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from connectors.base import RawEvent, SourceSettings, event_key
from connectors.settings import Options, check_secrets, read_options
from connectors.woocommerce.normalize import normalize_webhook
from connectors.woocommerce.topics import EVENT_TYPES, IGNORED
from connectors.woocommerce.verify import is_ping, verify_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.events import Event
    from connectors.base import Connector

__all__ = ["CONNECTOR", "WooCommerce"]

TOPIC = "x-wc-webhook-topic"


class WooCommerce:
    """Orders and customers of a WooCommerce shop, by the webhooks of its REST API v3. It has no options."""

    name: str = "woocommerce"
    event_types: Mapping[str, str] = EVENT_TYPES
    ignored: Mapping[str, str] = IGNORED

    def check_settings(self, settings: SourceSettings) -> None:
        check_secrets(settings)
        read_options(Options, settings)

    def handshake(self, raw: RawEvent) -> bool:
        return is_ping(raw)

    def verify(self, raw: RawEvent, settings: SourceSettings) -> None:
        verify_body(raw, settings.secrets)

    def topic(self, raw: RawEvent) -> str:
        return raw.headers.get(TOPIC, "").strip().lower() or "unknown"

    def key(self, raw: RawEvent) -> bytes:
        """Digest topic and body. The shop's delivery id is none: two deliveries of one second share it."""
        return event_key(self.name, self.topic(raw), hashlib.sha256(raw.body).digest())

    def normalize(self, raw: RawEvent, settings: SourceSettings) -> tuple[Event, ...]:  # noqa: ARG002 - no options
        return normalize_webhook(raw, self.topic(raw))


CONNECTOR: Connector = WooCommerce()
