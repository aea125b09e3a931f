"""The history of an account: a page of credits and debits, and the one after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dialects.es_loyalty.conftest import SESSION
from tests.shop import NOW, begin

if TYPE_CHECKING:
    from tests.dialects.es_loyalty.conftest import Till

PATH = f"/client/users/{SESSION}/transactions/history/v2"


def test_pages_follow_one_another(each_till: Till) -> None:
    till = each_till
    member = till.member(0)
    till.web.play(*(begin(member, number, "credit", number, complete=True) for number in range(1, 36)))
    till.start()
    first = till.ask("GET", PATH).get_json()
    assert [one["points"] for one in first["transactions"]] == list(range(35, 5, -1))
    last = first["transactions"][-1]["transactionId"]
    second = till.ask("GET", PATH, query={"transactionId": last}).get_json()
    assert [one["points"] for one in second["transactions"]] == [5, 4, 3, 2, 1]
    assert (first["hasMore"], second["hasMore"]) == (True, False)
    assert len(till.ask("GET", PATH, query={"limit": 150}).get_json()["transactions"]) == 35


def test_what_was_taken_is_below_zero(till: Till) -> None:
    till.member(5500)
    till.start()
    token = till.reserve(1000)["reservationToken"]
    shown = till.ask("GET", PATH).get_json()["transactions"]
    assert [(one["transactionType"], one["status"], one["points"]) for one in shown] == [
        ("DEBIT", "PENDING", -1000),
        ("CREDIT", "COMPLETED", 5500),
    ]
    till.ask("DELETE", f"/client/users/{SESSION}/reservations/{token}")
    assert till.ask("GET", PATH).get_json()["transactions"][0]["status"] == "CANCELLED"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [3, 2, 1]),
        ({"from": NOW + 1000}, [2, 1]),  # the search begins there, and goes back
        ({"to": NOW + 1000}, [3, 2]),
        ({"from": NOW + 1000, "to": NOW + 500}, [2]),
        ({"from": NOW, "to": NOW + 1000}, [2, 1]),
        ({"from": NOW + 2001, "to": NOW + 3000}, []),
    ],
)
def test_a_period_is_looked_through_backwards(till: Till, query: dict[str, int], found: list[int]) -> None:
    member = till.member(0)
    for number in (1, 2, 3):
        till.web.play(begin(member, number, "credit", number, complete=True), now=NOW + 1000 * (number - 1))
    till.web.now = NOW + 5000
    till.start()
    shown = till.ask("GET", PATH, query=query).get_json()
    assert [one["points"] for one in shown["transactions"]] == found


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"limit": 151}, "limit: Input should be less than or equal to 150."),
        ({"limit": 0}, "limit: Input should be greater than or equal to 1."),
        ({"from": "yesterday"}, "from: Input should be a valid integer"),
        ({"transactionId": "7"}, "transactionId: Give an id such as txn_0000000000000."),
    ],
)
def test_what_cannot_be_asked_is_named(till: Till, query: dict[str, object], why: str) -> None:
    till.member(0)
    till.start()
    answer = till.ask("GET", PATH, query=query, status=400)
    assert answer.get_json()["errorMessage"].startswith(why)
