"""Purchases: earned and redeemed through a session, and told again without a second effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter import ids
from adapter.engine.rebuild import rebuild
from adapter.intake import reading
from connectors.es_loyalty.api.dialect import DIALECT
from tests.dialects.es_loyalty.conftest import SESSION
from tests.dialects.speaking import told
from tests.shop import enrol

if TYPE_CHECKING:
    from tests.dialects.es_loyalty.conftest import Till

PATH = f"/client/users/{SESSION}/activity/finalize/v2"
ITEMS = [
    {"sku": "beans", "subCategory": 12, "quantity": 2, "originalSaleAmount": 6000, "saleAmount": 5000, "itemTax": 400},
    {"sku": 4711, "saleAmount": 2500},
]  # fmt: skip


def purchase(**more: Any) -> dict[str, Any]:
    """Return 2 at 50.00 and one at 25.00, without tax: 125.00."""
    return {
        "action": "PURCHASE",
        "channel": "POS",
        "saleLineItems": ITEMS,
        "tender": {"CASH": "12900"},
        **more,
    }


def test_a_till_asks_reserves_and_finalizes(each_till: Till) -> None:
    """5500 points: 2000 pay 20.00 of 125.00; floor(125.00 - 20.00) = 105 are earned: 5500 - 2000 + 105 = 3605."""
    till = each_till
    member = till.member(5500)
    till.start()
    assert till.balance()["userMaxRedeemDollars"] == 50
    token = till.reserve(2000)["reservationToken"]
    tender = {
        "VISA": [{"idType": "LAST_4", "suffix": "1235", "amount": "10900"}],
        "LOYALTY": [{"reservationToken": token, "amount": 2000}],
    }
    done = till.ask("POST", PATH, purchase(callId="sale-1", tender=tender)).get_json()
    assert (done["transactionId"], done["pointsEarned"], done["pointsRedeemed"]) == ("sale-1", 105, 2000)
    assert "ConfirmationDetails" not in done
    assert (till.shown(member)["available"], till.shown(member)["reserved"]) == (3605, 0)
    assert till.web.get(f"/v1/redemptions/{token}")["state"] == "applied"
    assert till.web.get("/v1/members/till:7000/explain")["adds_up"] is True
    assert rebuild(till.web.engine, reading(till.web.parts.connectors)) == []


def test_a_purchase_that_is_sent_again_has_no_second_effect(each_till: Till) -> None:
    till = each_till
    member = till.member(0)
    till.start()
    first = till.ask("POST", PATH, purchase()).get_json()
    till.web.now += 1000
    assert till.ask("POST", PATH, purchase()).get_json() == first
    assert (first["transactionId"], till.shown(member)["total"]) == (SESSION, 125)


def test_the_tender_says_the_reservation_or_the_session_does(till: Till) -> None:
    till.member(5500)
    till.start()
    till.reserve(2000)
    tender = {"CASH": "109", "LOYALTY": 1900}
    why = till.refused("POST", PATH, purchase(tender=tender))
    assert why == "tender.LOYALTY: The reservation is worth 2000, not 1900."
    second = till.reserve(1000)["reservationToken"]
    tender["LOYALTY"] = 2000
    assert "everal reservations wait" in till.refused("POST", PATH, purchase(tender=tender))
    till.ask("DELETE", f"/client/users/{SESSION}/reservations/{second}")
    assert till.ask("POST", PATH, purchase(tender=tender)).get_json()["pointsRedeemed"] == 2000
    assert "o reservation waits" in till.refused("POST", PATH, purchase(callId="next", tender=tender))


def test_a_delayed_purchase_earns_once_it_is_confirmed(each_till: Till) -> None:
    till = each_till
    member = till.member(0)
    till.start()
    confirming = f"/client/users/{SESSION}/sessions/sale-2/confirmations"
    assert till.refused("POST", confirming, {"mode": "CART"}) == "Transaction does not exist"
    done = till.ask("POST", PATH, purchase(callId="sale-2", confirmation={"mode": "CART"})).get_json()
    assert done["ConfirmationDetails"] == {"confirmed": False, "mode": "CART"}
    shown = till.shown(member)
    assert (done["pointsEarned"], shown["available"], shown["pending"]) == (125, 0, 125)
    confirmed = till.ask("POST", confirming, {"mode": "CART"}).get_json()
    assert confirmed == {"message": "The transaction has been fully confirmed."}
    assert till.shown(member)["available"] == 125
    assert till.refused("POST", confirming, {"mode": "CART"}) == "Transaction already confirmed"
    assert till.refused("POST", confirming, {"mode": "ITEM"}) == "mode: Input should be 'CART'."
    till.member(0, "7001")
    till.start("theirs", "7001")
    theirs = "/client/users/theirs/sessions/sale-2/confirmations"
    assert till.refused("POST", theirs, {"mode": "CART"}) == "Transaction does not exist"


def test_without_lines_what_was_tendered_counts(till: Till) -> None:
    member = till.member(0)
    till.start()
    tender = {"CASH": "2000", "VISA": [{"amount": 550}]}
    body = {"tender": tender, "transactionDate": "2026-11-17T10:00:00-05:00"}
    assert till.ask("POST", PATH, body).get_json()["pointsEarned"] == 25
    line = till.web.get("/v1/members/till:7000/transactions")["data"][0]
    assert (line["occurred_at"], till.shown(member)["available"]) == ("2026-11-17T15:00:00.000Z", 25)


def test_nobody_earns_in_an_anonymous_session(till: Till) -> None:
    till.ask("POST", "/client/users/anonymous/sessions", {"correlationId": SESSION})
    done = till.ask("POST", PATH, purchase()).get_json()
    assert (done["pointsEarned"], done["reason"]) == (0, "unknown_member")
    tender = {"LOYALTY": 100}
    assert till.refused("POST", PATH, purchase(tender=tender)) == "Account is not eligible for redemption."


REFUSED = [
    ({"action": "RETURN"}, "action: Input should be 'PURCHASE'."),
    ({"saleLineItems": [{"saleAmount": 1.5}]}, "saleLineItems.0.saleAmount: "),
    ({"saleLineItems": [{"sku": "x"}]}, "saleLineItems.0.saleAmount: This field is required."),
    ({"tender": {"CASH": -1}}, "tender.CASH."),
    ({"tender": "cash"}, "tender: Input should be a valid dictionary."),
    ({"transactionDate": "soon"}, "transactionDate: Give an ISO 8601 instant such as 2026-11-20T12:00:00Z."),
]


@pytest.mark.parametrize(("body", "why"), REFUSED, ids=[str(one[0]) for one in REFUSED])
def test_what_is_wrong_is_named(till: Till, body: dict[str, Any], why: str) -> None:
    till.member(0)
    till.start()
    assert till.refused("POST", PATH, body).startswith(why)


def test_purchases_need_a_source_that_takes_them_and_knows_the_customer(till: Till) -> None:
    till.member(0)
    till.start()
    told(till.web, DIALECT.name, purchases_of="shop")
    why = till.refused("POST", PATH, purchase())
    assert why.startswith("purchases_of: No source 'shop' with the connector")
    told(till.web, DIALECT.name)
    till.web.play(enrol(77))
    till.start("cardless", ids.show("mem", 77))
    path = "/client/users/cardless/activity/finalize/v2"
    why = till.refused("POST", path, purchase())
    assert why.startswith("purchases_of: The account is no customer of 'till'")
