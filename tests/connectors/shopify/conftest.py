from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter.clock import parse
from adapter.events import Event
from connectors.base import RawEvent, SourceSettings
from connectors.shopify import CONNECTOR

PAYLOADS = Path(__file__).parent / "payloads"
NOW = parse("2026-10-20T12:00:00Z")

Body = dict[str, Any]
Normalize = Callable[..., dict[str, list[Event]]]


@pytest.fixture
def payload() -> Callable[..., Body]:
    """Read a payload by its topic, with some fields replaced; a field set to `...` is left out."""

    def read(topic: str, **changes: Any) -> Body:
        body = {**json.loads((PAYLOADS / f"{topic.replace('/', '.')}.json").read_bytes()), **changes}
        return {field: value for field, value in body.items() if value is not ...}

    return read


@pytest.fixture
def normalize(payload: Callable[..., Body]) -> Normalize:
    """Normalize the webhook of a topic, with fields replaced, and give its events by their type."""

    def read(
        topic: str,
        *,
        now: int = NOW,
        headers: dict[str, str] | None = None,
        body: str | None = None,
        **changes: Any,
    ) -> dict[str, list[Event]]:
        told = {"x-shopify-topic": topic} if headers is None else headers
        raw = RawEvent(told, json.dumps(payload(body or topic, **changes)).encode(), now)
        events: dict[str, list[Event]] = {}
        for event in CONNECTOR.normalize(raw, SourceSettings("shop", ("hush",))):
            events.setdefault(event.type.value, []).append(event)
        return events

    return read
