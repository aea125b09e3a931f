"""Members over HTTP: enrolled, changed, deleted, restored, erased, merged; and points given away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import insert

from adapter.clock import iso
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import read
from tests.shop import DAY, NOW, customer, placed, publish, recorded, shipped
from tests.web.conftest import STRANGER, keyed

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v1/members"


@pytest.fixture
def shop(web: Web) -> Web:
    """Two members of a program that keeps points and cash: 100 points and 12.50 for the first."""
    with web.engine.begin() as connection:
        cash = {"env": 1, "id": 2, "program": "main", "name": "cash", "unit": "EUR", "decimals": 2}
        connection.execute(insert(t.definitions).values(**cash))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    web.play(recorded(customer("7000", email="jo@example.com", name="Jo")), recorded(customer("7001")))
    for name, amount in (("points", 100), ("cash", "12.50")):
        body = {
            "member": "shop:7000",
            "type": "credit",
            "amount": amount,
            "complete": True,
            "balance_definition": name,
        }
        web.post("/v1/transactions", body, status=201)
    return web


def enrol(web: Web, status: int = 201, **body: Any) -> Any:
    return web.post(URL, body, status=status)


def available(web: Web, member: str, name: str = "points") -> Any:
    return web.get(f"{URL}/{member}/balance", balance_definition=name)["available"]


def test_a_member_is_enrolled_with_all_that_is_known(web: Web) -> None:
    made = enrol(
        web, source="shop", customer="LM-00123456", email=" Jo@Example.com ", name="Jo", birthday="1990-02-28",
        metadata={"card": "gold"}, joined_at="2020-01-01T00:00:00Z",
    )  # fmt: skip
    assert (made["email"], made["birthday"], made["metadata"]) == (
        "jo@example.com",
        "1990-02-28",
        {"card": "gold"},
    )
    assert (made["created_at"], made["state"]) == ("2020-01-01T00:00:00.000Z", "active")
    for reference in (made["id"], "shop:LM-00123456", "jo@example.com"):
        assert web.get(f"{URL}/{reference}")["id"] == made["id"]
    assert [one["id"] for one in web.get(URL)["data"]] == [made["id"]]


def test_a_member_needs_no_shop(web: Web) -> None:
    made = enrol(web)
    assert (made["source_ids"], made["email"], made["name"]) == ([], None, None)
    web.post(
        "/v1/transactions",
        {"member": made["id"], "type": "credit", "amount": 5, "complete": True},
        status=201,
    )
    assert web.get(f"{URL}/{made['id']}/balance")["available"] == 5


def test_who_is_a_member_already_is_named(shop: Web) -> None:
    known = shop.get(f"{URL}/shop:7000")["id"]
    answer = enrol(shop, status=409, source="shop", customer="7000")
    assert (answer["code"], known in answer["detail"]) == ("member_exists", True)


FAULTS: list[tuple[dict[str, Any], int, str]] = [
    ({"source": "shop"}, 400, "customer"),
    ({"customer": "7000"}, 400, "source"),
    ({"source": "elsewhere", "customer": "7"}, 404, "source"),
    ({"email": "nobody"}, 400, "email"),
    ({"birthday": "1990-02-30"}, 400, "birthday"),
    ({"metadata": {f"{n}": "x" for n in range(51)}}, 400, "metadata"),
    ({"joined_at": "2027-01-01T00:00:00Z"}, 400, "joined_at"),
    ({"strange": 1}, 400, "strange"),
]


@pytest.mark.parametrize(("body", "status", "field"), FAULTS, ids=lambda value: str(value)[:30])
def test_the_field_at_fault_is_named(web: Web, body: dict[str, Any], status: int, field: str) -> None:
    answer = enrol(web, status=status, **body)
    assert [one["field"] for one in answer["errors"]] == [field]
    assert web.get(URL)["data"] == []


def test_what_is_left_out_stays_and_null_removes(shop: Web) -> None:
    changed = shop.ask("PATCH", f"{URL}/shop:7000", body={"birthday": "2000-01-01", "metadata": {"a": "b"}})
    assert (changed["name"], changed["birthday"], changed["metadata"]) == ("Jo", "2000-01-01", {"a": "b"})
    shop.now += 5
    changed = shop.ask("PATCH", f"{URL}/shop:7000", body={"name": None})
    assert (changed["name"], changed["birthday"], changed["metadata"]) == (None, "2000-01-01", {"a": "b"})
    assert shop.get(f"{URL}/shop:7000", fields="name,updated_at") == {
        "name": None, "updated_at": "2026-11-18T11:06:40.005Z",
    }  # fmt: skip


def test_a_deleted_member_is_hidden_until_asked_for_or_restored(shop: Web) -> None:
    gone = shop.ask("DELETE", f"{URL}/shop:7000")
    assert (gone["state"], gone["deleted_at"]) == ("deleted", "2026-11-18T11:06:40.000Z")
    assert shop.get(f"{URL}/shop:7000", status=404)["code"] == "member_deleted"
    assert shop.get(f"{URL}/shop:7000", include_deleted="true")["balances"][0]["available"] == 100
    assert [one["source_ids"] for one in shop.get(URL)["data"]] == [["shop:7001"]]
    assert len(shop.get(URL, include_deleted="true")["data"]) == 2
    assert shop.ask("DELETE", f"{URL}/shop:7000", status=404)["code"] == "member_deleted"
    shop.post("/v1/transactions", {"member": gone["id"], "type": "credit", "amount": 1}, status=404)
    back = shop.post(f"{URL}/shop:7000/restore")
    assert (back["state"], back["deleted_at"]) == ("active", None)
    assert available(shop, "shop:7000") == 100
    assert shop.post(f"{URL}/shop:7000/restore", status=409)["code"] == "member_active"


def test_an_erased_member_cannot_be_found_by_anything_of_theirs(shop: Web) -> None:
    shop.ask("PATCH", f"{URL}/shop:7000", body={"birthday": "1990-02-28", "metadata": {"card": "secret7"}})
    erased = shop.post(f"{URL}/shop:7000/erase")
    assert {erased[name] for name in ("email", "name", "birthday")} == {None}
    assert (erased["state"], erased["source_ids"], erased["metadata"]) == ("erased", [], {})
    for reference in ("shop:7000", "jo@example.com"):
        assert shop.get(f"{URL}/{reference}", status=404)["code"] == "member_unknown"
    kept = shop.get(f"{URL}/{erased['id']}", include_deleted="true")
    assert [one["available"] for one in kept["balances"]] == [100, "12.50"]
    events = shop.get("/v1/events", source="@api")["data"]
    shown = [shop.get(f"/v1/events/{one['id']}") for one in events]
    assert "secret7" not in str(shown)
    assert shop.post(f"{URL}/{erased['id']}/erase", status=409)["code"] == "member_erased"
    assert audit(shop.engine) == []


@pytest.mark.parametrize("reference", ["shop:7000", "jo@example.com"])
def test_a_repeated_erasure_is_answered_though_nobody_has_that_name_any_more(
    shop: Web, reference: str
) -> None:
    first, again = (shop.post(f"{URL}/{reference}/erase", Idempotency_Key="k") for _ in range(2))
    assert first == again
    assert (
        shop.post(f"{URL}/{reference}/erase", status=404, Idempotency_Key="other")["code"] == "member_unknown"
    )


def test_a_merged_member_is_a_name_for_the_other(shop: Web) -> None:
    old, into = (shop.get(f"{URL}/shop:{number}")["id"] for number in (7000, 7001))
    hold = shop.post(
        "/v1/transactions",
        {"member": old, "type": "debit", "amount": 30, "balance_definition": "points"},
        status=201,
    )
    merged = shop.post(f"{URL}/{old}/merge", {"into": "shop:7001"})
    assert (merged["id"], merged["source_ids"]) == (into, ["shop:7000", "shop:7001"])
    assert (merged["email"], merged["name"]) == ("jo@example.com", "Jo")
    for reference in (old, into, "shop:7000", "shop:7001", "jo@example.com"):
        assert shop.get(f"{URL}/{reference}")["id"] == into
        assert (available(shop, reference), available(shop, reference, "cash")) == (70, "12.50")
    many = shop.get(
        "/v1/balances", members=f"{old},{into},shop:7000", balance_definition="points", status=207
    )
    assert [one["result"]["member"] for one in many["data"]] == [into] * 3
    assert {one["member"] for one in shop.get("/v1/transactions")["data"]} == {into}
    assert len(shop.get(f"{URL}/{old}/transactions")["data"]) == 3
    assert shop.post(f"/v1/transactions/{hold['id']}/complete")["member"] == into
    listed = shop.get(URL, state="merged")["data"]
    assert [(one["id"], one["merged_into"]) for one in listed] == [(old, into)]
    assert [one["id"] for one in shop.get(URL)["data"]] == [into]
    assert shop.post(f"{URL}/{old}/merge", {"into": into}, status=409)["code"] == "member_merged"
    assert shop.post(f"{URL}/{into}/merge", {"into": "shop:7001"}, status=422)["code"] == "same_member"
    assert shop.post(f"{URL}/{into}/merge", {"into": "shop:9"}, status=404)["errors"][0]["field"] == "into"
    assert audit(shop.engine) == []


def test_a_further_customer_id_leads_to_a_member_until_it_does_no_more(shop: Web) -> None:
    """An order that nobody could be found for takes effect; freed, the id is somebody new's."""
    strict = Program.model_validate(
        {"name": "main", "earning": {"rate": "1"}, "members": {"auto_enrol": False}}
    )
    with shop.engine.begin() as connection:
        publish(connection, strict, version=2, at=NOW + 1)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    shop.now = NOW + DAY
    shop.post("/v1/endpoints", {"url": "https://example.com/hook", "events": ["member.*"]}, status=201)
    shop.play(recorded(placed("1", customer="7099")), recorded(shipped("1")))
    known: dict[str, Any] = {"source": "shop", "customer": "7099"}
    linked = shop.post(f"{URL}/shop:7000/link", known)
    assert linked["source_ids"] == ["shop:7000", "shop:7099"]
    assert available(shop, "shop:7099") == 189
    refused = shop.post(f"{URL}/shop:7001/link", known, status=409)
    assert refused["code"] == "member_exists"
    assert shop.post(f"{URL}/shop:7001/unlink", known, status=404)["code"] == "not_found"
    assert shop.post(f"{URL}/shop:7000/unlink", known)["source_ids"] == ["shop:7000"]
    shop.get(f"{URL}/shop:7099", status=404)
    assert enrol(shop, **known)["source_ids"] == ["shop:7099"]
    assert (available(shop, "shop:7000"), available(shop, "shop:7099")) == (189, 0)
    heard = [one for one in shop.get("/v1/messages")["data"] if one["type"].endswith("linked")]
    assert [one["type"] for one in heard] == ["member.unlinked", "member.linked"]
    assert audit(shop.engine) == []
    assert rebuild(shop.engine, read) == []


