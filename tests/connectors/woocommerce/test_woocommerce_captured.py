"""Bodies of real shops, kept outside the repository; skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.clock import parse
from adapter.errors import Ignored, Rejected
from connectors.base import RawEvent, SourceSettings
from connectors.woocommerce import CONNECTOR

CAPTURED = Path(__file__).parents[3].parent / "shared" / "fixtures" / "woocommerce"
BODIES = sorted(path for path in CAPTURED.glob("*.json") if not path.name.endswith(".headers.json"))

pytestmark = pytest.mark.skipif(not BODIES, reason="no captured webhooks beside this checkout")


def topic_of(path: Path) -> str:
    return ".".join(part for part in path.stem.split(".") if not part.isdigit())


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_a_captured_body_gives_events_or_a_reason(path: Path) -> None:
    topic = topic_of(path)
    raw = RawEvent({"x-wc-webhook-topic": topic}, path.read_bytes(), parse("2026-11-21T00:00:00Z"))
    settings = SourceSettings("shop", ("hush",))
    if topic in CONNECTOR.event_types:
        assert CONNECTOR.normalize(raw, settings)
        return
    with pytest.raises((Ignored, Rejected)) as refused:
        CONNECTOR.normalize(raw, settings)
    assert refused.value.message


def test_the_captured_ping_is_a_handshake() -> None:
    body = (CAPTURED / "ping.form.txt").read_bytes()
    assert CONNECTOR.handshake(RawEvent({"content-type": "application/x-www-form-urlencoded"}, body, 0))
