"""From the webhooks of real platforms to what becomes of the redemption that they name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapter import ids
from adapter.engine.audit import audit
from connectors import CONNECTORS
from connectors.base import RawEvent, SourceSettings
from tests.engine.test_convergence import fresh
from tests.engine.test_linking import furnish, states
from tests.engine.test_redemptions import FIRST, MAIN
from tests.shop import NOW, play, recorded

PAYLOADS = Path(__file__).parent
TOPIC = {"shopify": "x-shopify-topic", "woocommerce": "x-wc-webhook-topic"}
ID = ids.show("rdm", FIRST)
SHOPIFY = {"discount_codes": [{"code": "code-50", "amount": "5.00", "type": "fixed_amount"}]}
WOO = {"coupon_lines": [{"id": 1, "code": "code-50"}]}
STRIPE = {"metadata": {"redemption": "CODE-50"}}

TOLD: list[tuple[str, list[str], dict[str, Any], str]] = [
    # platform, webhooks, what they name the redemption by → its state
    ("shopify", ["orders/create"], SHOPIFY, "pending"),
    ("shopify", ["orders/create", "orders/paid"], SHOPIFY, "applied"),
    ("shopify", ["orders/create", "orders/cancelled"], SHOPIFY, "released"),
    ("shopify", ["orders/create", "orders/paid"], {"discount_codes": []}, "pending"),
    ("woocommerce", ["order.created"], WOO, "pending"),
    ("woocommerce", ["order.updated"], WOO, "applied"),  # its snapshot says when it was paid
    ("stripe", ["payment_intent.succeeded"], STRIPE, "applied"),
    ("stripe", ["payment_intent.succeeded"], {"metadata": {"redemption": ID}}, "applied"),
    ("stripe", ["payment_intent.payment_failed"], STRIPE, "released"),  # a declined card
    ("stripe", ["payment_intent.payment_failed", "payment_intent.succeeded"], STRIPE, "applied"),
    ("stripe", ["payment_intent.canceled"], STRIPE, "released"),
    ("stripe", ["checkout.session.expired"], {**STRIPE, "payment_intent": "pi_1"}, "released"),
    ("stripe", ["payment_intent.succeeded"], {"metadata": {}}, "pending"),
]


def events_of(platform: str, topic: str, changes: dict[str, Any]) -> Any:
    """Return what a platform's webhook becomes, with some fields of its order or payment replaced."""
    path = PAYLOADS / platform / "payloads" / f"{topic.replace('/', '.')}.json"
    body: dict[str, Any] = json.loads(path.read_bytes())
    (body["data"]["object"] if platform == "stripe" else body).update(changes)
    headers = {TOPIC[platform]: topic} if platform in TOPIC else {}
    settings = SourceSettings("shop", ("hush",))
    return CONNECTORS[platform].normalize(RawEvent(headers, json.dumps(body).encode(), NOW), settings)


@pytest.mark.parametrize(("platform", "topics", "changes", "state"), TOLD, ids=range(len(TOLD)))
@pytest.mark.parametrize("backwards", [False, True])
def test_a_platform_names_the_redemption(
    platform: str, topics: list[str], changes: dict[str, Any], state: str, backwards: bool
) -> None:
    with fresh(MAIN) as engine:
        member = furnish(engine)
        told = [recorded(*events_of(platform, topic, changes)) for topic in topics]
        play(engine, told[::-1] if backwards else told)
        found, _, reserved = states(engine, member)  # what the order itself earned is no concern here
        assert (found, reserved) == (state, 500 if state == "pending" else 0)
        assert audit(engine) == []


def test_a_redemption_that_is_not_there_is_logged_and_nothing_else() -> None:
    with fresh(MAIN) as engine, capture_logs() as logs:
        member = furnish(engine)
        nobodys = {"metadata": {"redemption": ids.show("rdm", 999)}}
        (outcome,) = play(engine, [recorded(*events_of("stripe", "payment_intent.succeeded", nobodys))])
        assert outcome.state == "applied"
        assert states(engine, member) == ("pending", 500, 500)
    assert [log["redemption"] for log in logs if "redemption" in log] == [999]
