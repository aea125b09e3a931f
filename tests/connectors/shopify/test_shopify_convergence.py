"""The webhooks of one order end in the same facts in any order, and whatever is in them is survived."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.book.facts import NO_FACTS, Facts, merge
from adapter.errors import Ignored, Rejected
from connectors.base import RawEvent, SourceSettings
from connectors.shopify import CONNECTOR

SETTINGS = SourceSettings("shop", ("hush",))
NOW = 1_792_497_600_000  # 2026-10-20T12:00:00Z
PAYLOADS = {
    path.stem.replace(".", "/"): path.read_text()
    for path in (Path(__file__).parent / "payloads").glob("*.json")
}
OF_THE_ORDER = sorted(topic for topic in PAYLOADS if not topic.startswith("customers"))
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["9" * 400, 10**60, -1, "success", "refund", "fulfilled", [], {}, [[]], [{}]]),
)


def facts_of(topics: list[str]) -> Facts:
    facts = NO_FACTS
    for topic in topics:
        raw = RawEvent({"x-shopify-topic": topic}, PAYLOADS[topic].encode(), NOW)
        for event in CONNECTOR.normalize(raw, SETTINGS):
            facts = merge(facts, "shop", event)
    return facts


ONCE_EACH = facts_of(OF_THE_ORDER)


@given(st.permutations(OF_THE_ORDER), st.lists(st.sampled_from(OF_THE_ORDER), max_size=5))
def test_any_order_and_any_repeat_end_in_the_same_facts(topics: list[str], again: list[str]) -> None:
    assert facts_of([*topics, *again]) == ONCE_EACH


def test_the_last_word_of_each_fact_counts() -> None:
    shop = ONCE_EACH.sources["shop"]
    assert shop.totals is not None
    assert set(shop.payments) == {"501", "order:5501001"}
    assert set(shop.shipments) == {"301", "302", "order:5501001"}
    assert shop.shipments["301"].cancelled
    assert set(shop.refunds) == {"401"}
    assert shop.cancellation is not None


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the path of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, child in inside for found in ((*path, key), *places(child, (*path, key)))]


@settings(max_examples=400)
@given(data=st.data())
def test_junk_anywhere_gives_events_or_a_reason(data: st.DataObject) -> None:
    topic = data.draw(st.sampled_from(sorted(PAYLOADS)))
    body = json.loads(PAYLOADS[topic])
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from(places(body)))
        thing = body
        for key in parents:
            thing = thing[key]
        thing[last] = copy.deepcopy(data.draw(JUNK))  # a later step may change it
    raw = RawEvent({"x-shopify-topic": topic}, json.dumps(body).encode(), NOW)
    with contextlib.suppress(Ignored, Rejected):
        assert CONNECTOR.normalize(raw, SETTINGS)
