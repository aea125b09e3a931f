"""The flows of Brevo's guide to credits and debits, as plain requests: its paths, bodies, words and statuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import update

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from connectors.brevo.ids import definition_id, program_id
from tests.engine.test_audit import read
from tests.shop import NOW, enrol, publish
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

PID = program_id(1, "main")
BDID = definition_id(1, "main", "points")
PATH = f"/v3/loyalty/balance/programs/{PID}"
NEVER = {"cancelledAt": None, "rejectReason": None, "rejectedAt": None}
MINUTE = 60_000


@dataclass
class Client:
    """Asks as the guide's curls do: `api-key`, and a JSON body where there is one."""

    web: Web

    def ask(self, method: str, path: str, body: Any = None, *, status: int = 200, key: str = TOKEN) -> Any:
        sent = {"api-key": key, **({} if body is None else {"content-type": "application/json"})}
        data = None if body is None else orjson.dumps(body)
        url = path if path.startswith("/v3") else PATH + path
        answer = self.web.client.open(url, method=method, headers=sent, data=data)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return orjson.loads(answer.data) if answer.data else None

    def begin(self, amount: float, *, status: int = 200, **more: Any) -> Any:
        whose = (
            {} if {"loyaltySubscriptionId", "LoyaltySubscriptionId"} & more.keys() else {"contactId": 12345}
        )
        body = {**whose, "balanceDefinitionId": BDID, "amount": amount, **more}
        return self.ask("POST", "/transactions", body, status=status)

    def order(self, status: int = 200, **more: Any) -> Any:
        body = {
            "contactId": 12345,
            "balanceDefinitionId": BDID,
            "amount": 100,
            "source": "user",
            "dueAt": "2025-03-02T10:00:00.000Z",
            "meta": {"orderId": "order_789", "orderAmount": 89.99},
        }
        return self.ask("POST", "/create-order", {**body, **more}, status=status)

    def complete(self, tid: str, status: int = 200) -> Any:
        return self.ask("POST", f"/transactions/{tid}/complete", status=status)

    def cancel(self, tid: str, status: int = 200) -> Any:
        return self.ask("POST", f"/transactions/{tid}/cancel", status=status)

    @property
    def value(self) -> float:
        (balance,) = self.ask("GET", "/subscriptions/12345/balances")["balance"]
        assert balance["balanceDefinitionId"] == BDID
        return float(balance["value"])


def subscribed(web: Web) -> Client:
    web.play(enrol(7, customer=("brevo", "12345")), enrol(8, customer=("brevo", "cust_abc123")))
    return Client(web)


@pytest.fixture
def client(web: Web) -> Client:
    return subscribed(web)


@pytest.fixture
def on_sqlite(sqlite_web: Web) -> Client:
    return subscribed(sqlite_web)


def sound(client: Client) -> None:
    assert audit(client.web.engine) == []
    assert rebuild(client.web.engine, read) == []


# --- the lifecycle ------------------------------------------------------------------------------------------------------


def test_a_bonus_is_created_and_completed(client: Client) -> None:
    """0 points; 50 pending change nothing; completed they are there: 0 → 50."""
    begun = client.begin(50, autoComplete=False, meta={"reason": "signup_bonus"})
    assert begun["id"].startswith("txn_")
    assert begun == {
        "id": begun["id"],
        "amount": 50,
        "balance": None,
        "transactionType": "credit",
        "balanceDefinitionId": BDID,
        "contactId": 12345,
        "loyaltyProgramId": PID,
        "status": "pending",
        "createdAt": "2026-11-18T11:06:40.000Z",
        "updatedAt": "2026-11-18T11:06:40.000Z",
        "eventTime": "2026-11-18T11:06:40.000Z",
        "completedAt": None,
        "expirationDate": None,
        "meta": {"reason": "signup_bonus"},
        **NEVER,
    }
    assert client.value == 0
    client.web.now = NOW + 5 * MINUTE
    done = client.complete(begun["id"])
    at = "2026-11-18T11:11:40.000Z"
    changed = {"status": "completed", "completedAt": at, "updatedAt": at, "balance": 50}
    assert done == {**begun, **changed}
    assert client.value == 50
    sound(client)


def test_a_cancelled_one_changes_nothing(client: Client) -> None:
    begun = client.begin(50)
    client.web.now = NOW + 5 * MINUTE
    gone = client.cancel(begun["id"])
    at = "2026-11-18T11:11:40.000Z"
    assert gone == {**begun, "status": "cancelled", "cancelledAt": at, "updatedAt": at}
    assert client.value == 0
    sound(client)


