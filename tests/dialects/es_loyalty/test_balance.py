"""The balance of a session's account: the document's own attributes, errors and headers, each with its arithmetic."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.es_loyalty.api.dialect import DIALECT
from tests.dialects.es_loyalty.conftest import SESSION, TENS
from tests.dialects.speaking import told
from tests.shop import begin
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.dialects.es_loyalty.conftest import Till

ATTRIBUTES = (
    "balance", "pointsBalance", "dollarBalance", "availablePointsBalance", "availableDollarBalance",
    "userMinRedeemPoints", "userMaxRedeemPoints", "userMinRedeemDollars", "userMaxRedeemDollars",
    "redeemablePointBalance", "redeemableDollarBalance",
)  # fmt: skip
BRONZE = {
    "tier_groups": [
        {
            "name": "status",
            "measure": "lifetime_points",
            "tiers": [{"name": "bronze", "threshold": 0}, {"name": "gold", "threshold": 10**9}],
        }
    ]
}
FIFTY_FIVE = {
    "balance": "55.00", "pointsBalance": "5500", "dollarBalance": "55.00",
    "availablePointsBalance": "5500", "availableDollarBalance": "55.00",
    "userMinRedeemPoints": "1000", "userMaxRedeemPoints": "5000",
    "userMinRedeemDollars": "10.00", "userMaxRedeemDollars": "50.00",
    "redeemablePointBalance": "5000", "redeemableDollarBalance": "50.00",
}  # fmt: skip
NOTHING_REDEEMABLE = {name: "0" for name in ATTRIBUTES if "edeem" in name}

FIGURES: list[tuple[str, int, int, dict[str, Any], dict[str, str]]] = [
    # why; points posted, of which held; rules; what differs from the balance of 55.00
    ("5500 at 0.01 are 55.00, of which 50.00 are five tens", 5500, 0, {}, {}),
    ("500 of them are held: 5000 and 50.00 are available", 5500, 500, {},
     {"availablePointsBalance": "5000", "availableDollarBalance": "50.00"}),
    ("600 are held: 49.00 are four tens", 5500, 600, {},
     {"availablePointsBalance": "4900", "availableDollarBalance": "49.00", "userMaxRedeemPoints": "4000",
      "userMaxRedeemDollars": "40.00", "redeemablePointBalance": "4000", "redeemableDollarBalance": "40.00"}),
    ("7.00 are less than the minimum of 10.00", 700, 0, {},
     {"balance": "7.00", "pointsBalance": "700", "dollarBalance": "7.00", "availablePointsBalance": "700",
      "availableDollarBalance": "7.00", **NOTHING_REDEEMABLE}),
    ("333 at 0.005 are 1.66, never 1.67; 332 points are worth that", 333, 0,
     {"burn_rate": "0.005", "increment": "0", "minimum": "0"},
     {"balance": "1.66", "pointsBalance": "333", "dollarBalance": "1.66", "availablePointsBalance": "333",
      "availableDollarBalance": "1.66", "userMinRedeemPoints": "2", "userMaxRedeemPoints": "332",
      "userMinRedeemDollars": "0.01", "userMaxRedeemDollars": "1.66", "redeemablePointBalance": "332",
      "redeemableDollarBalance": "1.66"}),
    ("of 334 at 0.005 one is held: 333 are 1.66, not 1.67 less nothing", 334, 1,
     {"burn_rate": "0.005", "increment": "0", "minimum": "0"},
     {"balance": "1.67", "pointsBalance": "334", "dollarBalance": "1.67", "availablePointsBalance": "333",
      "availableDollarBalance": "1.66", "userMinRedeemPoints": "2", "userMaxRedeemPoints": "332",
      "userMinRedeemDollars": "0.01", "userMaxRedeemDollars": "1.66", "redeemablePointBalance": "332",
      "redeemableDollarBalance": "1.66"}),
    ("35.00 a day are three tens", 5500, 0, {"per_day": "35.00"},
     {"redeemablePointBalance": "3000", "redeemableDollarBalance": "30.00", "userMaxRedeemPoints": "3000",
      "userMaxRedeemDollars": "30.00"}),
    ("35.00 a day, and the full balance shown", 5500, 0, {"per_day": "35.00", "full_balance": True},
     {"userMaxRedeemPoints": "3000", "userMaxRedeemDollars": "30.00"}),
    ("25.00 a day for the tier are two tens", 5500, 0, {"tiers": {"bronze": {"per_day": "25.00"}}},
     {"userMaxRedeemPoints": "2000", "userMaxRedeemDollars": "20.00"}),
    ("20.00 a transaction", 5500, 0, {"per_transaction": "20.00"},
     {"userMaxRedeemPoints": "2000", "userMaxRedeemDollars": "20.00"}),
    ("redeemable, a day, the tier: the least of 1200, 1000 and 500", 120_000, 0,
     {"per_day": "1000", "tiers": {"bronze": {"per_day": "500"}}},
     {"balance": "1200.00", "pointsBalance": "120000", "dollarBalance": "1200.00",
      "availablePointsBalance": "120000", "availableDollarBalance": "1200.00", "userMaxRedeemPoints": "50000",
      "userMaxRedeemDollars": "500.00", "redeemablePointBalance": "100000", "redeemableDollarBalance": "1000.00"}),
    ("of 900, 1000 and 500", 90_000, 0, {"per_day": "1000", "tiers": {"bronze": {"per_day": "500"}}},
     {"balance": "900.00", "pointsBalance": "90000", "dollarBalance": "900.00", "availablePointsBalance": "90000",
      "availableDollarBalance": "900.00", "userMaxRedeemPoints": "50000", "userMaxRedeemDollars": "500.00",
      "redeemablePointBalance": "90000", "redeemableDollarBalance": "900.00"}),
    ("of 1200, 1000 and 1000", 120_000, 0, {"per_day": "1000", "tiers": {"bronze": {"per_day": "1000"}}},
     {"balance": "1200.00", "pointsBalance": "120000", "dollarBalance": "1200.00",
      "availablePointsBalance": "120000", "availableDollarBalance": "1200.00", "userMaxRedeemPoints": "100000",
      "userMaxRedeemDollars": "1000.00", "redeemablePointBalance": "100000", "redeemableDollarBalance": "1000.00"}),
]  # fmt: skip


def figures(shown: dict[str, Any]) -> dict[str, Decimal]:
    return {name: Decimal(str(shown[name])) for name in ATTRIBUTES}


@pytest.mark.parametrize(
    ("why", "posted", "held", "rules", "differs"), FIGURES, ids=[one[0] for one in FIGURES]
)
def test_the_eleven_figures(
    till: Till, why: str, posted: int, held: int, rules: dict[str, Any], differs: dict[str, str]
) -> None:
    till.program({**TENS, **rules}, version=3, **BRONZE)
    member = till.member(posted)
    if held:
        till.web.play(begin(member, 2, "debit", held))
    till.start()
    shown = till.balance()
    expected = {name: Decimal(value) for name, value in {**FIFTY_FIVE, **differs}.items()}
    assert figures(shown) == expected, why
    assert shown["userMinRedeemPoints"] <= shown["userMaxRedeemPoints"]


def test_all_figures_are_numbers_with_their_own_digits(each_till: Till) -> None:
    each_till.member(5500)
    each_till.start()
    answer = each_till.ask("GET", f"/client/users/{SESSION}/balance")
    assert set(answer.get_json()) == set(ATTRIBUTES)
    assert all(type(value) in (int, float) for value in answer.get_json().values())
    exact = json.loads(answer.get_data(), parse_float=Decimal)
    assert (exact["balance"], exact["pointsBalance"]) == (Decimal("55.00"), 5500)


def test_dollars_are_rounded_down_to_the_unit_that_is_asked_for(till: Till) -> None:
    till.member(5555)
    till.start()
    assert till.balance()["dollarBalance"] == 55.55
    told(till.web, DIALECT.name, dollar_rounding_unit="1.00")
    shown = till.balance()
    assert (shown["balance"], shown["dollarBalance"], shown["availableDollarBalance"]) == (55, 55, 55)
    assert (shown["pointsBalance"], shown["redeemableDollarBalance"]) == (5555, 50)


def test_a_block_advice_zeroes_what_can_be_redeemed_until_it_is_cleared(till: Till) -> None:
    till.member(5500)
    till.start()
    before = till.balance()
    till.web.ask("PUT", "/v1/members/till:7000/advice", body={"advice": "REVIEW"})
    assert till.balance() == before
    till.web.ask("PUT", "/v1/members/till:7000/advice", body={"advice": "BLOCK"})
    blocked = till.balance()
    assert {name: blocked[name] for name in NOTHING_REDEEMABLE} == dict.fromkeys(NOTHING_REDEEMABLE, 0)
    assert blocked["pointsBalance"] == 5500
    till.web.ask("DELETE", "/v1/members/till:7000/advice")
    assert till.balance() == before


def test_whoever_only_says_a_telephone_number_redeems_nothing(till: Till) -> None:
    till.member(5500, "15550100")
    started = till.start(identifier="15550100", X_Identifier_Type="PHONE_NUMBER")
    shown = till.balance()
    for one in (started, shown):
        assert {name: one[name] for name in NOTHING_REDEEMABLE} == dict.fromkeys(NOTHING_REDEEMABLE, 0)
        assert (one["pointsBalance"], one["availableDollarBalance"]) == (5500, 55)
    why = till.refused("POST", f"/client/users/{SESSION}/reservations", {"reservationAmount": 1000})
    assert why == "Account is not eligible for redemption."


def test_a_body_is_not_looked_at(till: Till) -> None:
    till.member(5500)
    till.start()
    answer = till.ask("GET", f"/client/users/{SESSION}/balance", {"pointsBalance": 10**9})
    assert answer.get_json()["pointsBalance"] == 5500


ERRORS = [
    # address, sentence
    ("/client/users/%20/balance", "Must provide a session correlation ID"),
    ("/client/users//balance", "Must provide a session correlation ID"),
    ("/client/users/nobody/balance", "Session correlation ID does not exist--create it first"),
]


@pytest.mark.parametrize(("path", "sentence"), ERRORS)
def test_a_session_is_needed(till: Till, path: str, sentence: str) -> None:
    answer = till.ask("GET", path, status=400)
    assert answer.get_json() == {"statusCode": 400, "errorMessage": sentence, "errorCode": "INVALID_REQUEST"}


def test_without_a_points_bank_there_is_no_balance_to_ask_for(till: Till) -> None:
    told(till.web, DIALECT.name, points_bank=False)
    till.member(5500)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    started = till.web.client.post(
        "/client/users/7000/sessions", json={"correlationId": SESSION}, headers=headers
    )
    assert (started.status_code, "pointsBalance" in started.get_json()) == (200, False)
    sentence = till.refused("GET", f"/client/users/{SESSION}/balance")
    assert sentence == "API not applicable for your configuration"


HEADERS = {
    "cache-control": "no-cache, no-store, must-revalidate",
    "strict-transport-security": "max-age=31536000",
    "expect-ct": "max-age=86400",
    "x-content-type-options": "nosniff",
    "x-frame-options": "sameorigin",
    "x-xss-protection": "1;mode=block",
    "referrer-policy": "no-referrer",
    "feature-policy": "vibrate 'none'; geolocation 'none'",
    "content-security-policy": "connect-src 'none';object-src 'self';script-src 'self'",
    "access-control-allow-origin": "*",
}


def test_each_answer_has_the_headers_that_are_listed(till: Till) -> None:
    till.member(5500)
    till.start()
    seen = set()
    for path, status in ((f"/client/users/{SESSION}/balance", 200), ("/client/users/nobody/balance", 400)):
        answer = till.ask("GET", path, status=status)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        request = answer.headers["x-amzn-RequestId"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", request)
        assert answer.headers["X-Request-ID"] == f"req_{request.replace('-', '')}"
        assert re.fullmatch(r"[A-Za-z0-9+/]{15}=", answer.headers["x-amz-apigw-id"])
        assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Sampled=0", answer.headers["X-Amzn-Trace-Id"])
        assert int(answer.headers["Content-Length"]) == len(answer.get_data())
        seen.add(request)
    assert len(seen) == 2
