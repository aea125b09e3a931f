"""Points and redemptions: awarded, listed by type with the balance after, redeemed for a code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.shop import DAY

if TYPE_CHECKING:
    from tests.dialects.loyalpro.conftest import Shop


def test_awarded_points_are_there_and_listed(each_shop: Shop) -> None:
    shop = each_shop
    customer = shop.customer()
    said = {
        "customer_id": customer,
        "points": 120,
        "type": "birthday",
        "reason": "a year",
        "metadata": {"a": "b"},
    }
    done = shop.post("/points/award", said)
    assert (done["points"], done["type"], done["status"]) == (120, "earned", "completed")
    assert (done["reason"], done["metadata"]) == ("a year", {"a": "b", "type": "birthday"})
    (entry,) = shop.get("/points", customer_id=customer)["data"]
    assert (entry["type"], entry["points"], entry["balance_after"]) == ("earned", 120, 120)
    assert entry["transaction_id"] == done["id"]


def test_each_type_is_listed_with_the_balance_after(shop: Shop) -> None:
    """+300 until tomorrow, +200; -200 for a discount of 200; what is left of the 300 ends: 300, 500, 300, 200."""
    customer = shop.customer()
    shop.post("/points/award", {"customer_id": customer, "points": 300, "expires_at": "2026-11-19T00:00:00Z"})
    shop.post("/points/award", {"customer_id": customer, "points": "200"})
    redeemed = shop.post("/points/redeem", {"customer_id": customer, "reward_id": "off1000"})
    shop.web.post(f"/v1/redemptions/{redeemed['id']}/apply")
    shop.web.now += 2 * DAY
    shop.post("/points/award", {"customer_id": customer, "points": 1})
    shown = shop.get("/points", customer_id=customer)["data"]
    assert [(one["type"], one["points"], one["balance_after"]) for one in shown] == [
        ("earned", 300, 300), ("earned", 200, 500), ("redeemed", -200, 300), ("expired", -100, 200), ("earned", 1, 201),
    ]  # fmt: skip
    for kind, number in (("earned", 3), ("redeemed", 1), ("expired", 1), ("adjusted", 0)):
        found = shop.get("/points", customer_id=customer, type=kind)["data"]
        assert [one["type"] for one in found] == [kind] * number
    page = shop.get("/points", customer_id=customer, limit=2)
    after = shop.get("/points", customer_id=customer, limit=100, cursor=page["next_cursor"])
    assert page["data"] + after["data"] == shown


def test_points_are_redeemed_for_a_code(each_shop: Shop) -> None:
    """200 points for 1000.00, as the catalogue says; or 10 at 5.00 a point."""
    shop = each_shop
    customer = shop.customer(250)
    done = shop.post("/points/redeem", {"customer_id": customer, "reward_id": "off1000", "points": 200})
    assert re.fullmatch(r"REDEEM-[0-9A-Z]{8}", done["code"])
    assert (done["discount_amount"], done["currency"], done["points"], done["status"]) == (
        1000,
        "NGN",
        200,
        "pending",
    )
    money = shop.post("/points/redeem", {"customer_id": customer, "points": 10})
    assert (money["discount_amount"], money["reward_id"]) == (50, None)
    assert shop.get(f"/redemptions/{done['id']}") == done
    assert [one["id"] for one in shop.get("/redemptions", customer_id=customer)["data"]] == [
        money["id"],
        done["id"],
    ]
    assert shop.get("/redemptions", code=done["code"].lower())["data"] == [done]
    assert shop.web.get(f"/v1/redemptions/{done['id']}")["discount"]["code"] == done["code"]
    back = shop.post(f"/redemptions/{done['id']}/cancel", {}, status=200)
    assert back["status"] == "released"
    assert shop.get(f"/customers/{customer}")["points"]["available"] == 240
    assert shop.refused("POST", f"/redemptions/{done['id']}/cancel", {})["code"] == "redemption_released"


def test_an_item_has_no_code(shop: Shop) -> None:
    customer = shop.customer(300)
    done = shop.post("/points/redeem", {"customer_id": customer, "reward_id": "mug"})
    assert (done["code"], done["discount_amount"], done["status"]) == (None, None, "fulfillment_pending")


def test_too_few_points_say_where_the_others_are(shop: Shop) -> None:
    """250: 100 of them pending, 100 on hold, so 50 are available."""
    customer = shop.customer(150)
    member = customer.replace("cus_", "mem_")
    shop.web.post("/v1/transactions", {"member": member, "type": "credit", "amount": 100}, status=201)
    shop.web.post("/v1/transactions", {"member": member, "type": "debit", "amount": 100}, status=201)
    error = shop.refused("POST", "/points/redeem", {"customer_id": customer, "points": 60})
    assert error["code"] == "insufficient_balance"
    assert {name: error["details"][name] for name in ("requested", "available", "pending", "reserved")} == {
        "requested": 60, "available": 50, "pending": 100, "reserved": 100,
    }  # fmt: skip
    assert "50" in error["message"]


def test_many_are_awarded_each_once(each_shop: Shop) -> None:
    shop = each_shop
    customer = shop.customer()
    items: list[dict[str, Any]] = [
        {"customer_id": customer, "points": 10},
        {"customer_id": "cus_abc123", "points": 10},
        {"customer_id": customer, "points": 0},
        {"customer_id": customer, "points": 5},
    ]
    for _ in range(2):
        told = shop.post("/points/award/bulk", {"awards": items}, status=207, Idempotency_Key="night")
        assert [one["status"] for one in told["data"]] == [201, 404, 400, 201]
        assert told["data"][2]["error"]["errors"][0]["field"] == "points"
    assert shop.get(f"/customers/{customer}")["points"]["available"] == 15


WRONG = [
    # path, body, the field at fault
    ("/points/award", {}, "customer_id"),
    ("/points/award", {"points": -5}, "points"),
    ("/points/award", {"points": "many"}, "points"),
    ("/points/award", {"points": 1.5}, "points.int"),
    ("/points/award", {"points": 5, "expires_at": "2020-01-01"}, "expires_at"),
    ("/points/award", {"points": 5, "expires_at": "later"}, "expires_at"),
    ("/points/redeem", {}, "reward_id"),
    ("/points/redeem", {"reward_id": "off1000", "points": 100}, "points"),
    ("/points/redeem", {"reward_id": "boat"}, "reward"),
]


@pytest.mark.parametrize(("path", "body", "field"), WRONG)
def test_the_field_at_fault_is_named(shop: Shop, path: str, body: dict[str, Any], field: str) -> None:
    customer = shop.customer(500)
    said = body if field == "customer_id" else {"customer_id": customer, **body}
    status = 404 if field == "reward" else 400
    error = shop.refused("POST", path, said, status=status)
    assert field in [one["field"] for one in error["errors"]]


def test_one_request_that_comes_twice_is_done_once(each_shop: Shop) -> None:
    customer = each_shop.customer(300)
    for path, body in (("/points/award", {"points": 100}), ("/points/redeem", {"reward_id": "off1000"})):
        said = {"customer_id": customer, **body}
        first, second = (each_shop.post(path, said, Idempotency_Key="once") for _ in range(2))
        assert first == second
    assert each_shop.get(f"/customers/{customer}")["points"]["available"] == 200