def test_completed_cannot_be_cancelled_so_a_return_is_a_debit(client: Client) -> None:
    """+100 for the order, -100 for its return, which waits as well: 100, 100, 0."""
    bought = client.begin(100, autoComplete=True, meta={"orderId": "order_789"})
    assert (bought["status"], bought["completedAt"], bought["balance"]) == (
        "completed",
        bought["createdAt"],
        100,
    )
    assert client.cancel(bought["id"], status=422)["code"] == "transaction_completed"
    back = client.begin(-100, meta={"reason": "return_order_789"})
    assert (back["amount"], back["transactionType"], back["status"]) == (-100, "debit", "pending")
    assert client.value == 100
    assert client.complete(back["id"])["balance"] == 0
    assert client.value == 0
    sound(client)


def test_an_order_and_its_transaction_are_one(client: Client) -> None:
    placed = client.order()
    assert placed["id"].startswith("ord_")
    assert placed["transactionid"].startswith("txn_")
    assert placed == {
        "id": placed["id"],
        "transactionid": placed["transactionid"],
        "contactId": 12345,
        "loyaltyProgramId": PID,
        "balanceDefinitionId": BDID,
        "amount": 100,
        "source": "user",
        "dueAt": "2025-03-02T10:00:00.000Z",
        "expiresAt": None,
        "processedAt": None,
        "createdAt": "2026-11-18T11:06:40.000Z",
        "updatedAt": "2026-11-18T11:06:40.000Z",
        "meta": {"orderId": "order_789", "orderAmount": 89.99},
    }
    assert client.value == 0
    done = client.complete(placed["transactionid"])
    assert (done["status"], done["balance"]) == ("completed", 100)
    shown = client.web.get(f"/v1/orders/{placed['id']}")
    assert (shown["state"], shown["processed_at"]) == ("completed", done["completedAt"])
    assert shown["metadata"] == {"orderAmount": 89.99, "orderId": "order_789"}
    assert client.cancel(placed["transactionid"], status=422)["code"] == "transaction_completed"
    sound(client)


def test_an_order_that_is_cancelled_before_it_is_shipped(client: Client) -> None:
    placed = client.order(source="engine", expiresAt="2026-11-20T00:00:00Z")
    assert placed["expiresAt"] == "2026-11-20T00:00:00.000Z"
    assert client.cancel(placed["transactionid"])["status"] == "cancelled"
    assert client.web.get(f"/v1/orders/{placed['id']}")["state"] == "cancelled"
    assert client.value == 0


# --- fields -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "ms"), [("minutes", MINUTE), ("seconds", 1000)])
def test_past_its_ttl_it_is_over(on_sqlite: Client, unit: str, ms: int) -> None:
    with on_sqlite.web.engine.begin() as connection:
        said = {"program": "main", "definition": 1, "customers_of": "brevo"}
        options = orjson.dumps({"ttl_unit": unit}).decode()
        connection.execute(t.dialects.insert().values(env=1, name="brevo", options=options, **said))
        connection.execute(update(t.configuration).values(version=t.configuration.c.version + 1))
    begun = on_sqlite.begin(50, ttl=10)
    on_sqlite.web.now = NOW + 10 * ms - 1
    assert on_sqlite.ask("GET", HISTORY)["transactionHistory"][0]["status"] == "pending"
    on_sqlite.web.now = NOW + 10 * ms
    assert on_sqlite.ask("GET", HISTORY)["transactionHistory"][0]["status"] == "expired"
    assert on_sqlite.complete(begun["id"], status=422)["code"] == "transaction_expired"


@pytest.mark.parametrize("name", ["expiryBalanceMinutes", "balanceExpiryInMinutes"])
@pytest.mark.parametrize("later", [0, 7])
def test_the_credited_balance_ends_so_long_after_it_is_completed(
    on_sqlite: Client, name: str, later: int
) -> None:
    begun = on_sqlite.begin(50, autoComplete=not later, **{name: 30})
    on_sqlite.web.now = NOW + later * MINUTE
    if later:
        on_sqlite.complete(begun["id"])
    ends = NOW + (later + 30) * MINUTE
    (part,) = on_sqlite.ask("GET", f"/active-balance?contactId=12345&balanceDefinitionId={BDID}")[
        "activeBalances"
    ]
    assert part["expiresAt"] == f"2026-11-18T11:{36 + later}:40.000Z"
    for now, value in ((ends - 1, 50), (ends, 0)):
        on_sqlite.web.now = now
        assert on_sqlite.value == value
    sound(on_sqlite)


