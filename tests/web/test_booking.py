"""Credits and debits over HTTP: what is asked for, what is answered, what is refused and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from adapter.errors import Busy
from adapter.store import tables as t
from tests.shop import DAY, NOW, customer, placed, recorded
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.web.conftest import Web

URL = "/v1/transactions"


@pytest.fixture
def member(web: Web) -> Web:
    """Somebody with 100 points, in a program that keeps points and cash."""
    with web.engine.begin() as connection:
        cash = {"env": 1, "id": 2, "program": "main", "name": "cash", "unit": "EUR", "decimals": 2}
        connection.execute(insert(t.definitions).values(**cash))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    web.play(recorded(customer("7000", email="jo@example.com")))
    book(web, "credit", 100, complete=True)
    return web


def book(
    web: Web,
    kind: str,
    amount: Any,
    *,
    status: int = 201,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Any:
    body = {"member": "shop:7000", "type": kind, "amount": amount, "balance_definition": "points", **more}
    return web.ask("POST", URL, body=body, status=status, headers=headers)


def balance(web: Web, name: str = "points") -> dict[str, Any]:
    found: dict[str, Any] = web.get("/v1/members/shop:7000/balance", balance_definition=name)
    return found


def test_a_hold_is_begun_and_completed(member: Web) -> None:
    begun = book(member, "debit", 30, ttl=60, reason="a table for two", metadata={"table": "4"})
    assert (begun["state"], begun["amount"], begun["reason"]) == ("pending", 30, "a table for two")
    assert (begun["expires_at"], begun["metadata"]) == ("2026-11-18T11:07:40.000Z", {"table": "4"})
    assert (balance(member)["available"], balance(member)["reserved"]) == (70, 30)
    ended = member.post(f"{URL}/{begun['id']}/complete", {"reason": "they came"})
    assert (ended["state"], ended["reason"], ended["id"]) == ("completed", "they came", begun["id"])
    assert (balance(member)["total"], balance(member)["reserved"]) == (70, 0)
    assert member.get(f"{URL}/{begun['id']}") == ended


def test_a_credit_is_begun_and_cancelled(member: Web) -> None:
    begun = book(member, "credit", 5, occurred_at="2026-11-01T00:00:00Z")
    assert (begun["state"], begun["occurred_at"]) == ("pending", "2026-11-01T00:00:00.000Z")
    assert balance(member)["pending"] == 5
    assert member.post(f"{URL}/{begun['id']}/cancel")["state"] == "cancelled"
    assert (balance(member)["pending"], balance(member)["total"]) == (0, 100)


def test_what_has_ended_is_a_conflict(member: Web) -> None:
    done = book(member, "debit", 30, complete=True)
    for verb in ("complete", "cancel"):
        answer = member.post(f"{URL}/{done['id']}/{verb}", status=409)
        assert (answer["code"], answer["detail"]) == ("transaction_completed", "It is completed already.")


def test_past_its_deadline_it_has_expired(member: Web) -> None:
    begun = book(member, "debit", 30, ttl=60)
    member.now += 60_000
    assert balance(member)["available"] == 100
    assert member.post(f"{URL}/{begun['id']}/complete", status=409)["code"] == "transaction_expired"


def test_a_repeat_past_the_deadline_is_answered_as_the_first_one_was(member: Web) -> None:
    key = {"Idempotency-Key": "a table"}
    begun = book(member, "debit", 30, ttl=60, headers=key)
    member.now += 60_000
    assert book(member, "debit", 30, ttl=60, headers=key) == begun
    assert member.get(f"{URL}/{begun['id']}")["state"] == "expired"


def test_too_few_points_say_what_there_is(member: Web) -> None:
    book(member, "debit", 25)
    book(member, "credit", 40)
    answer = book(member, "debit", 90, status=422)
    assert answer["code"] == "insufficient_balance"
    assert answer["figures"] == {
        "requested": 90, "available": 75, "pending": 40, "reserved": 25, "owed": 0, "expired": 0, "redeemed": 0,
    }  # fmt: skip
    cash = book(member, "debit", "0.50", balance_definition="cash", status=422)
    assert cash["figures"]["requested"] == "0.50"


def test_amounts_have_the_balances_decimals(member: Web) -> None:
    assert book(member, "credit", "12.50", balance_definition="cash", complete=True)["amount"] == "12.50"
    assert book(member, "credit", 3, balance_definition="cash", complete=True)["amount"] == "3.00"
    assert balance(member, "cash")["available"] == "15.50"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"amount": 0}, "amount"),
    ({"amount": -5}, "amount"),
    ({"amount": "1.5"}, "amount"),
    ({"amount": "NaN"}, "amount"),
    ({"amount": "Infinity"}, "amount"),
    ({"amount": "1e400"}, "amount"),
    ({"amount": "many"}, "amount"),
    ({"amount": 10**16}, "amount"),
    ({"type": "gift"}, "type"),
    ({"ttl": 0}, "ttl"),
    ({"occurred_at": "2026-11-18T12:00:00Z"}, "occurred_at"),
    ({"points_expire_at": "2026-11-01T00:00:00Z"}, "points_expire_at"),
    ({"points_ttl": 0}, "points_ttl"),
    ({"type": "debit", "points_ttl": 60}, "points_ttl"),
    ({"points_ttl": 60, "points_expire_at": "2027-11-01T00:00:00Z"}, "points_ttl"),
    ({"type": "debit", "points_expire_at": "2027-11-01T00:00:00Z"}, "points_expire_at"),
    ({"metadata": {"a:b": "c"}}, "metadata.a:b.[key]"),
    ({"metadata": {"a": 5}}, "metadata.a"),
    ({"strange": 1}, "strange"),
]


@pytest.mark.parametrize(("change", "field"), FAULTS, ids=lambda value: str(value)[:40])
def test_the_field_at_fault_is_named(member: Web, change: dict[str, Any], field: str) -> None:
    body = {"member": "shop:7000", "type": "credit", "amount": 5, "balance_definition": "points", **change}
    answer = member.ask("POST", URL, body=body, status=400)
    assert [one["field"] for one in answer["errors"]] == [field]
    assert balance(member)["sequence"] == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"member": "shop:nobody"}, 404, "member_unknown"),
        ({"program": "other"}, 404, "not_found"),
        ({"balance_definition": "miles"}, 404, "not_found"),
    ],
)
def test_what_is_not_there_is_404(member: Web, change: dict[str, Any], status: int, code: str) -> None:
    assert book(member, "credit", 5, status=status, **change)["code"] in (code, "not_found")


def test_an_orders_award_stays_the_orders(member: Web) -> None:
    member.play(recorded(placed()))
    award = member.get(URL, state="pending")["data"][0]["id"]
    assert member.post(f"{URL}/{award}/complete", status=409)["code"] == "transaction_of_order"


def test_transactions_are_found_by_their_metadata(member: Web) -> None:
    first = book(member, "credit", 1, metadata={"campaign": "spring", "till": "4"})
    book(member, "credit", 2, metadata={"campaign": "autumn"})
    third = book(member, "credit", 3, metadata={"campaign": "spring"})
    assert [one["id"] for one in member.get(URL, metadata="campaign:spring")["data"]] == [
        third["id"],
        first["id"],
    ]
    assert member.get(URL, metadata="till:5")["data"] == []
    assert member.get(URL, metadata="till", status=400)["errors"][0]["field"] == "metadata"


def test_a_repeat_gets_the_first_answer_byte_for_byte(member: Web) -> None:
    body = {"member": "shop:7000", "type": "debit", "amount": 30, "balance_definition": "points"}
    sent = {"api-key": TOKEN, "Idempotency-Key": "k1"}
    first, again = (member.client.post(URL, json=body, headers=sent) for _ in range(2))
    member.post(f"{URL}/{first.get_json()['id']}/complete")
    later = member.client.post(URL, json=body, headers=sent)
    assert first.data == again.data == later.data
    assert [one.headers.get("Idempotency-Replayed") for one in (first, again, later)] == [
        None,
        "true",
        "true",
    ]
    other = member.client.post(URL, json={**body, "amount": 31}, headers=sent)
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_key_reused")
    assert balance(member)["available"] == 70


def test_while_the_book_is_away_nothing_is_booked(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(customer("7000")))
    sqlite_web.submit_error = Busy()
    body = {"member": "shop:7000", "type": "credit", "amount": 5}
    assert sqlite_web.post(URL, body, status=503)["code"] == "busy"


def test_a_deleted_member_is_found_no_more(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(customer("7000")))
    with sqlite_web.engine.begin() as connection:
        connection.execute(t.members.update().values(state="deleted", deleted_at=NOW + DAY))
    sqlite_web.post(URL, {"member": "shop:7000", "type": "credit", "amount": 5}, status=404)


def test_a_command_is_an_event_that_is_not_taken_in_again(member: Web) -> None:
    found = member.get("/v1/events", source="@api")["data"]
    assert [one["topic"] for one in found] == ["transaction.completed"]
    answer = member.post(f"/v1/events/{found[0]['id']}/replay", status=409)
    assert "command of the API" in answer["detail"]
