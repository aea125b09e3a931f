"""Redemptions and rewards over HTTP: what is asked for, what is answered, what is refused and why."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import DAY, NOW, customer, line, paid, placed, recorded, refunded, totals
from tests.web.conftest import STRANGER, TOKEN, keyed

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v1/redemptions"
SHIPPING = {"name": "Jo Doe", "line1": "Storgata 1", "city": "Oslo", "postal_code": "0155", "country": "NO"}
RULES: dict[str, Any] = {
    "name": "main",
    "balance_definitions": [{"name": "points"}, {"name": "cash", "decimals": 2}],
    "earning": {"rate": "1"},
    "redeeming": {"currency": "EUR", "code_prefix": "ACME", "return_on_refund": "proportional"},
    "rewards": [
        {
            "id": "rwd_five",
            "kind": "discount",
            "cost": 500,
            "value": "5.00",
            "currency": "EUR",
            "title": "5 off",
        },
        {"id": "rwd_totebag", "kind": "item", "cost": 300},
        {"id": "rwd_cash", "kind": "credit", "cost": 200, "value": "2.50", "credits": "cash"},
        {"id": "rwd_money", "kind": "credit", "cost": 200, "value": "2.00", "currency": "EUR"},
        {"id": "rwd_dear", "kind": "item", "cost": 1001},
    ],
}


@pytest.fixture
def shopper(web: Web) -> Web:
    """Somebody with 1000 points, in a program with a catalogue."""
    offer(web)
    web.play(recorded(customer("7000", email="jo@example.com")))
    credit = {"member": "shop:7000", "type": "credit", "amount": 1000, "complete": True}
    web.post("/v1/transactions", {**credit, "balance_definition": "points"}, status=201)
    return web


def offer(web: Web, **changes: Any) -> None:
    body = Program.model_validate(RULES | changes).model_dump_json()
    with web.engine.begin() as connection:
        connection.execute(t.programs.update().where(t.programs.c.env == 1).values(body=body))
        if not changes:
            cash = {"env": 1, "id": 2, "program": "main", "name": "cash", "unit": "EUR", "decimals": 2}
            connection.execute(insert(t.definitions).values(**cash))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


def redeem(web: Web, *, status: int = 201, **asked: Any) -> Any:
    return web.post(URL, {"member": "shop:7000", **asked}, status=status)


def available(web: Web, name: str = "points") -> Any:
    return web.get("/v1/members/shop:7000/balance", balance_definition=name)["available"]


def order(web: Web, number: str = "1", **more: Any) -> None:
    """29.99 less 5.00 by a code: the customer pays 24.99."""
    web.play(recorded(placed(number, what=totals(line(1, "24.99"), **more))))


def test_a_discount_is_had_used_and_settled(shopper: Web) -> None:
    """29.99 - 5.00 = 24.99 are charged; 500 of 1000 points are held, then spent."""
    had = redeem(shopper, reward="rwd_five", reason="checkout", metadata={"cart": "9f31"})
    assert re.fullmatch(r"rdm_[0-9a-z]{13}", had["id"])
    assert re.fullmatch(r"ACME-[0-9A-HJKMNP-TV-Z]{8}", had["discount"]["code"])
    assert (had["discount"]["amount"], had["discount"]["currency"]) == (500, "EUR")
    assert (had["kind"], had["state"], had["usable"], had["cost"]) == ("discount", "pending", True, 500)
    assert (had["fulfillment"], had["credit"]) == (None, None)
    assert (had["reason"], had["metadata"]) == ("checkout", {"cart": "9f31"})
    assert had["expires_at"] == "2026-11-19T11:06:40.000Z"
    assert available(shopper) == 500
    order(shopper, codes=(had["discount"]["code"].lower(),))
    shopper.play(recorded(paid("1")))
    used = shopper.get(f"{URL}/{had['id']}")
    assert (used["state"], used["usable"], used["source"], used["order"]) == ("applied", False, "shop", "1")
    assert used["applied_at"] is not None
    shopper.play(recorded(refunded("1", amount="10.00")))
    assert shopper.get(f"{URL}/{had['id']}")["returned"] == 200
    assert available(shopper) == 700


def test_an_item_is_paid_at_once_and_sent(shopper: Web) -> None:
    had = redeem(shopper, reward="rwd_totebag", shipping=SHIPPING)
    assert (had["kind"], had["state"], had["usable"]) == ("item", "fulfillment_pending", False)
    assert had["fulfillment"] == {"shipping": SHIPPING, "tracking": None}
    assert (had["discount"], had["credit"], had["expires_at"]) == (None, None, None)
    assert available(shopper) == 700
    sent = shopper.post(f"{URL}/{had['id']}/fulfil", {"tracking": "1Z999"})
    assert (sent["state"], sent["fulfillment"]["tracking"]) == ("fulfilled", "1Z999")
    assert shopper.get(f"{URL}/{had['id']}") == sent
    refused = shopper.post(f"{URL}/{had['id']}/reverse", {"reason": "item_returned"}, status=422)
    assert refused["code"] == "already_fulfilled"
    undone = shopper.post(f"{URL}/{had['id']}/reverse", {"reason": "item_returned", "force": True})
    assert (undone["state"], undone["reason"]) == ("reversed", "item_returned")
    assert available(shopper) == 1000


def test_credit_goes_to_a_balance_or_is_yours_to_grant(shopper: Web) -> None:
    had = redeem(shopper, reward="rwd_cash")
    assert (had["state"], had["credit"]) == (
        "applied",
        {"amount": "2.50", "currency": None, "balance_definition": "cash"},
    )
    assert available(shopper, "cash") == "2.50"
    money = redeem(shopper, reward="rwd_money")
    assert money["credit"] == {"amount": 200, "currency": "EUR", "balance_definition": None}
    assert available(shopper) == 600


@pytest.mark.parametrize(
    ("asked", "cost", "amount"),
    [({"points": 333}, 333, 333), ({"value": 250}, 250, 250), ({"points": "40"}, 40, 40)],
    ids=str,
)
def test_money_off_by_points_or_by_value(shopper: Web, asked: dict[str, Any], cost: int, amount: int) -> None:
    had = redeem(shopper, balance_definition="points", **asked)
    assert (had["cost"], had["discount"]["amount"], had["reward"]) == (cost, amount, None)


def test_a_used_discount_is_only_reversed_by_force_and_says_what_stays(shopper: Web) -> None:
    had = redeem(shopper, reward="rwd_five")
    shopper.post(f"{URL}/{had['id']}/apply")
    refused = shopper.post(f"{URL}/{had['id']}/reverse", {"reason": "a mistake"}, status=422)
    assert refused["code"] == "already_applied"
    assert "does not charge the payment again" in refused["detail"]
    assert available(shopper) == 500
    undone = shopper.post(f"{URL}/{had['id']}/reverse", {"reason": "a mistake", "force": True})
    assert undone["state"] == "reversed"
    assert "is not charged again" in undone["notes"][0]
    assert available(shopper) == 1000
    again = shopper.post(f"{URL}/{had['id']}/reverse", {"force": True}, status=409)
    assert again["code"] == "redemption_reversed"


def test_the_code_stops_working_when_its_redemption_does(shopper: Web) -> None:
    had = redeem(shopper, reward="rwd_five")
    code = had["discount"]["code"]
    assert [one["usable"] for one in shopper.get(URL, code=code.lower())["data"]] == [True]
    shopper.post(f"{URL}/{had['id']}/release", {"reason": "another cart"})
    (found,) = shopper.get(URL, code=code)["data"]
    assert (found["id"], found["state"], found["usable"]) == (had["id"], "released", False)
    other = redeem(shopper, reward="rwd_five")
    assert other["discount"]["code"] != code
    shopper.now += DAY
    (over,) = shopper.get(URL, code=other["discount"]["code"])["data"]
    assert (over["state"], over["usable"]) == ("expired", False)
    assert shopper.post(f"{URL}/{other['id']}/apply", status=409)["code"] == "redemption_expired"


def test_its_transaction_says_whose_it_is_and_is_not_ended_alone(shopper: Web) -> None:
    had = redeem(shopper, reward="rwd_five")
    shown = shopper.get(f"/v1/transactions/{had['transaction']}")
    assert (shown["redemption"], shown["type"], shown["state"], shown["amount"]) == (
        had["id"],
        "debit",
        "pending",
        500,
    )
    for verb in ("complete", "cancel"):
        refused = shopper.post(f"/v1/transactions/{had['transaction']}/{verb}", status=409)
        assert refused["code"] == "transaction_of_redemption"
        assert had["id"] in refused["detail"]


def test_too_few_points_say_what_there_is(shopper: Web) -> None:
    redeem(shopper, reward="rwd_five")
    refused = redeem(shopper, reward="rwd_dear", status=422)
    assert refused["code"] == "insufficient_balance"
    figures = refused["figures"]
    assert [figures[name] for name in ("requested", "available", "reserved")] == [1001, 500, 500]
    assert shopper.get(URL)["data"][0]["reward"] == "rwd_five"


def test_a_refusal_does_not_burn_its_key(shopper: Web) -> None:
    """fail(1000 of 1001) → a credit → the same key → success → the same key → the same redemption."""
    sent = {"api-key": TOKEN, "Idempotency-Key": "redeem-order-1"}
    body = {"member": "shop:7000", "reward": "rwd_dear"}
    assert shopper.client.post(URL, json=body, headers=sent).status_code == 422
    credit = {"member": "shop:7000", "type": "credit", "amount": 1, "complete": True}
    shopper.post("/v1/transactions", {**credit, "balance_definition": "points"}, status=201)
    first, again = (shopper.client.post(URL, json=body, headers=sent) for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["Idempotency-Replayed"]) == (201, 201, "true")
    assert first.data == again.data
    assert available(shopper) == 0
    shopper.now += 2 * 3_600_000
    assert shopper.client.post(URL, json=body, headers=sent).data == first.data
    other = shopper.client.post(URL, json={**body, "reward": "rwd_five"}, headers=sent)
    assert other.get_json()["code"] == "idempotency_key_reused"


def test_the_answer_of_a_repeat_is_the_first_one_even_past_its_deadline(shopper: Web) -> None:
    sent = {"api-key": TOKEN, "Idempotency-Key": "k"}
    body = {"member": "shop:7000", "points": 10, "balance_definition": "points"}
    offer(shopper, redeeming={"currency": "EUR", "hold_minutes": 1})
    first = shopper.client.post(URL, json=body, headers=sent)
    shopper.now += 60_000
    assert shopper.client.post(URL, json=body, headers=sent).data == first.data
    assert shopper.get(f"{URL}/{first.get_json()['id']}")["state"] == "expired"


FAULTS: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({}, 400, "request_invalid", "reward"),
    ({"reward": "rwd_five", "points": 5}, 400, "request_invalid", "reward"),
    ({"points": 0}, 400, "request_invalid", "points"),
    ({"points": "1.5", "balance_definition": "points"}, 400, "request_invalid", "points"),
    ({"value": 0}, 400, "request_invalid", "value"),
    ({"value": "5.00"}, 400, "request_invalid", "value"),
    ({"reward": "rwd_none"}, 404, "reward_unknown", "reward"),
    ({"reward": "rwd_five", "balance_definition": "cash"}, 422, "reward_not_for_balance", None),
    ({"reward": "rwd_five", "shipping": SHIPPING}, 400, "request_invalid", "shipping"),
    ({"reward": "rwd_totebag", "shipping": {**SHIPPING, "country": "Norway"}}, 400, "request_invalid", "shipping.country"),
    ({"reward": "rwd_five", "order": "1"}, 400, "request_invalid", "source"),
    ({"reward": "rwd_five", "source": "shop"}, 400, "request_invalid", "order"),
    ({"reward": "rwd_five", "source": "nowhere", "order": "1"}, 400, "request_invalid", "source"),
    ({"reward": "rwd_five", "member": "shop:nobody"}, 404, "member_unknown", "member"),
    ({"reward": "rwd_five", "cost": 1}, 400, "request_invalid", "cost"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status", "code", "field"), FAULTS, ids=lambda value: str(value)[:50])
def test_the_field_at_fault_is_named(
    shopper: Web, asked: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    problem = redeem(shopper, status=status, **asked)
    assert problem["code"] == code
    assert [one["field"] for one in problem["errors"]] == ([] if field is None else [field])
    assert available(shopper) == 1000


def test_redemptions_are_listed_by_what_one_asks(shopper: Web) -> None:
    five = redeem(shopper, reward="rwd_five", source="shop", order="77")["id"]
    bag = redeem(shopper, reward="rwd_totebag")["id"]
    for query, found in (
        ({}, [bag, five]),
        ({"kind": "item"}, [bag]),
        ({"state": "pending"}, [five]),
        ({"state": "expired"}, []),
        ({"reward": "rwd_five"}, [five]),
        ({"member": "jo@example.com"}, [bag, five]),
        ({"source": "shop", "order": "77"}, [five]),
        ({"order": "78"}, []),
        ({"since": "2026-11-18T11:06:40Z"}, [bag, five]),
        ({"until": "2026-11-18T11:06:40Z"}, []),
    ):
        assert [one["id"] for one in shopper.ask("GET", URL, query=query)["data"]] == found, query
    shopper.now = NOW + DAY
    assert [one["id"] for one in shopper.get(URL, state="expired")["data"]] == [five]


def test_rewards_say_what_a_member_can_afford(shopper: Web) -> None:
    plain = {one["id"]: one for one in shopper.get("/v1/rewards")["data"]}
    assert plain["rwd_five"] == {
        "id": "rwd_five", "program": "main", "balance_definition": "points", "title": "5 off", "kind": "discount",
        "cost": 500, "value": 500, "currency": "EUR", "credits": None, "available": None, "affordable": None,
    }  # fmt: skip
    assert (plain["rwd_cash"]["value"], plain["rwd_cash"]["credits"]) == ("2.50", "cash")
    mine = {one["id"]: one for one in shopper.get("/v1/rewards", member="shop:7000", program="main")["data"]}
    assert {name for name, one in mine.items() if one["affordable"]} == set(plain) - {"rwd_dear"}
    assert {one["available"] for one in mine.values()} == {1000}
    assert shopper.get("/v1/rewards", program="other")["data"] == []


def test_scopes_open_what_they_say(shopper: Web) -> None:
    reads, spends = "sk_test_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "sk_test_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    keyed(shopper.engine, 1, reads, "redemptions:read")
    keyed(shopper.engine, 1, spends, "redemptions:write")
    had = shopper.post(URL, {"member": "shop:7000", "reward": "rwd_five"}, token=spends, status=201)
    assert shopper.get(f"{URL}/{had['id']}", token=reads)["id"] == had["id"]
    for token, method, path in (
        (reads, "POST", URL),
        (reads, "POST", f"{URL}/{had['id']}/apply"),
        (spends, "GET", URL),
        (spends, "GET", "/v1/rewards"),
    ):
        refused = shopper.client.open(path, method=method, json={}, headers={"api-key": token})
        assert (refused.status_code, refused.get_json()["code"]) == (403, "scope_missing"), (method, path)
    assert shopper.get(f"{URL}/{had['id']}", token=STRANGER, status=404)["code"] == "not_found"
    assert shopper.post(f"{URL}/nothing/apply", status=404)["code"] == "not_found"


def test_a_reward_of_two_programs_asks_which(shopper: Web) -> None:
    with shopper.engine.begin() as connection:
        body = Program.model_validate({**RULES, "name": "club"}).model_dump_json()
        connection.execute(
            insert(t.programs).values(env=1, name="club", version=1, published_at=0, body=body)
        )
        one = {"env": 1, "id": 9, "program": "club", "name": "points", "unit": "points", "decimals": 0}
        connection.execute(insert(t.definitions).values(**one))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    problem = redeem(shopper, reward="rwd_five", status=400)
    assert problem["errors"][0]["field"] == "program"
    assert "club, main" in problem["errors"][0]["message"]
    assert redeem(shopper, reward="rwd_five", program="main")["program"] == "main"


def test_a_code_that_is_taken_is_drawn_again(shopper: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([7, 7, 7, 8, 7])
    monkeypatch.setattr(secrets, "randbits", lambda _bits: next(drawn))
    codes = [redeem(shopper, points=100)["discount"]["code"] for _ in range(2)]
    given = shopper.post("/v1/vouchers", {"member": "shop:7000", "percent": "10"}, status=201)
    assert codes == ["ACME-70000000", "ACME-80000000"]
    assert given["code"] == "GIFT-70000000"
    assert available(shopper) == 800


def test_after_a_few_draws_the_caller_is_told(shopper: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "randbits", lambda _bits: 7)
    redeem(shopper, points=100)
    assert redeem(shopper, points=100, status=409)["code"] == "code_taken"
    assert available(shopper) == 900