@pytest.mark.parametrize("name", ["loyaltySubscriptionId", "LoyaltySubscriptionId", "loyaltysubscriptionid"])
def test_a_subscription_id_names_whom_it_is_for(on_sqlite: Client, name: str) -> None:
    body = {"balanceDefinitionId": BDID, "amount": 5, "autoComplete": True, name: "cust_abc123"}
    begun = on_sqlite.ask("POST", "/transactions", body)
    assert (begun["contactId"], begun["balance"]) == (None, 5)
    assert on_sqlite.value == 0  # that is somebody else


@pytest.mark.parametrize(
    ("amount", "kind", "shown"),
    [(50, "credit", 50), (-50, "debit", -50), (50, "debit", -50), (-50, "credit", 50)],
)
def test_the_type_that_is_said_counts_before_the_sign(
    on_sqlite: Client, amount: int, kind: str, shown: int
) -> None:
    on_sqlite.begin(100, autoComplete=True)
    begun = on_sqlite.begin(amount, transactionType=kind)
    assert (begun["amount"], begun["transactionType"]) == (shown, kind)


def test_a_backdated_credit_keeps_its_time(on_sqlite: Client) -> None:
    begun = on_sqlite.begin(50, eventTime="2024-05-01T10:00:00+02:00", autoComplete=True)
    assert (begun["eventTime"], begun["createdAt"]) == (
        "2024-05-01T08:00:00.000Z",
        "2026-11-18T11:06:40.000Z",
    )


def test_amounts_have_the_decimals_of_their_balance(on_sqlite: Client) -> None:
    """0.1 + 0.2 = 0.3, as numbers."""
    cash = [{"name": "cash", "unit": "EUR", "decimals": 2}]
    with on_sqlite.web.engine.begin() as connection:
        publish(
            connection, Program.model_validate({"name": "main", "balance_definitions": cash}), version=2, at=1
        )
        connection.execute(
            update(t.definitions).where(t.definitions.c.env == 1).values(name="cash", decimals=2)
        )
        connection.execute(update(t.configuration).values(version=t.configuration.c.version + 1))
    named: dict[str, Any] = {"balanceDefinitionId": definition_id(1, "main", "cash")}
    for amount in (0.1, 0.2):
        begun = on_sqlite.begin(amount, autoComplete=True, **named)
        assert begun["amount"] == amount
    assert begun["balance"] == 0.3
    refused = on_sqlite.begin(0.001, status=422, **named)
    assert "decimals" in refused["message"]


ARBITRARY = {"reason": "campaign", "campaign_id": 7, "vip": True, "tags": ["a", "b"], "nested": {"a": None}}


def test_meta_is_any_json_and_found_again(on_sqlite: Client) -> None:
    begun = on_sqlite.begin(50, meta=ARBITRARY)
    assert begun["meta"] == ARBITRARY
    for metadata in ("reason:campaign", "campaign_id:7", "vip:true"):
        (found,) = on_sqlite.web.get("/v1/transactions", metadata=metadata)["data"]
        assert (found["id"], found["metadata"]) == (begun["id"], ARBITRARY)
    sound(on_sqlite)


def test_ids_are_taken_with_their_prefix_or_without(on_sqlite: Client) -> None:
    begun = on_sqlite.begin(50)
    assert on_sqlite.complete(begun["id"].removeprefix("txn_"))["id"] == begun["id"]


# --- lists --------------------------------------------------------------------------------------------------------------

HISTORY = f"/transaction-history?contactId=12345&balanceDefinitionId={BDID}"
WORDS = [
    # filter → the amounts, oldest first
    ("", [10, 20, 30, -5]),
    ("&status=pending", [30]),
    ("&status=draft", [30]),
    ("&status=completed", [10, -5]),
    ("&status=complete", [10, -5]),
    ("&status=cancelled", [20]),
    ("&transactionType=debit", [-5]),
    ("&transactionType=credit&limit=1&offset=1", [20]),
]


@pytest.mark.parametrize(("narrowed", "amounts"), WORDS, ids=[word for word, _ in WORDS])
def test_history_is_narrowed_by_the_words_of_guide_and_clients(
    on_sqlite: Client, narrowed: str, amounts: list[int]
) -> None:
    on_sqlite.begin(10, autoComplete=True, expiryBalanceMinutes=60)
    on_sqlite.cancel(on_sqlite.begin(20)["id"])
    on_sqlite.begin(30)
    on_sqlite.begin(-5, autoComplete=True)
    asked = f"{HISTORY}&sort=asc{narrowed}"
    shown = on_sqlite.ask("GET", asked)
    assert [one["amount"] for one in shown["transactionHistory"]] == amounts
    assert shown["count"] == (3 if "limit" in narrowed else len(amounts))
    if not narrowed:
        assert [one["balanceExpirationDate"] for one in shown["transactionHistory"]] == [
            "2026-11-18T12:06:40.000Z", None, None, None
        ]  # fmt: skip
        newest_first = on_sqlite.ask("GET", HISTORY)["transactionHistory"]
        assert newest_first == shown["transactionHistory"][::-1]