def test_news_of_an_old_order_reaches_the_survivor(web: Web) -> None:
    web.play(recorded(placed("1"), shipped("1")), recorded(customer("7001")))
    web.post(f"{URL}/shop:7000/merge", {"into": "shop:7001"})
    told = web.get(f"{URL}/shop:7000/explain")
    assert (told["adds_up"], [one["order"] for one in told["orders"]]) == (True, ["1"])
    assert told["orders"][0]["net"] == {"available": 89}
    web.play(recorded(placed("2"), shipped("2")))
    assert available(web, "shop:7001") == 178
    statement = web.get(f"{URL}/shop:7000/statement")
    assert [line["kind"] for line in statement["data"]] == ["merge_in", "earn"]
    assert statement["closing"]["available"] == 178


def test_subscribers_hear_of_members(web: Web) -> None:
    web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/hook", "events": ["member.*"]}, status=201)
    jo, bo = (enrol(web, name=name)["id"] for name in ("Jo", "Bo"))
    web.ask("PATCH", f"{URL}/{jo}", body={"name": "Joanna"})
    web.post(f"{URL}/{jo}/merge", {"into": bo})
    web.ask("DELETE", f"{URL}/{bo}")
    heard = [web.get(f"/v1/messages/{one['id']}") for one in reversed(web.get("/v1/messages")["data"])]
    assert [one["type"] for one in heard] == [
        "member.created", "member.created", "member.updated", "member.merged", "member.deleted",
    ]  # fmt: skip
    merged = orjson.loads(heard[3]["body"])["data"]
    assert (merged["member"], merged["merged_into"], merged["state"]) == (jo, bo, "merged")


