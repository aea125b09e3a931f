"""The manners of VINR's API: ids, errors, repeats, lists, and one truth with our own."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, insert

from adapter import ids
from adapter.store import tables as t
from tests.shop import NOW
from tests.web.conftest import STRANGER

if TYPE_CHECKING:
    from tests.dialects.vinr.conftest import Vinr
    from tests.web.conftest import Web

DISCOUNT = {"reward": "rwd_fivecredit"}
NOBODY = ids.show("loy", 0)


def settle(web: Web, **values: Any) -> None:
    """Say what VINR's requests mean in the first environment."""
    row = {
        "env": 1,
        "name": "vinr",
        "program": "main",
        "definition": 1,
        "customers_of": "vinr",
        "options": "{}",
    }
    with web.engine.begin() as connection:
        connection.execute(insert(t.dialects).values({**row, **values}))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


# --- one truth ------------------------------------------------------------------------------------------------------


def test_an_account_is_a_member_of_ours(vinr: Vinr, sqlite_web: Web) -> None:
    made = vinr.post(
        "/loyalty/accounts",
        {"customer": "cust_abc123", "email": "Mira@Example.com", "metadata": {"signup_channel": "web"}},
    )
    member = sqlite_web.get("/v1/members/vinr:cust_abc123")
    assert made == {
        "id": member["id"].replace("mem_", "loy_"),
        "object": "loyalty_account",
        "program": "main",
        "customer": "cust_abc123",
        "status": "active",
        "balance": 0,
        "pending_points": 0,
        "lifetime_points": 0,
        "tier": "basic",
        "email": "mira@example.com",
        "name": None,
        "metadata": {"signup_channel": "web"},
        "created": NOW // 1000,
    }
    for named in (made["id"], member["id"], "cust_abc123"):
        assert vinr.get(f"/loyalty/accounts/{named}") == made
        assert vinr.get(f"/loyalty-accounts/{named}") == made


def test_lifetime_points_never_fall_and_move_the_tier(vinr: Vinr) -> None:
    account = vinr.enrol(points=1200)
    vinr.post("/loyalty/redemptions", {"account": account, "reward": "rwd_totebag"})
    shown = vinr.get(f"/loyalty/accounts/{account}")
    assert (shown["balance"], shown["lifetime_points"], shown["tier"]) == (900, 1200, "gold")


def test_redemptions_of_both_apis_are_the_same(vinr: Vinr, sqlite_web: Web) -> None:
    account = vinr.enrol(points=1000)
    theirs = vinr.post("/loyalty/redemptions", {"account": account, **DISCOUNT})
    native = sqlite_web.post(
        "/v1/redemptions", {"member": "vinr:cust_abc123", "reward": "rwd_fivecredit"}, status=201
    )
    assert native["discount"]["code"].startswith("POINTS-")
    listed = vinr.get("/loyalty/redemptions", account=account)["data"]
    assert [one["id"] for one in listed] == [native["id"], theirs["id"]]
    assert sqlite_web.get(f"/v1/redemptions/{theirs['id']}")["discount"] == theirs["discount"]
    assert vinr.balance(account) == 0


def test_points_by_hand_have_their_sign(vinr: Vinr) -> None:
    account = vinr.enrol()
    asked = {
        "account": account,
        "amount": 500,
        "reason": "goodwill_credit",
        "metadata": {"ticket": "ZD-4821"},
    }
    given = vinr.post("/loyalty/transactions", asked)
    taken = vinr.post("/points-transactions", {"account": account, "amount": -200}, status=201)
    assert (given["type"], given["amount"], given["reason"]) == ("credit", 500, "goodwill_credit")
    assert given["metadata"] == {"ticket": "ZD-4821"}
    assert (taken["type"], taken["amount"]) == ("debit", -200)
    assert vinr.balance(account) == 300
    assert vinr.get("/loyalty/transactions", loyalty_account=account)["data"] == [taken, given]
    assert vinr.get("/loyalty/transactions", account=account, type="debit")["data"] == [taken]


def test_the_setting_says_whose_customers_vinrs_are(vinr: Vinr, sqlite_web: Web) -> None:
    settle(sqlite_web, customers_of="shop", options='{"code_prefix": "LESS"}')
    sqlite_web.post("/v1/members", {"source": "shop", "customer": "7000"}, status=201)
    assert vinr.get("/loyalty/accounts/7000")["customer"] == "7000"
    vinr.post("/loyalty/transactions", {"account": "7000", "amount": 500})
    made = vinr.post("/loyalty/redemptions", {"account": "7000", **DISCOUNT})
    assert made["discount"]["code"].startswith("LESS-")