def test_a_balance_in_its_parts(on_sqlite: Client) -> None:
    """10 and 20 credited, a debit of 15 waits: what it holds still belongs to the balance of 30."""
    asked = f"/active-balance?contactId=12345&balanceDefinitionId={BDID}&sort=asc"
    for amount in (10, 20):
        on_sqlite.begin(amount, autoComplete=True)
    debit = on_sqlite.begin(-15)
    assert [one["amount"] for one in on_sqlite.ask("GET", asked)["activeBalances"]] == [10, 20]
    on_sqlite.complete(debit["id"])
    shown = on_sqlite.ask("GET", f"{asked}&limit=1")
    assert ([one["amount"] for one in shown["activeBalances"]], shown["count"]) == ([15], 1)


def test_one_balance_of_all_contacts(on_sqlite: Client) -> None:
    on_sqlite.begin(10, autoComplete=True)
    asked = f"/contact-balances?balanceDefinitionId={BDID}"
    shown = on_sqlite.ask("GET", f"{asked}&sortField=value&sort=desc")
    assert [(one["contactId"], one["loyaltySubscriptionId"], one["value"]) for one in shown["balances"]] == [
        (12345, None, 10),
        (None, "cust_abc123", 0),
    ]
    rising = on_sqlite.ask("GET", f"{asked}&sortField=value&sort=asc&limit=1")
    assert ([one["value"] for one in rising["balances"]], rising["count"]) == ([0], 2)
    for field in ("updatedAt", "value"):
        page = on_sqlite.ask("GET", f"{asked}&sortField={field}&offset=1&sort=asc")
        assert len(page["balances"]) == 1


def test_a_subscription_has_its_balances_from_the_beginning(on_sqlite: Client) -> None:
    begun = on_sqlite.ask("POST", "/subscriptions/12345/balances", {"balanceDefinitionId": BDID})
    assert (begun["amount"], begun["contactId"], begun["balanceDefinitionId"]) == (0, 12345, BDID)
    on_sqlite.begin(10, autoComplete=True)
    again = on_sqlite.ask("POST", "/subscriptions/12345/balances", {"balanceDefinitionId": BDID})
    assert again == {**begun, "amount": 10}


# --- refusals -----------------------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    # what is wrong, the field that the message names
    ({"amount": 0}, "amount"),
    ({"amount": "50"}, "amount"),
    ({"amount": True}, "amount"),
    ({"amount": 1.5}, "amount"),  # this balance has no decimals
    ({"contactId": None}, "contactId"),
    ({"contactId": 0}, "contactId"),
    ({"contactId": "12345"}, "contactId"),
    ({"contactId": 99}, "not subscribed"),
    ({"contactId": None, "loyaltySubscriptionId": "nobody"}, "not subscribed"),
    ({"loyaltySubscriptionId": "cust_abc123"}, "loyaltySubscriptionId"),  # that is another contact
    ({"expiryBalanceMinutes": 0}, "expiryBalanceMinutes"),
    ({"amount": -5, "expiryBalanceMinutes": 5}, "expiryBalanceMinutes"),
    ({"ttl": 0}, "ttl"),
    ({"ttl": -1}, "ttl"),
    ({"eventTime": "yesterday"}, "eventTime"),
    ({"eventTime": "2036-01-01T00:00:00Z"}, "eventTime"),
    ({"meta": [1]}, "meta"),
    ({"meta": {"x": "y" * 501}}, "meta"),
    ({"amount": -5}, "available"),  # too few points
]


