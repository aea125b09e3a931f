"""Reservations: what they hold, who may have them, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connectors.es_loyalty.api.dialect import DIALECT
from tests.dialects.es_loyalty.conftest import SESSION
from tests.dialects.speaking import told

if TYPE_CHECKING:
    from tests.dialects.es_loyalty.conftest import Till

PATH = f"/client/users/{SESSION}/reservations"
REWARDS = [
    {"id": "mug", "kind": "item", "cost": 1500, "title": "A mug"},
    {"id": "tote", "kind": "item", "cost": 500, "title": "A bag"},
]


@pytest.mark.parametrize("said", [2000, "2000"])
def test_reserved_points_are_held_until_they_are_cancelled(each_till: Till, said: object) -> None:
    """5500 points, 2000 on hold: the balance stays, 3500 are available; cancelled, all of them are again."""
    till = each_till
    till.member(5500)
    till.start()
    held = till.reserve(said, redemptionId="R-1", businessUnit="grocery")
    assert (held["reservationAmount"], held["reservationDollarAmount"]) == (2000, 20)
    assert (held["status"], held["sessionId"]) == ("RESERVED", SESSION)
    assert held["reservationExpiryDate"] == "2026-11-19T11:06:40.000Z"
    shown = till.balance()
    assert (shown["pointsBalance"], shown["availablePointsBalance"]) == (5500, 3500)
    token = held["reservationToken"]
    ours = till.web.get(f"/v1/redemptions/{token}")
    assert (ours["state"], ours["cost"], ours["metadata"]["redemptionId"]) == ("pending", 2000, "R-1")
    cancelled = till.ask("DELETE", f"{PATH}/{token}").get_json()
    assert cancelled == {"status": "CANCELLED", "reservationToken": token, "sessionId": SESSION}
    assert till.balance()["availablePointsBalance"] == 5500
    assert "released already" in till.refused("DELETE", f"{PATH}/{token}")


def test_a_reservation_that_nobody_uses_gives_its_points_back(till: Till) -> None:
    told(till.web, DIALECT.name, session_minutes=10_000)
    till.program({"burn_rate": "0.01", "currency": "USD", "hold_minutes": 30}, version=3)
    till.member(5500)
    till.start()
    till.reserve(2000)
    till.web.now += 30 * 60_000 - 1
    assert till.balance()["availablePointsBalance"] == 3500
    till.web.now += 1
    assert till.balance()["availablePointsBalance"] == 5500


def test_items_are_reserved_for_what_they_cost(till: Till) -> None:
    """One mug of 1500 and three bags of 500 are 3000 points; an amount that is said comes first."""
    till.program(version=3, rewards=REWARDS)
    till.member(5500)
    till.start()
    items: list[dict[str, Any]] = [{"id": "mug"}, {"productCode": "tote", "quantity": 3}]
    held = till.ask("POST", PATH, {"catalogueItems": items}).get_json()
    assert held["reservationAmount"] == 3000
    assert till.reserve(1000, catalogueItems=items)["reservationAmount"] == 1000


REFUSED = [
    # body, sentence
    ({}, "reservationAmount: Say how many points, or which catalogueItems."),
    ({"reservationAmount": 0}, "reservationAmount: Give an amount above zero and at most 1000000000000000."),
    ({"reservationAmount": "lots"}, 'reservationAmount: Give a number, or text such as "12.50".'),
    ({"reservationAmount": "1.5"}, "reservationAmount: This balance has 0 decimals."),
    ({"catalogueItems": [{"id": "boat"}]}, "catalogueItems.0.id: There is no reward 'boat' in the catalogue."),
    ({"catalogueItems": [{"id": "mug", "quantity": 0}]},
     "catalogueItems.0.quantity: Input should be greater than or equal to 1."),
    ({"reservationAmount": 500}, "5.00 USD is less than the minimum of 10.00 USD."),
    ({"reservationAmount": 1500}, "Redeem whole multiples of 10.00 USD, not 15.00 USD."),
    ({"reservationAmount": 1000, "contributions": {"A": 1}},
     "contributions: No households are kept here: the session's account gives all points."),
]  # fmt: skip


@pytest.mark.parametrize(("body", "why"), REFUSED, ids=[str(one[0]) for one in REFUSED])
def test_what_cannot_be_reserved(till: Till, body: Any, why: str) -> None:
    till.member(5500)
    till.start()
    assert till.refused("POST", PATH, body).startswith(why)


def test_too_few_points_are_told_with_the_figures(till: Till) -> None:
    till.member(1500)
    till.start()
    till.reserve(1000)
    why = till.refused("POST", PATH, {"reservationAmount": 1000})
    assert "1000" in why
    assert "500" in why


def test_a_token_belongs_to_its_account(till: Till) -> None:
    till.member(5500)
    till.member(5500, "7001")
    till.start()
    till.start("theirs", "7001")
    token = till.reserve(1000)["reservationToken"]
    till.refused("DELETE", f"/client/users/theirs/reservations/{token}", status=404)
    till.refused("DELETE", f"{PATH}/{token[:-1]}", status=404)
    assert till.balance()["availablePointsBalance"] == 4500


def test_where_it_is_not_enabled_nothing_is_reserved(till: Till) -> None:
    told(till.web, DIALECT.name, adhoc_redemption=False)
    till.member(5500)
    till.start()
    why = "Adhoc Redemption feature is not enabled"
    assert till.refused("POST", PATH, {"reservationAmount": 1000}) == why


def test_a_reservation_is_redeemed_without_a_purchase(till: Till) -> None:
    member = till.member(5500)
    till.start()
    token = till.reserve(1000)["reservationToken"]
    path = f"/client/users/{SESSION}/adhoc-redemption"
    no_unit = till.refused("POST", path, {"reservationToken": token})
    assert no_unit == "Business Unit is mandatory and required to be non-empty"
    done = till.ask("POST", path, {"reservationToken": token, "businessUnit": "grocery"}).get_json()
    assert done["transactionId"].startswith("txn_")
    assert till.shown(member)["posted"] == 4500
    again = till.refused("POST", path, {"reservationToken": token, "businessUnit": "grocery"})
    assert "applied already" in again


def test_one_request_that_comes_twice_reserves_once(each_till: Till) -> None:
    each_till.member(5500)
    each_till.start()
    answers = [
        each_till.ask("POST", PATH, {"reservationAmount": 1000}, Idempotency_Key="once") for _ in range(2)
    ]
    assert answers[0].get_data() == answers[1].get_data()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert each_till.balance()["availablePointsBalance"] == 4500
