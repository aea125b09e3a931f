"""Bodies of real accounts, kept outside the repository; skipped where they are not at hand."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from adapter.clock import parse
from adapter.errors import Ignored
from connectors.base import RawEvent, SourceSettings
from connectors.stripe import CONNECTOR

CAPTURED = Path(__file__).parents[3].parent / "shared" / "fixtures" / "stripe"
BODIES = sorted(path for path in CAPTURED.glob("*.json") if not path.name.endswith(".headers.json"))

pytestmark = pytest.mark.skipif(not BODIES, reason="no captured webhooks beside this checkout")


@pytest.mark.parametrize("options", [{}, {"order_field": "order_id"}, {"payments_only": True}], ids=str)
@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_a_captured_event_gives_events_or_a_reason(path: Path, options: dict[str, object]) -> None:
    raw = RawEvent({}, path.read_bytes(), parse("2026-11-21T00:00:00Z"))
    settings = SourceSettings("stripe", ("whsec_1",), options)
    if not options and CONNECTOR.topic(raw) in CONNECTOR.event_types:
        assert CONNECTOR.normalize(raw, settings)
        return
    with contextlib.suppress(Ignored):
        assert CONNECTOR.normalize(raw, settings)


def test_no_captured_event_is_rejected() -> None:
    known = {CONNECTOR.topic(RawEvent({}, path.read_bytes(), 0)) for path in BODIES}
    assert len(known) > 20
    assert "unknown" not in known