def test_a_payment_names_its_account_in_its_metadata_where_it_has_no_customer(
    vinr: Vinr, sqlite_web: Web
) -> None:
    account = vinr.enrol()
    asked = {"amount": 4200, "currency": "eur", "metadata": {"loyalty_account": account}}
    paid = vinr.post("/payments", {**asked, "payment_method": {"card": {"number": "4242424242424242"}}})
    assert (paid["customer"], paid["currency"]) == ("cust_abc123", "EUR")
    assert vinr.balance(account) == 42
    alone = sqlite_web.post("/v1/members", {"email": "jo@example.com"}, status=201)["id"]
    refused = vinr.post("/payments", {"amount": 4200, "currency": "EUR", "customer": alone}, status=400)
    assert refused["param"] == "customer"


# --- errors ----------------------------------------------------------------------------------------------------------

ME = {"account": "cust_abc123"}
ONE = {"amount": 1, "currency": "EUR"}
TYPES = {400: "validation_error", 404: "validation_error", 409: "billing_error", 422: "billing_error"}
INVALID = (400, "request_invalid")
REFUSED = [
    # what is asked → status and code; param
    ("/loyalty/redemptions", ME, INVALID, "reward"),
    ("/loyalty/redemptions", {"account": 7, **DISCOUNT}, INVALID, "account"),
    ("/loyalty/redemptions", {"account": NOBODY, **DISCOUNT}, (404, "member_unknown"), "account"),
    ("/loyalty/redemptions", {**ME, "reward": "rwd_no"}, (404, "reward_unknown"), "reward"),
    ("/loyalty/redemptions", {**ME, **DISCOUNT, "shipping": {"name": "x"}}, INVALID, "shipping.line1"),
    ("/loyalty/redemptions", {**ME, **DISCOUNT}, (422, "insufficient_balance"), None),
    ("/loyalty/redemptions/rdm_x/reverse", {}, (404, "not_found"), None),
    ("/loyalty/redemptions/rdm_x/reverse", {"force": "yes"}, INVALID, "force"),
    ("/loyalty/accounts", {}, INVALID, "customer"),
    ("/loyalty/accounts", {"customer": "c", "email": "no"}, INVALID, "email"),
    ("/loyalty/accounts", {"customer": "cust_abc123"}, (409, "member_exists"), None),
    ("/loyalty/transactions", {**ME, "amount": 0}, INVALID, "amount"),
    ("/loyalty/transactions", {**ME, "amount": "1e99"}, INVALID, "amount"),
    ("/loyalty/transactions", {**ME, "amount": -1}, (422, "insufficient_balance"), None),
    ("/payments", {"amount": 10.5, "currency": "EUR"}, INVALID, "amount"),
    ("/payments", {"amount": 1, "currency": "XXX"}, INVALID, "currency"),
    ("/payments", {**ONE, "discounts": [{"redemption": "x"}]}, INVALID, "discounts"),
    (
        "/payments",
        {**ONE, "discounts": [{"redemption": ids.show("rdm", 1)}]},
        (422, "discount_unusable"),
        "discounts",
    ),
    ("/payments", {**ONE, "payment_method": {"card": {"number": "5"}}}, INVALID, "payment_method"),
    ("/payments/pay_x/cancel", {}, (404, "not_found"), None),
    (f"/payments/{ids.show('pay', 1)}/expire", {}, (404, "not_found"), None),
    ("/webhooks", {"url": "ftp://x"}, (400, "endpoint_invalid"), "url"),
    ("/nothing", {}, (404, "route_unknown"), None),
]


@pytest.mark.parametrize(("path", "body", "answered", "param"), REFUSED)
def test_a_refusal_names_its_type_and_field(
    vinr: Vinr, path: str, body: dict[str, Any], answered: tuple[int, str], param: str | None
) -> None:
    vinr.enrol()
    status, code = answered
    error = vinr.post(path, body, status=status)
    assert (error["type"], error["code"], error["param"]) == (TYPES[status], code, param)
    assert error["message"]


