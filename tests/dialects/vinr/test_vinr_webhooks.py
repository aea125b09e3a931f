"""VINR's webhooks: what is told, in which form, and how it is signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from adapter.delivery import endpoints
from adapter.delivery.dispatcher import Dispatcher
from adapter.ids import read
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import unit_of_work
from connectors.vendor import Parcelled
from connectors.vendors import VENDORS
from connectors.vinr.vendor import VENDOR
from tests.delivery.conftest import receivers
from tests.shop import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.delivery.world import Receiver, Request
    from tests.dialects.vinr.conftest import Vinr
    from tests.web.conftest import Web

__all__ = ["receivers"]

PAYS = {"payment_method": {"card": {"number": "4242424242424242"}}}


def signature(secret: str, at: str, body: bytes) -> str:
    """Return the signature as VINR's page here says, written down once more."""
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def listen(vinr: Vinr, url: str = "http://127.0.0.1:9/hook", *events: str) -> Any:
    return vinr.post("/webhooks", {"url": url, "enabled_events": [*(events or ("*",))]})


def told(vinr: Vinr, **query: Any) -> list[Any]:
    """Return the events, the first one first."""
    return list(reversed(vinr.get("/events", limit=100, **query)["data"]))


def test_an_endpoint_has_vinrs_schedule_and_shows_its_secret_once(vinr: Vinr, sqlite_web: Web) -> None:
    added = listen(vinr, "http://127.0.0.1:9/hook", "loyalty.redemption.*", "payment.canceled")
    assert added["id"].startswith("we_")
    assert added["secret"].startswith("whsec_")
    shown = vinr.get(f"/webhooks/{added['id']}")
    assert shown == {name: value for name, value in added.items() if name != "secret"}
    with sqlite_web.engine.connect() as connection:
        row = connection.execute(select(t.endpoints)).one()
    assert (row.format, json.loads(row.schedule), row.timeout_s) == ("vinr", [60, 300, 1800, 7200, 86_400], 5)


def test_an_endpoint_is_changed_switched_off_and_removed(vinr: Vinr) -> None:
    path = f"/webhooks/{listen(vinr)['id']}"
    changed = vinr.ask(
        "PUT", path, {"enabledEvents": ["payment.*"], "description": "till", "status": "disabled"}
    )
    assert (changed["enabled_events"], changed["description"], changed["status"]) == (
        ["payment.*"],
        "till",
        "disabled",
    )
    assert vinr.ask("PATCH", path, {"status": "enabled"})["status"] == "enabled"
    assert vinr.get("/webhooks")["data"] == [vinr.get(path)]
    assert vinr.ask("DELETE", path)["deleted"] is True
    assert vinr.get(path, status=404)["type"] == "validation_error"
    assert vinr.get("/webhooks")["data"] == []


def test_endpoints_of_other_formats_are_none_of_vinrs(vinr: Vinr, sqlite_web: Web) -> None:
    native = sqlite_web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/ours"}, status=201)
    assert vinr.get("/webhooks")["data"] == []
    named = f"/webhooks/{native['id'].replace('end_', 'we_')}"
    assert vinr.ask("DELETE", named, status=404)["code"] == "not_found"


def test_what_cannot_be_heard_is_refused_by_its_name(vinr: Vinr) -> None:
    refused = vinr.post(
        "/webhooks", {"url": "http://127.0.0.1:9/", "enabled_events": ["no.such"]}, status=400
    )
    assert (refused["param"], refused["type"]) == ("enabled_events", "validation_error")
    assert "loyalty.redemption.applied" in refused["message"]


def test_endpoints_are_paged(vinr: Vinr) -> None:
    added = [listen(vinr, f"http://127.0.0.1:9/{number}")["id"] for number in range(3)]
    first = vinr.get("/webhooks", limit=2)
    rest = vinr.get("/webhooks", limit=2, starting_after=first["data"][-1]["id"])
    assert [one["id"] for one in (*first["data"], *rest["data"])] == added
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_each_move_of_a_redemption_is_told_in_vinrs_form(vinr: Vinr) -> None:
    listen(vinr, "http://127.0.0.1:9/hook", "loyalty.redemption.*")
    account = vinr.enrol(points=1500)
    asked = {"account": account, "reward": "rwd_fivecredit"}
    redemption = vinr.post("/loyalty/redemptions", asked)
    discounts = [{"redemption": redemption["id"]}]
    vinr.post("/payments", {"amount": 2999, "currency": "EUR", "discounts": discounts, **PAYS})
    bag = vinr.post("/loyalty/redemptions", {"account": account, "reward": "rwd_totebag"})
    vinr.post(f"/loyalty/redemptions/{bag['id']}/fulfill", {"tracking": "X"}, status=200)
    credit = vinr.post("/loyalty/redemptions", {"account": account, "reward": "rwd_credit"})
    heard = told(vinr)
    assert [(one["type"], one["data"]["id"], one["data"]["status"]) for one in heard] == [
        ("loyalty.redemption.created", redemption["id"], "pending"),
        ("loyalty.redemption.applied", redemption["id"], "applied"),
        ("loyalty.redemption.created", bag["id"], "fulfillment_pending"),
        ("loyalty.redemption.fulfilled", bag["id"], "fulfilled"),
        ("loyalty.redemption.created", credit["id"], "applied"),
        ("loyalty.redemption.applied", credit["id"], "applied"),
    ]
    for event, answer in zip(heard[:5:2], (redemption, bag, credit), strict=True):
        assert set(event) == {"id", "type", "data", "created"}
        assert event["created"] == NOW // 1000
        assert event["data"] == {name: answer[name] for name in answer if name not in ("metadata", "notes")}
        assert vinr.get(f"/events/{event['id']}") == event


