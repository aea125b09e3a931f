"""VINR's full loop, as its guide has it, over HTTP: redeem, pay, and what becomes of the points."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from tests.dialects.conftest import serving
from tests.dialects.vinr.conftest import Vinr, furnish
from tests.engine.test_audit import read
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.web.conftest import Web

PAYS = {"payment_method": {"card": {"number": "4242 4242 4242 4242"}}}
DECLINED = {"payment_method": {"card": {"number": "4000 0000 0000 0002"}}}
HOME = {"name": "Mira Olsen", "line1": "Storgata 12", "city": "Oslo", "postalCode": "0155", "country": "NO"}


@pytest.fixture
def shop(web: Web) -> Iterator[Vinr]:
    """VINR's client over each kind of database; in the end the books agree."""
    furnish(web)
    with serving(web) as url:
        yield Vinr(url)
    assert audit(web.engine) == []
    assert rebuild(web.engine, read) == []


def redeem(vinr: Vinr, account: str, reward: str = "rwd_fivecredit", **more: Any) -> Any:
    return vinr.post("/loyalty/redemptions", {"account": account, "reward": reward, **more})


def pay(vinr: Vinr, redemption: Any, **more: Any) -> Any:
    discounts = [{"redemption": redemption["id"]}]
    asked = {"amount": 2999, "currency": "EUR", "customer": "cust_abc123", "discounts": discounts}
    return vinr.post("/payments", {**asked, **more})


def test_enrol_earn_redeem_pay_and_it_is_applied(shop: Vinr) -> None:
    account = shop.enrol()
    assert account.startswith("loy_")
    earned = shop.post("/payments", {"amount": 60000, "currency": "eur", "customer": "cust_abc123", **PAYS})
    assert (earned["status"], earned["amount_charged"]) == ("completed", 60000)
    assert shop.balance(account) == 600  # 1 for each EUR 1.00

    redemption = redeem(shop, account)
    assert redemption["id"].startswith("rdm_")
    assert redemption["status"] == "pending"
    assert redemption["discount"] == {
        "amount": 500,
        "currency": "EUR",
        "code": redemption["discount"]["code"],
    }
    assert redemption["discount"]["code"].startswith("VINR-")
    assert shop.balance(account) == 100
    debit = shop.get(f"/loyalty/transactions/{redemption['points_transaction']}")
    assert (debit["amount"], debit["type"], debit["redemption"]) == (-500, "debit", redemption["id"])

    payment = pay(shop, redemption)
    assert payment["id"].startswith("pay_")
    assert (payment["amount"], payment["amount_charged"], payment["status"]) == (2999, 2499, "pending")
    waiting = shop.get(f"/loyalty/redemptions/{redemption['id']}")
    assert (waiting["status"], waiting["payment"]) == ("pending", payment["id"])

    paid = shop.post(f"/payments/{payment['id']}/confirm", PAYS, status=200)
    assert paid["status"] == "completed"
    assert shop.get(f"/payments/{payment['id']}") == paid
    applied = shop.get(f"/loyalty/redemptions/{redemption['id']}")
    assert (applied["status"], applied["payment"]) == ("applied", payment["id"])
    assert shop.balance(account) == 124  # 24.99 were charged, and earned 24
    assert shop.amounts(account) == [600, -500, 24]


GONE = [
    # how it ends → the payment
    ("confirm", DECLINED, "failed"),
    ("cancel", {}, "canceled"),
    ("expire", {}, "expired"),
]


@pytest.mark.parametrize(("verb", "body", "status"), GONE, ids=[one[2] for one in GONE])
def test_a_payment_that_comes_to_nothing_releases_the_redemption(
    shop: Vinr, verb: str, body: dict[str, Any], status: str
) -> None:
    account = shop.enrol(points=600)
    redemption = redeem(shop, account)
    payment = pay(shop, redemption)
    answered = shop.post(f"/payments/{payment['id']}/{verb}", body, status=402 if body else 200)
    if body:
        assert (answered["code"], answered["type"], answered["param"]) == (
            "card_declined",
            "payment_error",
            "payment_method",
        )
        assert payment["id"] in answered["message"]
    assert shop.get(f"/payments/{payment['id']}")["status"] == status
    assert shop.get(f"/loyalty/redemptions/{redemption['id']}")["status"] == "released"
    assert shop.balance(account) == 600
    assert shop.amounts(account) == [600, -500, 500]
    late = shop.post(f"/payments/{payment['id']}/confirm", PAYS, status=409)
    assert late["type"] == "billing_error"
    returned = shop.get("/loyalty/transactions", account=account)["data"][0]
    assert shop.get(f"/loyalty/transactions/{returned['id']}") == returned
    assert (returned["type"], returned["amount"], returned["redemption"]) == ("credit", 500, redemption["id"])


def test_a_card_that_is_declined_at_once_releases_too(shop: Vinr) -> None:
    account = shop.enrol(points=600)
    redemption = redeem(shop, account)
    asked = {"amount": 2999, "currency": "EUR", "discounts": [{"redemption": redemption["id"]}], **DECLINED}
    first = shop.post("/payments", asked, status=402, key="pay-1")
    again = shop.post("/payments", asked, status=402, key="pay-1")
    assert first["message"] == again["message"]  # one payment
    assert shop.get(f"/loyalty/redemptions/{redemption['id']}")["status"] == "released"
    assert shop.balance(account) == 600