UNREADABLE = [
    "/loyalty/transactions/ptx_x",
    "/events/evt_x",
    "/webhooks/we_x",
    "/loyalty/rewards/rwd_no",
    "/payments/pay_x",
]
UNREADABLE += [f"/events/{ids.show('evt', 1)}", f"/loyalty/transactions/{ids.show('ptx', 1)}_back"]


@pytest.mark.parametrize("path", UNREADABLE)
def test_what_is_not_there_is_not_found(vinr: Vinr, path: str) -> None:
    assert vinr.get(path, status=404)["code"] == "not_found"


def test_a_wrong_key_and_another_environment(vinr: Vinr) -> None:
    account = vinr.enrol()
    wrong = replace(vinr, token="sk_test_nobody").get("/loyalty/accounts", status=401)
    assert (wrong["type"], wrong["code"]) == ("authentication_error", "invalid_api_key")
    stranger = replace(vinr, token=STRANGER)
    assert stranger.get(f"/loyalty/accounts/{account}", status=404)["type"] == "validation_error"
    live = stranger.post("/payments", {"amount": 100, "currency": "EUR"}, status=422)
    assert (live["code"], live["type"]) == ("payment_in_live", "billing_error")


# --- repeats ---------------------------------------------------------------------------------------------------------


def test_a_key_belongs_to_a_path_and_counts_on_post_alone(vinr: Vinr) -> None:
    account = vinr.enrol(points=1000)
    asked = {"account": account, **DISCOUNT}
    first = vinr.post("/loyalty/redemptions", asked, key="k")
    assert vinr.post("/loyalty/redemptions", asked, key="k") == first
    other = vinr.post("/loyalty/redemptions", {**asked, "reward": "rwd_one"}, key="k", status=422)
    assert other["code"] == "idempotency_key_reused"
    given = vinr.post("/loyalty/transactions", {"account": account, "amount": 5}, key="k")
    assert given["amount"] == 5
    for name in ("Ada", "Bea"):  # the same key on PUT is not looked at
        assert vinr.ask("PUT", f"/loyalty/accounts/{account}", {"name": name}, key="k")["name"] == name
    assert vinr.post("/loyalty/redemptions", asked, key="x" * 256, status=400)["type"] == "validation_error"


def test_a_refusal_does_not_use_a_key_up(vinr: Vinr) -> None:
    account = vinr.enrol()
    asked = {"account": account, **DISCOUNT}
    vinr.post("/loyalty/redemptions", asked, key="k", status=422)
    vinr.post("/loyalty/transactions", {"account": account, "amount": 500})
    assert vinr.post("/loyalty/redemptions", asked, key="k")["status"] == "pending"


def test_a_payment_is_begun_once_under_a_key(vinr: Vinr) -> None:
    vinr.enrol()
    asked = {"amount": 100, "currency": "EUR"}
    assert vinr.post("/payments", asked, key="p") == vinr.post("/payments", asked, key="p")


# --- lists -----------------------------------------------------------------------------------------------------------


def pages(vinr: Vinr, path: str, **query: Any) -> list[str]:
    """Return the ids of all pages of two."""
    found: list[str] = []
    while True:
        after: dict[str, Any] = {"starting_after": found[-1]} if found else {}
        page = vinr.get(path, limit=2, **query, **after)
        found += [one["id"] for one in page["data"]]
        assert page["object"] == "list"
        if not page["has_more"]:
            return found


def test_lists_are_paged_by_the_last_thing(vinr: Vinr) -> None:
    accounts = [vinr.enrol(f"cust_{number}", points=1000) for number in range(5)]
    assert pages(vinr, "/loyalty/accounts") == accounts[::-1]
    asked = {"account": accounts[0], "reward": "rwd_one"}
    redeemed = [vinr.post("/loyalty/redemptions", asked)["id"] for _ in range(5)]
    assert pages(vinr, "/loyalty/redemptions") == redeemed[::-1]
    spent = [vinr.get(f"/redemptions/{one}")["points_transaction"] for one in redeemed]
    assert pages(vinr, "/loyalty/transactions", account=accounts[0])[:5] == spent[::-1]
    assert pages(vinr, "/rewards") == ["rwd_credit", "rwd_fivecredit", "rwd_one", "rwd_totebag"]
    bad = vinr.get("/loyalty/accounts", starting_after="x", status=400)
    assert (bad["param"], bad["type"]) == ("starting_after", "validation_error")