def test_a_hold_that_runs_out_is_told_as_released(vinr: Vinr, sqlite_web: Web) -> None:
    listen(vinr, "http://127.0.0.1:9/hook", "loyalty.redemption.released")
    account = vinr.enrol(points=500)
    redemption = vinr.post("/loyalty/redemptions", {"account": account, "reward": "rwd_fivecredit"})
    sqlite_web.now += 86_400_000
    shown = vinr.get(f"/loyalty/redemptions/{redemption['id']}")
    assert shown["status"] == "released"
    assert vinr.get("/loyalty/redemptions", status_is="released")["data"] == [shown]
    vinr.post("/loyalty/redemptions", {"account": account, "reward": "rwd_one"})  # lets time pass in the book
    assert [(one["type"], one["data"]["id"]) for one in told(vinr)] == [
        ("loyalty.redemption.released", redemption["id"])
    ]


def test_points_are_told_as_earned_once_and_not_where_they_only_come_back(vinr: Vinr) -> None:
    listen(vinr, "http://127.0.0.1:9/hook", "loyalty.points.earned")
    account = vinr.enrol()
    paid = vinr.post("/payments", {"amount": 50000, "currency": "EUR", "customer": "cust_abc123", **PAYS})
    bag = vinr.post("/loyalty/redemptions", {"account": account, "reward": "rwd_totebag"})
    vinr.post(f"/loyalty/redemptions/{bag['id']}/reverse", {}, status=200)
    (earned,) = told(vinr)
    assert earned["data"] == {
        "object": "points_transaction",
        "id": earned["data"]["id"],
        "account": account,
        "program": "main",
        "type": "credit",
        "amount": 500,
        "payment": paid["id"],
    }
    assert vinr.get(f"/loyalty/transactions/{earned['data']['id']}")["amount"] == 500


def test_accounts_and_payments_are_told_too(vinr: Vinr) -> None:
    listen(vinr, "http://127.0.0.1:9/hook", "loyalty.account.*", "payment.*")
    account = vinr.enrol()
    vinr.ask("PUT", f"/loyalty/accounts/{account}", {"name": "Mira"})
    payment = vinr.post("/payments", {"amount": 100, "currency": "EUR", "customer": "cust_abc123"})
    vinr.post(f"/payments/{payment['id']}/cancel", {}, status=200)
    heard = told(vinr)
    assert [one["type"] for one in heard] == [
        "loyalty.account.created", "loyalty.account.updated", "payment.created", "payment.canceled",
    ]  # fmt: skip
    assert (heard[1]["data"]["id"], heard[1]["data"]["customer"]) == (account, "cust_abc123")
    assert heard[2]["data"] == payment
    assert heard[3]["data"] == vinr.get(f"/payments/{payment['id']}")
    assert [one["type"] for one in told(vinr, type="payment.created")] == ["payment.created"]


def test_the_signature_is_the_one_that_the_page_describes(
    vinr: Vinr, sqlite_web: Web, receivers: Callable[[], Receiver]
) -> None:
    """Delivered for real, while the secret is rotated: each secret verifies."""
    receiver = receivers()
    added = listen(vinr, receiver.url)
    with unit_of_work(sqlite_web.engine) as connection:
        number = read("end", added["id"].replace("we_", "end_")) or 0
        fresh = endpoints.rotate(connection, 1, number, now=NOW)["secret"]
    vinr.enrol()
    dispatcher = Dispatcher(
        sqlite_web.engine, CatalogCache(sqlite_web.engine, 0.0), sqlite_web.clock, vendors=VENDORS
    )
    assert dispatcher.run_once() == 1
    dispatcher.drain()
    (request,) = receiver.requests
    check(request, [fresh, added["secret"]])


def check(request: Request, secrets: list[str]) -> None:
    at = str(NOW // 1000)
    expected = [signature(secret, at, request.body) for secret in secrets]
    headers = request.headers
    assert headers["vinr-signature"] == ",".join((f"t={at}", *(f"v1={one}" for one in expected)))
    assert (headers["x-vinr-timestamp"], headers["x-vinr-signature"]) == (at, expected[0])
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= headers.keys()
    assert json.loads(request.body)["type"] == "loyalty.account.created"


@pytest.mark.parametrize("flip", [b"{}", b'{"a": 1}'])
def test_another_body_has_another_signature(flip: bytes) -> None:
    parcel = Parcelled("msg_1", b'{"a": 2}', NOW, (b"k",), ("whsec_k",))
    other = Parcelled("msg_1", flip, NOW, (b"k",), ("whsec_k",))
    assert VENDOR.sign(parcel)["x-vinr-signature"] != VENDOR.sign(other)["x-vinr-signature"]
