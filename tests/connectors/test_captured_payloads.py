"""Every captured webhook gives events, or a reason why not; `captured.py` prints the table."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.connectors.captured import captured, outcome

if TYPE_CHECKING:
    from pathlib import Path

FOUND = captured()
pytestmark = pytest.mark.skipif(not FOUND, reason="no captured webhooks beside this checkout")

NOT_WEBHOOKS = {"gift_card.json", "orders.create.8.json"}  # answers of an API that somebody filed with them


@pytest.mark.parametrize(("platform", "path"), FOUND, ids=[f"{name}-{path.name}" for name, path in FOUND])
def test_events_or_a_reason(platform: str, path: Path) -> None:
    told = outcome(platform, path)
    assert told.detail
    assert told.kind != "rejected" or path.name in NOT_WEBHOOKS or told.topic.startswith("order.refund")


def test_most_of_them_give_events() -> None:
    kinds = Counter((name, outcome(name, path).kind) for name, path in FOUND)
    for platform in {name for name, _ in FOUND}:
        assert kinds[platform, "events"] > kinds[platform, "rejected"]
        assert kinds[platform, "events"] >= 10
