from __future__ import annotations

import inspect
import re

import pytest
from stripe.params import _webhook_endpoint_create_params as official

from connectors.stripe.topics import EVENT_TYPES, IGNORED
from connectors.topics import reason_to_ignore

TYPES = sorted(set(re.findall(r'"([a-z_0-9]+(?:\.[a-z_0-9]+)+)"', inspect.getsource(official))))


def test_the_official_package_lists_its_types() -> None:
    assert len(TYPES) > 200
    assert "payment_intent.succeeded" in TYPES


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_that_one_can_subscribe_to_is_understood_or_ignored_with_a_reason(kind: str) -> None:
    assert kind in EVENT_TYPES or reason_to_ignore(IGNORED, kind)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("a.b", "exact"),
        ("a.c", "family"),
        ("a.c.d", "family"),
        ("a", None),
        ("ab.c", None),
        ("b.c", None),
        ("a.*", "family"),
    ],
)
def test_a_star_stands_for_all_that_begin_so(topic: str, reason: str | None) -> None:
    assert reason_to_ignore({"a.b": "exact", "a.*": "family"}, topic) == reason