@pytest.mark.parametrize(("wrong", "named"), REFUSED, ids=[str(wrong) for wrong, _ in REFUSED])
def test_what_cannot_be_processed_is_422_and_says_why(
    on_sqlite: Client, wrong: dict[str, Any], named: str
) -> None:
    body = {"contactId": 12345, "balanceDefinitionId": BDID, "amount": 50, **wrong}
    refused = on_sqlite.ask("POST", "/transactions", body, status=422)
    assert refused.keys() == {"code", "message"}
    assert named in refused["message"]
    assert on_sqlite.ask("GET", HISTORY)["count"] == 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"contactId": 0}, "contactId"),
        ({"contactId": 99}, "not subscribed"),
        ({"amount": 0}, "amount"),
        ({"source": "shop"}, "source"),
        ({"dueAt": "tomorrow"}, "dueAt"),
        ({"expiresAt": "2025-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
def test_an_order_that_cannot_be_processed(on_sqlite: Client, wrong: dict[str, Any], named: str) -> None:
    assert named in on_sqlite.order(422, **wrong)["message"]


def test_what_has_ended_is_422(on_sqlite: Client) -> None:
    for verb, state in (("complete", "completed"), ("cancel", "cancelled")):
        begun = on_sqlite.begin(50)
        on_sqlite.ask("POST", f"/transactions/{begun['id']}/{verb}")
        for again in ("complete", "cancel"):
            refused = on_sqlite.ask("POST", f"/transactions/{begun['id']}/{again}", status=422)
            assert refused["code"] == f"transaction_{state}"
    assert on_sqlite.value == 50


def test_a_debit_below_the_minimum_is_rejected_and_kept(on_sqlite: Client) -> None:
    """30 - 25 leaves 5; by the time it is completed 10 have to stay."""
    on_sqlite.begin(30, autoComplete=True)
    debit = on_sqlite.begin(-25)
    bounded = [{"name": "points", "min_amount": "10"}]
    with on_sqlite.web.engine.begin() as connection:
        said = {"name": "main", "balance_definitions": bounded}
        publish(connection, Program.model_validate(said), version=2, at=1)
        connection.execute(update(t.configuration).values(version=t.configuration.c.version + 1))
    assert on_sqlite.complete(debit["id"], status=422)["code"] == "rejected"
    (kept,) = on_sqlite.ask("GET", f"{HISTORY}&status=rejected")["transactionHistory"]
    assert (kept["id"], kept["rejectedAt"]) == (debit["id"], "2026-11-18T11:06:40.000Z")
    assert "has to stay" in kept["rejectReason"]
    assert on_sqlite.value == 30


@pytest.mark.parametrize("state", ["draft", "paused", "ended"])
def test_a_program_that_does_not_run_is_422(on_sqlite: Client, state: str) -> None:
    with on_sqlite.web.engine.begin() as connection:
        connection.execute(t.programs.delete().where(t.programs.c.env == 1))
        publish(connection, Program.model_validate({"name": "main", "state": state}), version=1, at=0)
        connection.execute(update(t.configuration).values(version=t.configuration.c.version + 1))
    code = {"draft": "program_not_published"}.get(state, f"program_{state}")
    assert on_sqlite.begin(50, status=422)["code"] == code


def test_who_is_asked_for_and_not_there(on_sqlite: Client) -> None:
    strange = "27000000-0000-4000-8000-000000000000"
    other = f"/v3/loyalty/balance/programs/{strange}"
    body = {"contactId": 12345, "balanceDefinitionId": BDID, "amount": 5}
    for method, path, sent in (
        ("POST", f"{other}/transactions", body),
        ("POST", f"/transactions/{strange}/complete", None),
        ("POST", "/transactions/txn_0000000000001/cancel", None),
        ("POST", "/transactions", {**body, "balanceDefinitionId": strange}),
        ("GET", "/subscriptions/99/balances", None),
        ("GET", f"/transaction-history?contactId=99&balanceDefinitionId={BDID}", None),
        ("GET", f"/active-balance?contactId=12345&balanceDefinitionId={strange}", None),
    ):
        assert on_sqlite.ask(method, path, sent, status=404).keys() == {"code", "message"}


def test_a_request_without_a_key_and_one_that_may_not(on_sqlite: Client) -> None:
    assert on_sqlite.ask("GET", HISTORY, status=401, key="sk_test_wrong")["code"] == "unauthorized"
    made = on_sqlite.web.client.get(PATH + HISTORY)
    assert made.status_code == 401


def test_a_repeat_under_one_key_is_one_transaction(on_sqlite: Client) -> None:
    body = orjson.dumps({"contactId": 12345, "balanceDefinitionId": BDID, "amount": 5, "autoComplete": True})
    sent = {"api-key": TOKEN, "content-type": "application/json", "Idempotency-Key": "once"}
    answers = [on_sqlite.web.client.post(f"{PATH}/transactions", headers=sent, data=body) for _ in range(2)]
    first, second = (orjson.loads(one.data) for one in answers)
    assert first["id"] == second["id"]
    assert on_sqlite.value == 5