def test_lists_are_narrowed(vinr: Vinr) -> None:
    account = vinr.enrol(points=1000)
    other = vinr.enrol("cust_2", points=1000)
    mine = vinr.post("/loyalty/redemptions", {"account": account, "reward": "rwd_one"})["id"]
    theirs = vinr.post("/loyalty/redemptions", {"account": other, "reward": "rwd_totebag"})["id"]
    assert pages(vinr, "/loyalty/redemptions", account=account) == [mine]
    assert pages(vinr, "/loyalty/redemptions", status_is="fulfillment_pending") == [theirs]
    assert pages(vinr, "/loyalty/accounts", customer="cust_2") == [other]
    assert vinr.get("/loyalty/accounts", customer="cust_2")["data"][0]["balance"] == 700


def asked(web: Web, vinr: Vinr, path: str) -> list[tuple[str, Any]]:
    """Return the statements that a list takes."""
    vinr.get(path, limit=100)  # the key and the catalog are at hand afterwards
    sent: list[tuple[str, Any]] = []

    def listen(*told: Any) -> None:
        sent.append((told[2], told[3]))

    event.listen(web.engine, "before_cursor_execute", listen)
    vinr.get(path, limit=100)
    event.remove(web.engine, "before_cursor_execute", listen)
    return sent


@pytest.mark.parametrize(
    "path", ["/loyalty/accounts", "/events", "/loyalty/redemptions", "/loyalty/transactions"]
)
def test_a_list_takes_as_many_statements_for_many_and_never_scans(
    vinr: Vinr, sqlite_web: Web, path: str
) -> None:
    vinr.post("/webhooks", {"url": "http://127.0.0.1:9/hook"})
    redeem = {"account": vinr.enrol(points=1000), "reward": "rwd_one"}
    vinr.post("/loyalty/redemptions", redeem)
    few = asked(sqlite_web, vinr, path)
    for number in range(3):
        vinr.enrol(f"cust_{number}", points=10)
        vinr.post("/loyalty/redemptions", redeem)
    many = asked(sqlite_web, vinr, path)
    assert len(many) == len(few)
    with sqlite_web.engine.connect() as connection:
        steps = [
            row[3]
            for sql, values in many
            if sql.lstrip().startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    given = re.compile(
        r"SCAN (configuration|(\d+ )?CONSTANT ROWS?|\(?subquery-\d+\)?)"
    )  # of one row, or keys of ours
    assert [step for step in steps if step.startswith("SCAN") and not given.fullmatch(step)] == []
    if path == "/events":
        assert any("ix_messages_format" in step for step in steps)


REWARDS = [
    # reward → type, cost, value
    ("rwd_fivecredit", "discount_amount", 500, {"amount": 500, "currency": "EUR"}),
    ("rwd_totebag", "free_product", 300, None),
    ("rwd_credit", "store_credit", 200, {"amount": 200, "currency": "EUR"}),
]


@pytest.mark.parametrize(("reward", "kind", "cost", "value"), REWARDS)
def test_the_catalogue_is_the_programs(vinr: Vinr, reward: str, kind: str, cost: int, value: Any) -> None:
    shown = vinr.get(f"/loyalty/rewards/{reward}")
    assert (shown["type"], shown["cost"], shown["value"], shown["active"]) == (kind, cost, value, True)


# --- where it is -------------------------------------------------------------------------------------------------------


def test_its_paths_begin_at_v1_of_its_own_host(vinr: Vinr, sqlite_web: Web) -> None:
    account = vinr.enrol()
    sqlite_web.use(settings=replace(sqlite_web.parts.settings, dialect_hosts={"vinr.example": "/vinr"}))
    headers = {"X-Api-Key": vinr.token, "Host": "vinr.example"}
    answer = sqlite_web.client.get(f"/v1/loyalty/accounts/{account}", headers=headers)
    assert answer.get_json()["id"] == account
    lost = sqlite_web.client.get("/v1/members", headers=headers)
    assert lost.get_json()["error"]["code"] == "route_unknown"


def test_camel_case_is_read_as_well(vinr: Vinr) -> None:
    page = vinr.get("/loyalty/accounts", startingAfter=vinr.enrol(), limit=1)
    assert page["data"] == []
