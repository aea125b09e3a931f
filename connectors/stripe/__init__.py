"""Stripe, the payment provider: as a shop of its own, or as the one who tells of a shop's payments."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from adapter.errors import Rejected
from connectors.base import RawEvent, SourceSettings, event_key
from connectors.payload import read_json
from connectors.settings import check_secrets, read_options
from connectors.stripe.normalize import normalize_webhook
from connectors.stripe.notice import StripeOptions
from connectors.stripe.topics import EVENT_TYPES, IGNORED
from connectors.stripe.verify import verify_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.events import Event
    from connectors.base import Connector

__all__ = ["CONNECTOR", "Stripe"]


class Stripe:
    """Payments, refunds, disputes and customers of a Stripe account, by its snapshot events.

    Stripe knows nothing of shipments: a program that awards on them needs a second source that tells of them.
    """

    name: str = "stripe"
    event_types: Mapping[str, str] = EVENT_TYPES
    ignored: Mapping[str, str] = IGNORED

    def check_settings(self, settings: SourceSettings) -> None:
        check_secrets(settings)
        read_options(StripeOptions, settings)

    def handshake(self, raw: RawEvent) -> bool:  # noqa: ARG002 - Stripe says no hello
        return False

    def verify(self, raw: RawEvent, settings: SourceSettings) -> None:
        verify_body(raw, settings.secrets)

    def topic(self, raw: RawEvent) -> str:
        return _text(raw, "type") or "unknown"

    def key(self, raw: RawEvent) -> bytes:
        """Digest event id and type, which stay the same in every repeat; of what cannot be read, the body."""
        event, kind = _text(raw, "id"), _text(raw, "type")
        if event and kind:
            return event_key(self.name, event, kind)
        return event_key(self.name, hashlib.sha256(raw.body).digest())

    def normalize(self, raw: RawEvent, settings: SourceSettings) -> tuple[Event, ...]:
        return normalize_webhook(raw, read_options(StripeOptions, settings))


def _text(raw: RawEvent, field: str) -> str | None:
    try:
        told = read_json(raw.body).get(field)
    except Rejected:
        return None
    return told if isinstance(told, str) else None


CONNECTOR: Connector = Stripe()
