"""Salesforce's seven points of what to test before going live, one test for each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import Client

from tests.dialects.salesforce.conftest import MEMBER
from tests.shop import DAY, NOW, begin
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.dialects.salesforce.conftest import Org

REVERSAL = {"transactionType": "Reversal", "processImmediately": True}


@pytest.mark.parametrize("mode", ["realtime", "batch"])
def test_1_immediate_redemption_after_an_award(org: Org, mode: str) -> None:
    org.program(processing_mode=mode)
    assert org.award(100)["status"] == "Processed"
    assert org.redeem(100)["status"] == "processed"
    assert org.balance() == (0, 0, 0, 0)
    org.sound()


def test_2_concurrent_redemptions(org: Org) -> None:
    """Of six tabs that redeem 300 of 450 at once exactly one succeeds."""
    org.award(450)
    body = {"memberId": MEMBER, "points": 300, "validateBalance": True, "failOnInsufficientBalance": True}

    def tab(_number: int) -> int:
        client = Client(org.web.app)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return int(client.post("/loyalty/redemptions", json=body, headers=headers).status_code)

    with ThreadPoolExecutor(6) as tabs:
        assert sorted(tabs.map(tab, range(6))) == [201, *[422] * 5]
    assert org.balance() == (150, 150, 0, 0)
    org.sound()


@pytest.mark.parametrize(("moment", "status"), [(DAY - 1, 201), (DAY, 422)])
def test_3_redemption_while_points_end(org: Org, moment: int, status: int) -> None:
    """100 points end in a day: spent a millisecond before, gone at that instant, whether or not the sweep came by."""
    org.web.play(begin(5, 1, "credit", 100, complete=True, points_end_at=NOW + DAY))
    org.web.now = NOW + moment
    org.redeem(100, status=status)
    assert org.balance() == (0, 0, 0, 0)
    org.sound()


def test_4_reversals(org: Org) -> None:
    """Of a redemption, of an award that is there, of one that is spent, of one that waits; each once."""
    org.award(500)
    redeemed = org.redeem(300)["id"]
    back = org.post("/loyalty/transactions", REVERSAL | {"originalTransactionId": redeemed})
    assert back["transactionId"].startswith("txn_")
    assert (back["transactionType"], back["originalTransactionId"]) == ("Reversal", redeemed)
    assert (back["points"], back["status"], org.balance()) == (300, "Processed", (500, 500, 0, 0))
    assert org.get(f"/loyalty/transactions/{back['transactionId']}") == back
    (again,) = org.post("/loyalty/transactions", REVERSAL | {"originalTransactionId": redeemed}, status=409)
    assert again["errorCode"] == "REDEMPTION_REVERSED"

    award = org.award(100)["transactionId"]
    undone = org.post("/loyalty/transactions", REVERSAL | {"originalTransactionId": award})
    assert (undone["journalType"], org.balance()) == ("Redemption", (500, 500, 0, 0))
    (again,) = org.post("/loyalty/transactions", REVERSAL | {"originalTransactionId": award}, status=409)
    assert again["errorCode"] == "TRANSACTION_REVERSED"

    org.program(processing_mode="batch")
    waits = org.award(100, processImmediately=False)["transactionId"]
    assert org.balance() == (600, 500, 100, 0)
    org.post("/loyalty/transactions", REVERSAL | {"originalTransactionId": waits})
    assert org.balance() == (500, 500, 0, 0)

    spent = org.award(100)["transactionId"]
    org.redeem(600)
    org.post("/loyalty/transactions", REVERSAL | {"originalTransactionId": spent})
    assert org.web.get(f"/v1/members/salesforce:{MEMBER}/balance")["owed"] == 100
    org.sound()


def test_5_with_batch_processing_off(org: Org) -> None:
    """`processImmediately` or not: points are there at once, and the flag never delays them."""
    for flag in (True, False, None):
        made = org.award(10, **({} if flag is None else {"processImmediately": flag}))
        assert made["status"] == "Processed"
    assert org.balance() == (30, 30, 0, 0)


def test_6_the_idempotency_key(org: Org) -> None:
    """A repeat is the first answer; a refusal leaves the key free; award and redemption of one order keep apart."""
    body = {"memberId": MEMBER, "points": 450, "orderId": "A-1", "transactionType": "Purchase"}
    first = org.post("/loyalty/transactions", body, X_Request_Id="A-1")
    assert org.post("/loyalty/transactions", body, X_Request_Id="A-1") == first
    (reused,) = org.post("/loyalty/transactions", body | {"points": 1}, status=422, X_Request_Id="A-1")
    assert reused["errorCode"] == "DUPLICATE_VALUE"
    org.redeem(500, status=422, key="A-1", orderId="A-1")
    org.award(50)
    made = org.redeem(500, key="A-1", orderId="A-1")
    assert org.redeem(500, key="A-1", orderId="A-1") == made
    assert org.balance() == (0, 0, 0, 0)
    undo = REVERSAL | {"originalTransactionId": made["id"]}
    undone = org.post("/loyalty/transactions", undo, X_Request_Id="undo")
    assert org.post("/loyalty/transactions", undo, X_Request_Id="undo") == undone
    both: Any = {"X_Request_Id": "trace-1", "Idempotency_Key": "undo"}
    assert org.post("/loyalty/transactions", undo, **both) == undone
    assert org.balance() == (500, 500, 0, 0)
    org.sound()


def test_7_balances_with_several_types_of_transactions(org: Org) -> None:
    """500 awarded, 400 waiting, 200 redeemed, 50 of those back, 100 held by the other API: 750 = 250 + 400 + 100."""
    org.award(500)
    member = org.web.get(f"/v1/members/salesforce:{MEMBER}")["id"]
    org.web.post("/v1/transactions", {"member": member, "type": "credit", "amount": 400}, status=201)
    org.redeem(150)
    brought = org.redeem(50)["id"]
    org.post("/loyalty/transactions", REVERSAL | {"originalTransactionId": brought})
    org.web.post("/v1/transactions", {"member": member, "type": "debit", "amount": 100}, status=201)
    assert org.balance() == (750, 250, 400, 100)
    org.redeem(251, status=422)
    org.redeem(250)
    assert org.balance() == (500, 0, 400, 100)
    org.sound()
