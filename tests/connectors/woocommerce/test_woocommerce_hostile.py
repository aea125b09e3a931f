"""Whatever stands where something else was expected, there is an answer, and never an accident."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import Ignored, Rejected
from adapter.events import Event
from connectors.base import RawEvent, SourceSettings
from connectors.woocommerce import CONNECTOR
from tests.connectors.junk import spoiled

PAYLOADS = {path.stem: path.read_text() for path in (Path(__file__).parent / "payloads").glob("*.json")}


@settings(max_examples=400)
@given(data=st.data())
def test_junk_anywhere_gives_events_or_a_reason(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(PAYLOADS)))
    raw = RawEvent({"x-wc-webhook-topic": kind}, spoiled(data, PAYLOADS[kind]), 1_791_201_600_000)
    assert len(CONNECTOR.key(raw)) == 32
    with contextlib.suppress(Ignored, Rejected):
        events = CONNECTOR.normalize(raw, SourceSettings("shop", ("hush",)))
        assert events
        assert all(isinstance(event, Event) for event in events)


@given(body=st.binary(max_size=200), kind=st.sampled_from(sorted(CONNECTOR.event_types)))
def test_noise_is_rejected(body: bytes, kind: str) -> None:
    raw = RawEvent({"x-wc-webhook-topic": kind}, body, 0)
    assert CONNECTOR.topic(raw)
    with pytest.raises((Ignored, Rejected)):
        CONNECTOR.normalize(raw, SourceSettings("shop", ("hush",)))
