"""Customers: created, found, changed, deleted softly, listed by cursor, in bulk, by fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.shop import DAY

if TYPE_CHECKING:
    from tests.dialects.loyalpro.conftest import Shop

SAID = {
    "external_id": "u-1",
    "email": "Jo@Example.com",
    "name": "Jo",
    "birthday": "1990-02-28",
    "metadata": {"a": "b"},
}


def test_a_customer_is_created_and_found_by_each_of_their_ids(each_shop: Shop) -> None:
    shop = each_shop
    created = shop.post("/customers", SAID)
    assert created["id"].startswith("cus_")
    assert (created["external_id"], created["email"], created["status"]) == (
        "u-1",
        "jo@example.com",
        "active",
    )
    ours = created["id"].replace("cus_", "mem_")
    shown = [shop.get(f"/customers/{name}") for name in (created["id"], ours, "u-1")]
    assert shown[0] == shown[1] == shown[2]
    assert shown[0] == created | {"points": shown[0]["points"], "tier": "basic"}
    assert shop.web.get(f"/v1/members/{ours}")["source_ids"] == ["loyalpro:u-1"]
    again = shop.refused("POST", "/customers", {"external_id": "u-1"})
    assert again["code"] == "member_exists"


def test_a_lookup_has_the_balances(shop: Shop) -> None:
    """700 points, of which 200 are held for a discount: 500 can be redeemed."""
    customer = shop.customer(700)
    shop.post("/points/redeem", {"customer_id": customer, "reward_id": "off1000"})
    assert shop.get(f"/customers/{customer}")["points"] == {
        "total": 700, "posted": 700, "available": 500, "pending": 0, "reserved": 200, "owed": 0,
    }  # fmt: skip
    shop.customer(1000, external_id="rich")
    assert shop.get("/customers/rich")["tier"] == "gold"


def test_what_is_left_out_stays_and_null_removes(each_shop: Shop) -> None:
    customer = each_shop.post("/customers", SAID)["id"]
    changed = each_shop.ask(
        "PATCH", f"/customers/{customer}", {"name": "Jo Doe", "birthday": None}
    ).get_json()
    assert (changed["name"], changed["birthday"], changed["email"]) == ("Jo Doe", None, "jo@example.com")
    assert changed["metadata"] == {"a": "b"}


def test_a_deleted_customer_is_hidden_until_asked_for(each_shop: Shop) -> None:
    shop = each_shop
    customer, other = shop.customer(50), shop.customer()
    deleted = shop.ask("DELETE", f"/customers/{customer}").get_json()
    assert (deleted["status"], deleted["deleted_at"] is None) == ("deleted", False)
    gone = shop.refused("GET", f"/customers/{customer}", status=404)
    assert gone["code"] == "member_deleted"
    assert "include_deleted=true" in gone["message"]
    shown = shop.get(f"/customers/{customer}", include_deleted="true")
    assert (shown["status"], shown["points"]["available"]) == ("deleted", 50)
    assert [one["id"] for one in shop.get("/customers")["data"]] == [other]
    listed = shop.get("/customers", include_deleted="true")["data"]
    assert {one["id"] for one in listed} == {customer, other}


def test_pages_follow_a_cursor(shop: Shop) -> None:
    known = [shop.customer(external_id=f"u-{number}") for number in range(5)]
    first = shop.get("/customers", limit=2)
    shop.customer(external_id="late")
    second = shop.get("/customers", limit=2, cursor=first["next_cursor"])
    third = shop.get("/customers", limit=2, cursor=second["next_cursor"])
    found = [one["id"] for page in (first, second, third) for one in page["data"]]
    assert found == known[::-1]
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert shop.refused("GET", "/customers", query={"limit": 101})["errors"][0]["field"] == "limit"
    foreign = shop.refused("GET", "/redemptions", query={"cursor": first["next_cursor"]})
    assert foreign["code"] == "cursor_invalid"
    assert [one["external_id"] for one in shop.get("/customers", external_id="u-3")["data"]] == ["u-3"]


def test_only_the_fields_asked_for_are_answered(shop: Shop) -> None:
    customer = shop.customer(email="jo@example.com")
    assert shop.get(f"/customers/{customer}", fields="id,email") == {
        "id": customer,
        "email": "jo@example.com",
    }
    assert shop.get("/customers", fields="id")["data"] == [{"id": customer}]
    assert shop.refused("GET", "/customers", query={"fields": "shoe"})["errors"][0]["field"] == "fields"


def test_many_are_created_each_with_its_result(each_shop: Shop) -> None:
    shop = each_shop
    items = [{"external_id": "a"}, {"email": "nobody"}, {"external_id": "a"}, "x", {"external_id": "b"}]
    answers = [
        shop.post("/customers/bulk", {"customers": items}, status=207, Idempotency_Key="bulk-1")
        for _ in range(2)
    ]
    first = answers[0]
    assert [one["status"] for one in first["data"]] == [201, 400, 400, 400, 201]
    assert [one["error"]["code"] for one in first["data"] if "error" in one] == [
        "request_invalid", "member_exists", "request_invalid",
    ]  # fmt: skip
    assert first["data"][1]["error"]["errors"][0]["field"] == "email"
    assert (first["succeeded"], first["failed"]) == (2, 3)
    assert [one.get("result") for one in answers[1]["data"]] == [one.get("result") for one in first["data"]]
    assert len(shop.get("/customers")["data"]) == 2
    too_many = shop.refused("POST", "/customers/bulk", {"customers": [{}] * 101})
    assert too_many["errors"][0]["field"] == "customers"


def test_an_external_id_belongs_to_the_source_that_is_named(shop: Shop) -> None:
    customer = shop.customer(external_id="7000")
    assert shop.web.get("/v1/members/loyalpro:7000")["id"].endswith(customer[4:])
    shop.web.get("/v1/members/shop:7000", status=404)
    shop.web.now += DAY
    assert (
        shop.get("/customers/7000")["created_at"] < shop.web.get("/v1/members/loyalpro:7000/balance")["as_of"]
    )