def test_points_of_several_kinds_are_given_away(shop: Web) -> None:
    body = {"from": "shop:7000", "to": "shop:7001", "amount": 30, "balance_definition": "points"}
    given = shop.post("/v1/transfers", body | {"reason": "a present"}, status=201)
    assert (given["amount"], given["reason"]) == (30, "a present")
    assert (available(shop, "shop:7000"), available(shop, "shop:7001")) == (70, 30)
    cash = shop.post("/v1/transfers", body | {"amount": "2.50", "balance_definition": "cash"}, status=201)
    assert (cash["amount"], available(shop, "shop:7001", "cash")) == ("2.50", "2.50")
    for side, kind in (("debit", "debit"), ("credit", "credit")):
        shown = shop.get(f"/v1/transactions/{given[side]}")
        assert (shown["type"], shown["state"], shown["amount"]) == (kind, "completed", 30)
    few = shop.post("/v1/transfers", body | {"amount": 71}, status=422)
    assert (few["code"], few["figures"]["available"]) == ("insufficient_balance", 70)
    assert shop.post("/v1/transfers", body | {"to": "shop:7000"}, status=422)["code"] == "same_member"
    assert shop.post("/v1/transfers", body | {"to": "shop:9"}, status=404)["errors"][0]["field"] == "to"
    assert shop.post("/v1/transfers", body | {"amount": 0}, status=400)["errors"][0]["field"] == "amount"
    assert audit(shop.engine) == []


def test_a_statement_is_as_of_any_moment(shop: Web) -> None:
    shop.now += 1000
    body = {"from": "shop:7000", "to": "shop:7001", "amount": 30, "balance_definition": "points"}
    shop.post("/v1/transfers", body, status=201)
    for at, left in ((NOW - 1, 0), (NOW, 100), (NOW + 999, 100), (NOW + 1000, 70)):
        told = shop.get(f"{URL}/shop:7000/statement", balance_definition="points", as_of=iso(at))
        assert told["closing"]["available"] == left


def test_writing_needs_its_scope_and_its_environment(shop: Web) -> None:
    reader = "sk_test_rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
    keyed(shop.engine, 1, reader, "members:read")
    for method, path in (
        ("POST", URL), ("PATCH", f"{URL}/shop:7000"), ("DELETE", f"{URL}/shop:7000"),
        ("POST", f"{URL}/shop:7000/erase"), ("POST", f"{URL}/shop:7000/merge"),
    ):  # fmt: skip
        assert shop.ask(method, path, body={}, token=reader, status=403)["code"] == "scope_missing"
    assert shop.ask("DELETE", f"{URL}/shop:7000", token=STRANGER, status=404)["code"] == "member_unknown"
    assert available(shop, "shop:7000") == 100
