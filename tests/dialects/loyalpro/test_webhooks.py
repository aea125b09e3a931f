"""LoyalPro's webhooks: which change is told as which event, in which envelope, signed how."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from adapter.store import tables as t
from connectors.loyalpro.vendor import VENDOR, sign
from connectors.vendor import Parcelled
from tests.dialects.test_formats import endpoint
from tests.shop import DAY, NOW, member_of, placed, recorded, refunded, shipped, turn

if TYPE_CHECKING:
    from tests.dialects.loyalpro.conftest import Shop


def listening(shop: Shop) -> None:
    with shop.web.engine.begin() as connection:
        connection.execute(insert(t.endpoints), [endpoint(7, "loyalpro", "*")])
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


def heard(shop: Shop) -> list[dict[str, Any]]:
    """Return the events that were told, oldest first, each with its envelope held to shape."""
    m = t.messages.c
    query = select(m.type, m.body).where(m.format == "loyalpro").order_by(m.id)
    with shop.web.engine.connect() as connection:
        rows = connection.execute(query).all()
    events = []
    for row in rows:
        event = json.loads(row.body)["event"]
        assert set(event) == {"id", "type", "created_at", "data"}
        assert (event["type"], event["id"][:4]) == (row.type, "msg_")
        assert event["data"]["customer_id"].startswith("cus_")
        events.append(event)
    return events


def told(shop: Shop) -> list[tuple[str, Any]]:
    return [(event["type"], event["data"].get("points")) for event in heard(shop)]


def test_a_customers_life_is_told(each_shop: Shop) -> None:
    shop = each_shop
    listening(shop)
    customer = shop.post("/customers", {"external_id": "u-1", "email": "jo@example.com"})["id"]
    shop.ask("PATCH", f"/customers/{customer}", {"name": "Jo"})
    shop.post("/points/award", {"customer_id": customer, "points": 1200})
    shop.ask("DELETE", f"/customers/{customer}")
    events = heard(shop)
    assert {event["data"]["customer_id"] for event in events} == {customer}
    assert {event["data"]["external_id"] for event in events} == {"u-1"}
    assert sorted(event["type"] for event in events) == [
        "customer.created", "customer.deleted", "customer.tier_changed", "customer.updated", "points.earned",
    ]  # fmt: skip
    tier = next(event["data"] for event in events if event["type"] == "customer.tier_changed")
    assert (tier["tier"], tier["previous_tier"]) == ("gold", "basic")


def test_points_that_are_redeemed_given_back_and_over_are_told(shop: Shop) -> None:
    customer = shop.customer(600)
    listening(shop)
    member = customer.replace("cus_", "mem_")
    first = shop.post("/points/redeem", {"customer_id": customer, "reward_id": "off1000"})
    shop.post(f"/redemptions/{first['id']}/cancel", {}, status=200)
    shop.web.post(
        "/v1/transactions", {"member": member, "type": "debit", "amount": 50, "complete": True}, status=201
    )
    events = heard(shop)
    assert told(shop) == [("points.redeemed", 200), ("points.adjusted", 200), ("points.adjusted", -50)]
    data = events[0]["data"]
    assert (data["code"], data["reward_id"]) == (first["code"], "off1000")
    assert (data["discount_amount_minor"], data["currency"]) == (100_000, "NGN")


def test_points_that_ran_out_are_told(shop: Shop) -> None:
    customer = shop.customer()
    shop.post("/points/award", {"customer_id": customer, "points": 30, "expires_at": "2026-11-19T00:00:00Z"})
    listening(shop)
    shop.web.now += 2 * DAY
    shop.post("/points/award", {"customer_id": customer, "points": 1})
    assert sorted(told(shop)) == [("points.earned", 1), ("points.expired", 30)]


def test_a_purchase_is_completed_and_refunded(each_shop: Shop) -> None:
    """89 points for 89.99; 30.00 refunded keep floor(89 * 59.99 / 89.99) = 59: 30 are taken back."""
    shop = each_shop
    listening(shop)
    shop.web.play(recorded(placed()))
    shop.web.play(recorded(shipped()))
    shop.web.play(recorded(refunded()))
    events = {event["type"]: event["data"] for event in heard(shop)}
    assert set(events) == {
        "customer.created", "points.earned", "transaction.completed", "transaction.refunded", "points.adjusted",
    }  # fmt: skip
    assert (events["points.adjusted"]["points"], events["points.adjusted"]["order_id"]) == (-30, "1001")
    done = events["transaction.completed"]
    assert (done["order_id"], done["points"]) == ("1001", 89)
    assert events["transaction.refunded"]["order_id"] == "1001"
    assert events["transaction.refunded"]["changes"] == {"available": -30}


def test_a_deleted_member_of_a_shop_is_told_once(shop: Shop) -> None:
    shop.web.play(recorded(placed()))
    member = member_of(shop.web.engine)
    listening(shop)
    shop.web.play(turn(9, member, "deleted"))
    assert [kind for kind, _ in told(shop)] == ["customer.deleted"]


def test_the_signature_is_what_the_page_says() -> None:
    keys = (b"new key of the endpoint", b"old key of the endpoint")
    parcel = Parcelled("msg_1", b'{"event":{}}', NOW + 999, keys)
    seconds = NOW // 1000
    expected = [hmac.new(key, b'%d.{"event":{}}' % seconds, hashlib.sha256).hexdigest() for key in keys]
    assert sign(parcel) == {"X-LoyalPro-Signature": f"t={seconds},v1={expected[0]},v1={expected[1]}"}


def test_every_event_that_is_listed_is_written() -> None:
    assert set(VENDOR.event_types()) == {
        "customer.created", "customer.updated", "customer.deleted", "customer.tier_changed",
        "points.earned", "points.redeemed", "points.expired", "points.adjusted",
        "transaction.completed", "transaction.refunded",
    }  # fmt: skip