def test_an_item_is_deducted_at_once_and_fulfilled(shop: Vinr) -> None:
    account = shop.enrol(points=450)
    redemption = redeem(shop, account, "rwd_totebag", shipping=HOME)
    assert redemption["status"] == "fulfillment_pending"
    assert redemption["discount"] is None
    assert redemption["fulfillment"]["shipping"] == HOME
    assert shop.balance(account) == 150
    sent = shop.post(f"/loyalty/redemptions/{redemption['id']}/fulfill", {"tracking": "NO-1"}, status=200)
    assert (sent["status"], sent["fulfillment"]["tracking"]) == ("fulfilled", "NO-1")


def test_a_reversal_restores_the_balance_and_voids_the_code(shop: Vinr) -> None:
    account = shop.enrol(points=800)
    bag, discount = redeem(shop, account, "rwd_totebag"), redeem(shop, account)
    undone = [
        shop.post(f"/loyalty/redemptions/{one['id']}/reverse", {"reason": "item_returned"}, status=200)
        for one in (bag, discount)
    ]
    assert [(one["status"], one["reason"]) for one in undone] == [("reversed", "item_returned")] * 2
    assert shop.balance(account) == 800
    assert shop.amounts(account) == [800, -300, -500, 500, 300]
    asked = {"amount": 2999, "currency": "EUR", "discounts": [{"redemption": discount["id"]}]}
    refused = shop.post("/payments", asked, status=409)
    assert (refused["code"], refused["param"]) == ("redemption_reversed", "discounts")
    twice = shop.post(f"/loyalty/redemptions/{bag['id']}/reverse", {}, status=409)
    assert twice["code"] == "redemption_reversed"


def test_reversed_before_it_settles_the_payment_is_not_discounted(shop: Vinr) -> None:
    account = shop.enrol(points=500)
    redemption = redeem(shop, account)
    payment = pay(shop, redemption)
    shop.post(f"/loyalty/redemptions/{redemption['id']}/reverse", {"reason": "in error"}, status=200)
    paid = shop.post(f"/payments/{payment['id']}/confirm", PAYS, status=200)
    assert (paid["amount_charged"], paid["discounts"]) == (2999, [])
    assert shop.balance(account) == 500 + 29


def test_an_applied_one_is_reversed_by_force_alone(shop: Vinr) -> None:
    account = shop.enrol(points=500)
    redemption = redeem(shop, account)
    pay(shop, redemption, **PAYS)
    path = f"/loyalty/redemptions/{redemption['id']}/reverse"
    refused = shop.post(path, {"reason": "by mistake"}, status=422)
    assert (refused["code"], refused["type"]) == ("already_applied", "billing_error")
    undone = shop.post(path, {"reason": "by mistake", "force": True}, status=200)
    assert undone["status"] == "reversed"
    assert "is not charged again" in undone["notes"][0]
    assert shop.balance(account) == 500 + 24
    assert shop.amounts(account) == [500, -500, 24, 500]


def test_a_credit_is_granted_at_once(shop: Vinr) -> None:
    account = shop.enrol(points=200)
    redemption = redeem(shop, account, "rwd_credit")
    assert (redemption["status"], redemption["credit"]) == ("applied", {"amount": 200, "currency": "EUR"})
    assert (redemption["discount"], redemption["fulfillment"]) == (None, None)


def test_it_fails_fast_and_loudly_where_points_are_too_few(shop: Vinr) -> None:
    account = shop.enrol(points=450)
    refused = shop.post("/loyalty/redemptions", {"account": account, "reward": "rwd_fivecredit"}, status=422)
    assert (refused["code"], refused["type"]) == ("insufficient_balance", "billing_error")
    assert "450" in refused["message"]
    assert shop.get("/loyalty/redemptions", account=account)["data"] == []


def test_ten_at_once_never_overspend(shop: Vinr) -> None:
    """10 redemptions of 100 on 450 points: 4 succeed, 50 points stay."""
    account = shop.enrol(points=450)
    start = threading.Barrier(10)

    def ask(number: int) -> tuple[int, Any]:
        start.wait(60)
        answers = [
            requests.post(
                f"{shop.url}/vinr/v1/loyalty/redemptions",
                json={"account": account, "reward": "rwd_one"},
                headers={"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": f"tab-{number}"},
                timeout=60,
            )
            for _ in range(2)  # each tab twice: it never heard the first answer
        ]
        assert answers[0].status_code == answers[1].status_code
        return answers[0].status_code, answers[0].json().get("id") == answers[1].json().get("id")

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, range(10)))
    assert Counter(status for status, _ in answers) == {201: 4, 422: 6}
    assert all(same for _, same in answers)
    assert shop.balance(account) == 50


def test_two_payments_never_use_one_redemption(shop: Vinr) -> None:
    account = shop.enrol(points=500)
    redemption = redeem(shop, account)
    pay(shop, redemption)
    asked = {"amount": 2999, "currency": "EUR", "discounts": [{"redemption": redemption["id"]}]}
    refused = shop.post("/payments", asked, status=409)
    assert (refused["code"], refused["param"]) == ("redemption_in_use", "discounts")
