"""Sessions: who is found by which identifier, and how a session ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter import ids
from connectors.es_loyalty.api.dialect import DIALECT
from tests.dialects.es_loyalty.conftest import SESSION
from tests.dialects.speaking import told
from tests.shop import merge, turn

if TYPE_CHECKING:
    from tests.dialects.es_loyalty.conftest import Till

CLOSED = "Session Closed"


def test_an_account_is_found_by_each_of_its_names(each_till: Till) -> None:
    till = each_till
    told(till.web, DIALECT.name, identifiers={"EXTERNAL_ID": "shop"})
    member = till.member(100, email="jo@example.com")
    shopper = till.member(0, "in-between")
    till.web.play(merge(shopper, member))
    ours = ids.show("mem", member)
    found = [
        till.start("s1"),
        till.start("s2", ours),
        till.start("s3", "jo@example.com", X_Identifier_Type="EMAIL"),
        till.start("s4", X_Identifier_Type="LOYALTY_ID"),
        till.start("s5", "in-between", X_Identifier_Type="PARTNER_LINK_ID"),
    ]
    assert {one["accountId"] for one in found} == {ours}
    assert {(one["loyaltyId"], one["status"], one["pointsBalance"]) for one in found} == {
        ("7000", "ACTIVE", 100)
    }
    assert [one["sessionId"] for one in found] == ["s1", "s2", "s3", "s4", "s5"]
    why = till.refused(
        "POST",
        "/client/users/7000/sessions",
        {"correlationId": "s6"},
        status=404,
        X_Identifier_Type="EXTERNAL_ID",
    )
    assert "'shop:7000'" in why


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        ({}, {}, "correlationId: This field is required."),
        ({"correlationId": " "}, {}, "correlationId: String should have at least 1 character."),
        ({"correlationId": "s", "channel": " "}, {}, "channel: String should have at least 1 character."),
        ({"correlationId": 7}, {}, "correlationId: Input should be a valid string."),
        ({"correlationId": "s"}, {"X_Identifier_Type": "SHOE_SIZE"}, "X-Identifier-Type is 'SHOE_SIZE'"),
    ],
)
def test_what_is_wrong_is_named(till: Till, body: object, headers: dict[str, Any], why: str) -> None:
    till.member(0)
    assert till.refused("POST", "/client/users/7000/sessions", body, **headers).startswith(why)


def test_a_correlation_id_stands_for_one_account(each_till: Till) -> None:
    till = each_till
    till.member(0)
    till.member(0, "7001")
    first = till.start()
    till.web.now += 1000
    assert till.start() == first
    body = {"correlationId": SESSION}
    assert till.refused("POST", "/client/users/7001/sessions", body).endswith("take a new one")
    assert till.refused("POST", "/client/users/anonymous/sessions", body).endswith("take a new one")


def test_a_session_is_over_at_its_instant(till: Till) -> None:
    told(till.web, DIALECT.name, session_minutes=10)
    till.member(0)
    till.start()
    till.web.now += 10 * 60_000 - 1
    till.balance()
    till.web.now += 1
    assert till.refused("GET", f"/client/users/{SESSION}/balance") == CLOSED
    assert till.refused("POST", "/client/users/7000/sessions", {"correlationId": SESSION}) == CLOSED


def test_an_account_that_is_gone_closes_its_session_and_one_that_was_merged_goes_on(till: Till) -> None:
    member, other = till.member(100), till.member(20, "7001")
    till.start()
    till.web.play(merge(member, other))
    assert till.balance()["pointsBalance"] == 120
    till.web.play(turn(7, other, "deleted"))
    assert till.refused("GET", f"/client/users/{SESSION}/balance") == CLOSED


def test_nobody_is_known_in_an_anonymous_session(till: Till) -> None:
    body = {"correlationId": SESSION, "channel": "STORE"}
    started = till.ask("POST", "/client/users/anonymous/sessions", body).get_json()
    assert (started["loyaltyId"], started["status"], started["accountId"]) == ("anonymous", "NO_CARD", None)
    assert "has no account" in till.refused("GET", f"/client/users/{SESSION}/balance")


def test_another_environment_has_sessions_of_its_own(till: Till) -> None:
    from tests.web.conftest import STRANGER

    till.member(0)
    till.start()
    headers = {"Authorization": f"Bearer {STRANGER}"}
    answer = till.web.client.get(f"/client/users/{SESSION}/balance", headers=headers)
    assert answer.get_json()["errorMessage"] == "Session correlation ID does not exist--create it first"
