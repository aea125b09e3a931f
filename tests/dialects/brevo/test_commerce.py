"""Orders and events through Brevo's API: events of a source of ours, durable when they are answered, and read again."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import select, update

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.intake import reading
from adapter.store import tables as t
from connectors import CONNECTORS
from tests.shop import NOW, enrol
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.web.conftest import Web

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def brevo(web: Web) -> Web:
    """A source `brevo`, and a contact 12345 with the subscription `cust_abc123`."""
    with web.engine.begin() as connection:
        values = {"env": 1, "name": "brevo", "connector": "brevo", "program": "main", "orders_of": "brevo"}
        secrets = orjson.dumps([SECRET]).decode()
        connection.execute(t.sources.insert().values(**values, secrets=secrets, options="{}"))
        connection.execute(update(t.configuration).values(version=t.configuration.c.version + 1))
    web.use(connectors=CONNECTORS)
    web.play(enrol(7, customer=("brevo", "12345"), also=(("brevo", "cust_abc123"),)))
    return web


@pytest.fixture
def shop(web: Web) -> Web:
    return brevo(web)


@pytest.fixture
def sqlite_shop(sqlite_web: Web) -> Web:
    return brevo(sqlite_web)


def order(number: int, status: str, hour: int = 10, **more: Any) -> dict[str, Any]:
    body = {
        "id": f"{number}",
        "createdAt": "2026-11-17T09:00:00Z",
        "updatedAt": f"2026-11-17T{hour}:00:00Z",
        "status": status,
        "amount": 108.5,
        "products": [{"productId": "P1", "quantity": 10, "price": 10}],
        "identifiers": {"loyalty_subscription_id": "cust_abc123"},
    }
    return {**body, **more}


def post(web: Web, path: str, body: Any, status: int = 204) -> Any:
    answer: TestResponse = web.client.post(path, json=body, headers={"api-key": TOKEN})
    assert answer.status_code == status, answer.get_data(as_text=True)
    return orjson.loads(answer.data) if answer.data else None


def available(web: Web) -> int:
    return int(web.get("/v1/members/brevo:12345/balance")["available"])


def states(web: Web) -> list[tuple[str, str]]:
    with web.engine.connect() as connection:
        columns = t.events.c
        rows = connection.execute(
            select(columns.topic, columns.state).where(columns.source == "brevo").order_by(columns.id)
        )
        return [(row.topic, row.state) for row in rows]


def sound(web: Web) -> None:
    assert audit(web.engine) == []
    assert rebuild(web.engine, reading(CONNECTORS)) == []


def test_an_order_earns_when_it_is_completed(shop: Web) -> None:
    """100 of 108.50 are products: pending when placed, there when completed, taken back when refunded."""
    for hour, (status, points) in enumerate([("placed", 0), ("completed", 100), ("refunded", 0)], 10):
        post(shop, "/v3/orders/status", order(14, status, hour))
        assert available(shop) == points
    post(shop, "/v3/orders/status", order(14, "completed", 11))  # once more, late
    assert available(shop) == 0
    assert states(shop) == [("order", "applied")] * 3
    sound(shop)


def test_a_batch_of_orders_is_durable_when_it_is_answered(shop: Web) -> None:
    orders = [order(number, "completed") for number in range(25)]
    answer = post(shop, "/v3/orders/status/batch", {"orders": orders}, 202)
    assert answer["count"] == 25
    assert 0 < answer["batch_id"] < 2**53
    assert available(shop) == 2500
    post(shop, "/v3/orders/status/batch", {"orders": orders}, 202)
    assert available(shop) == 2500
    sound(shop)


def test_historical_orders_are_kept_and_earn_nothing(sqlite_shop: Web) -> None:
    post(sqlite_shop, "/v3/orders/status/batch", {"orders": [order(1, "completed")], "historical": True}, 202)
    assert available(sqlite_shop) == 0
    assert states(sqlite_shop) == [("order", "ignored")]
    sound(sqlite_shop)


def test_events_say_the_same(shop: Web) -> None:
    who = {"identifiers": {"contact_id": 12345}, "event_date": "2026-11-17T10:00:00Z"}
    bought = {"order_id": 14, "amount": 100, "products": [{"productId": "P1", "price": 100}]}
    post(shop, "/v3/events", {"event_name": "order_shipped", **who, "event_properties": {"order_id": 14}})
    assert available(shop) == 0  # nothing is known of it yet
    post(shop, "/v3/events", {"event_name": "order_placed", **who, "event_properties": bought})
    assert available(shop) == 100
    some = [
        {
            "event_name": "order_refunded",
            **who,
            "event_properties": {"order_id": 14, "amount": 30, "refund_id": "r"},
        },
        {"event_name": "page_viewed", **who},
        {"event_name": "planet_aligned", **who},
    ]
    answer = post(shop, "/v3/events/batch", {"events": some}, 202)
    assert answer == {"message": "The events are taken in.", "count": 3}
    assert available(shop) == 70
    assert sorted(states(shop)[2:]) == [
        ("order_refunded", "applied"),
        ("page_viewed", "ignored"),
        ("planet_aligned", "rejected"),
    ]
    sound(shop)


REFUSED = [
    ("/v3/orders/status", order(1, "lost"), "status"),
    ("/v3/orders/status", order(1, "placed", amount="many"), "amount"),
    ("/v3/orders/status", order(1, "placed", id=""), "id"),
    ("/v3/orders/status", {}, "nothing is known"),
    ("/v3/orders/status/batch", {"orders": [order(1, "placed"), order(2, "lost")]}, "orders[1].`status`"),
    (
        "/v3/orders/status/batch",
        {"orders": [order(1, "placed")], "notifyUrl": "https://x.example"},
        "notifyUrl",
    ),
    ("/v3/events", {"event_name": "order_paid", "identifiers": {}}, "event_properties.order_id"),
]


@pytest.mark.parametrize(("path", "body", "named"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_read_is_refused_by_name_and_nothing_of_it_is_kept(
    sqlite_shop: Web, path: str, body: dict[str, Any], named: str
) -> None:
    refused = post(sqlite_shop, path, body, 400)
    assert refused["code"] == "invalid_parameter"
    assert named in refused["message"]
    assert states(sqlite_shop) == []


@pytest.mark.parametrize("body", [{"orders": []}, {"orders": [order(1, "placed")] * 1001}, {}])
def test_a_batch_has_1_to_1000_orders(sqlite_shop: Web, body: dict[str, Any]) -> None:
    assert "orders" in post(sqlite_shop, "/v3/orders/status/batch", body, 422)["message"]


def test_without_a_source_it_says_what_to_apply(sqlite_web: Web) -> None:
    refused = post(sqlite_web, "/v3/orders/status", order(1, "placed"), 422)
    assert "[[tenants.sources]]" in refused["message"]
    assert sqlite_web.now == NOW
