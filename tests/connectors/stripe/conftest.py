from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter.clock import parse
from adapter.events import Event
from connectors.base import RawEvent, SourceSettings
from connectors.stripe import CONNECTOR

PAYLOADS = Path(__file__).parent / "payloads"
NOON = parse("2026-10-05T12:00:00Z")

Body = dict[str, Any]
Normalize = Callable[..., tuple[Event, ...]]


@pytest.fixture
def body() -> Callable[..., Body]:
    """Read an event by its type, with fields of its object replaced, or of the event itself (`event=`)."""

    def read(kind: str, *, event: Mapping[str, Any] | None = None, **changes: Any) -> Body:
        told: Body = json.loads((PAYLOADS / f"{kind}.json").read_bytes())
        if changes:
            told["data"]["object"].update(changes)
        return {**told, **(event or {})}

    return read


@pytest.fixture
def normalize(body: Callable[..., Body]) -> Normalize:
    """Normalize an event of a type, received at noon of 5 October 2026, for a source with some options."""

    def read(kind: str, *, options: Mapping[str, Any] | None = None, **changes: Any) -> tuple[Event, ...]:
        raw = RawEvent({}, json.dumps(body(kind, **changes)).encode(), NOON)
        return CONNECTOR.normalize(raw, SourceSettings("stripe", ("whsec_1",), options or {}))

    return read
