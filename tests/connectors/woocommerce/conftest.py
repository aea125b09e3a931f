from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter.clock import parse
from adapter.events import Event
from connectors.base import RawEvent, SourceSettings
from connectors.woocommerce import CONNECTOR

PAYLOADS = Path(__file__).parent / "payloads"
NOON = parse("2026-10-05T12:00:00Z")
SETTINGS = SourceSettings("shop", ("hush",))

Webhook = Callable[..., RawEvent]
Normalize = Callable[..., tuple[Event, ...]]


@pytest.fixture
def payload() -> Callable[..., dict[str, Any]]:
    """Read a payload by its topic, with some fields replaced."""

    def read(topic: str, **changes: Any) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((PAYLOADS / f"{topic}.json").read_bytes())
        return {**body, **changes}

    return read


@pytest.fixture
def webhook(payload: Callable[..., dict[str, Any]]) -> Webhook:
    """Build the webhook of a topic, received at noon of 5 October 2026."""

    def build(topic: str, **changes: Any) -> RawEvent:
        body = json.dumps(payload(topic, **changes)).encode()
        return RawEvent({"x-wc-webhook-topic": topic}, body, NOON)

    return build


@pytest.fixture
def normalize(webhook: Webhook) -> Normalize:
    """Normalize the webhook of a topic, with some of its fields replaced."""

    def read(topic: str, **changes: Any) -> tuple[Event, ...]:
        return CONNECTOR.normalize(webhook(topic, **changes), SETTINGS)

    return read
