"""Credits, debits, balances, orders, events and webhooks through Brevo's own Python client, really served."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import orjson
import pytest
from brevo.balance.types import (
    CreateBalanceOrderResponse,
    GetContactBalancesResponse,
    GetLoyaltyBalanceProgramsPidActiveBalanceResponse,
    GetLoyaltyBalanceProgramsPidTransactionHistoryResponse,
    GetSubscriptionBalancesResponse,
    PostLoyaltyBalanceProgramsPidSubscriptionsCidBalancesResponse,
)
from brevo.ecommerce.types import CreateBatchOrderResponse
from brevo.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnprocessableEntityError,
)
from brevo.event.types import (
    CreateBatchEventsRequestEventsItem,
    CreateBatchEventsRequestEventsItemIdentifiers,
    CreateEventRequestIdentifiers,
)
from brevo.types import (
    BatchAcceptedResponse,
    Order,
    OrderIdentifiers,
    OrderProductsItem,
    Transaction,
)
from brevo.types.transaction_status import TransactionStatus
from brevo.webhooks.types import CreateWebhookRequestAuth, CreateWebhookResponse, GetWebhooksResponse
from sqlalchemy import update

from adapter.store import tables as t
from connectors import CONNECTORS
from connectors.brevo.ids import definition_id, program_id
from tests.dialects.brevo.conftest import strictly
from tests.shop import enrol
from tests.web.conftest import keyed

if TYPE_CHECKING:
    from collections.abc import Callable

    from brevo import Brevo

    from tests.web.conftest import Web

PID = program_id(1, "main")
BDID = definition_id(1, "main", "points")
CONTACT = 12345
READER = "sk_test_ffffffffffffffffffffffffffffffff"


@pytest.fixture
def subscribed(sqlite_web: Web) -> Web:
    """The contact 12345, with a subscription, and a source that takes Brevo's orders."""
    with sqlite_web.engine.begin() as connection:
        values = {"env": 1, "name": "brevo", "connector": "brevo", "program": "main", "orders_of": "brevo"}
        secrets = orjson.dumps(["whsec_" + base64.b64encode(b"k" * 24).decode()]).decode()
        connection.execute(t.sources.insert().values(**values, secrets=secrets, options="{}"))
        connection.execute(update(t.configuration).values(version=t.configuration.c.version + 1))
    sqlite_web.use(connectors=CONNECTORS)
    sqlite_web.play(enrol(7, customer=("brevo", str(CONTACT)), also=(("brevo", "cust_abc123"),)))
    return sqlite_web


def answered(answer: Any) -> Any:
    """Return the JSON of an answer as it came over the wire."""
    return answer._response.json()


def transaction(answer: Any) -> Transaction:
    """Return a transaction by the SDK's own model; `pending` is the guide's word, and that of the SDK for Node."""
    raw = answered(answer)
    if raw["status"] == "pending":
        strictly(Transaction, {**raw, "status": "draft"})
    else:
        strictly(Transaction, raw)
    found: Transaction = Transaction.model_validate(raw)
    return found


def begin(brevo: Brevo, amount: float, **more: Any) -> Transaction:
    who = {} if "loyalty_subscription_id" in more else {"contact_id": CONTACT}
    raw = brevo.balance.with_raw_response
    return transaction(raw.begin_transaction(PID, balance_definition_id=BDID, amount=amount, **who, **more))


def value(brevo: Brevo) -> float:
    raw = brevo.balance.with_raw_response.get_subscription_balances(PID, str(CONTACT))
    found = strictly(GetSubscriptionBalancesResponse, answered(raw))
    assert (found.loyalty_program_id, found.contact_id) == (PID, CONTACT)
    (balance,) = found.balance
    return float(balance.value)


@pytest.mark.usefixtures("subscribed")
def test_the_life_of_a_transaction(brevo: Brevo) -> None:
    begun = begin(
        brevo, 50, meta={"reason": "signup_bonus"}, ttl=60, event_time=datetime(2026, 11, 1, tzinfo=UTC)
    )
    assert (begun.amount, begun.status, begun.transaction_type) == (50, "pending", "credit")
    assert begun.event_time == datetime(2026, 11, 1, tzinfo=UTC)
    assert begun.meta == {"reason": "signup_bonus"}
    assert value(brevo) == 0
    assert begun.id is not None
    done = transaction(brevo.balance.with_raw_response.complete_transaction(PID, begun.id))
    assert (done.status, done.balance) == ("completed", 50)
    assert done.completed_at is not None
    other = begin(
        brevo, 20, loyalty_subscription_id="cust_abc123", balance_expiry_in_minutes=30, auto_complete=True
    )
    assert (other.contact_id, other.status, other.balance) == (CONTACT, "completed", 70)
    debit = begin(brevo, 30, transaction_type="debit")
    assert debit.id is not None
    gone = transaction(brevo.balance.with_raw_response.cancel_transaction(PID, debit.id))
    assert (gone.status, gone.amount) == ("cancelled", -30)
    assert {"completed", "cancelled", "rejected", "expired"} < set(get_args(get_args(TransactionStatus)[0]))
    assert value(brevo) == 70


@pytest.mark.usefixtures("subscribed")
def test_an_order_and_what_is_listed(brevo: Brevo) -> None:
    raw = brevo.balance.with_raw_response
    answer = answered(
        raw.create_balance_order(
            PID,
            contact_id=CONTACT,
            balance_definition_id=BDID,
            amount=100,
            source="user",
            due_at="2026-12-02T10:00:00.000Z",
            meta={"orderId": "order_789", "orderAmount": 89.99},
        )
    )
    assert answer.pop("source") == "user"  # the guide has it, the SDK's model has not
    placed = strictly(CreateBalanceOrderResponse, answer)
    assert placed.meta == {"orderId": "order_789", "orderAmount": 89.99}
    transaction(raw.complete_transaction(PID, placed.transactionid))
    asked = {"contact_id": CONTACT, "balance_definition_id": BDID}
    history = strictly(
        GetLoyaltyBalanceProgramsPidTransactionHistoryResponse,
        answered(raw.get_transaction_history_api(PID, status="completed", sort="asc", **asked)),
    )
    assert [(one.id, one.amount) for one in history.transaction_history] == [(placed.transactionid, 100)]
    active = strictly(
        GetLoyaltyBalanceProgramsPidActiveBalanceResponse,
        answered(raw.get_active_balances_api(PID, sort_field="createdAt", include_internal=True, **asked)),
    )
    assert ([one.amount for one in active.active_balances], active.count) == ([100], 1)
    everyone = strictly(
        GetContactBalancesResponse,
        answered(raw.get_contact_balances(PID, balance_definition_id=BDID, sort_field="value", sort="desc")),
    )
    assert [(one.contact_id, one.loyalty_subscription_id, one.value) for one in everyone.balances] == [
        (CONTACT, "cust_abc123", 100)
    ]
    begun = strictly(
        PostLoyaltyBalanceProgramsPidSubscriptionsCidBalancesResponse,
        answered(raw.create_subscription_balances(PID, str(CONTACT), balance_definition_id=BDID)),
    )
    assert begun.amount == 100


def test_each_refusal_is_its_own_class(
    subscribed: Web, brevo: Brevo, brevo_as: Callable[[str], Brevo]
) -> None:
    keyed(subscribed.engine, 1, READER, "transactions:read", "members:read")
    with pytest.raises(UnauthorizedError) as unknown:
        begin(brevo_as("sk_test_00000000000000000000000000000000"), 5)
    assert unknown.value.body["code"] == "unauthorized"
    with pytest.raises(ForbiddenError) as narrow:
        begin(brevo_as(READER), 5)
    assert narrow.value.body["code"] == "permission_denied"
    with pytest.raises(NotFoundError):
        brevo.balance.complete_transaction(PID, "27000000-0000-4000-8000-000000000000")
    for refused in (
        lambda: begin(brevo, 0),
        lambda: begin(brevo, -5),
        lambda: brevo.balance.begin_transaction(PID, balance_definition_id=BDID, amount=5, contact_id=99),
    ):
        with pytest.raises(UnprocessableEntityError) as found:
            refused()
        assert found.value.body.message
    begun = begin(brevo, 5, auto_complete=True)
    with pytest.raises(UnprocessableEntityError) as twice:
        brevo.balance.complete_transaction(PID, str(begun.id))
    assert twice.value.body.code == "transaction_completed"


def order(number: int, status: str) -> dict[str, Any]:
    return {
        "id": f"order-{number}",
        "status": status,
        "amount": 105.5,
        "created_at": "2026-11-17T09:00:00Z",
        "updated_at": "2026-11-17T10:00:00Z",
        "products": [OrderProductsItem(product_id="P1", quantity=10, price=10)],
        "identifiers": OrderIdentifiers(loyalty_subscription_id="cust_abc123"),
        "coupons": ["TEN"],
        "meta_info": {"till": "4"},
    }


@pytest.mark.usefixtures("subscribed")
def test_orders_and_events_earn(brevo: Brevo) -> None:
    brevo.ecommerce.create_order(**order(1, "completed"))
    assert value(brevo) == 100
    answer = brevo.ecommerce.with_raw_response.create_batch_order(
        orders=[Order(**order(number, "completed")) for number in (1, 2, 3)]
    )
    assert strictly(CreateBatchOrderResponse, answered(answer)).count == 3
    brevo.event.create_event(
        event_name="order_refunded",
        identifiers=CreateEventRequestIdentifiers(contact_id=CONTACT),
        event_date=datetime(2026, 11, 18, 9, tzinfo=UTC),
        event_properties={"order_id": "order-3", "amount": 105.5},
    )
    item = CreateBatchEventsRequestEventsItem(
        event_name="page_viewed",
        identifiers=CreateBatchEventsRequestEventsItemIdentifiers(contact_id=CONTACT),
    )
    accepted = brevo.event.with_raw_response.create_batch_events(events=[item])
    assert strictly(BatchAcceptedResponse, answered(accepted)).count == 1
    assert value(brevo) == 200
    with pytest.raises(BadRequestError) as lost:
        brevo.ecommerce.create_order(**order(4, "lost"))
    assert lost.value.body["code"] == "invalid_parameter"


@pytest.mark.usefixtures("subscribed")
def test_webhooks_are_managed(brevo: Brevo) -> None:
    raw = brevo.webhooks.with_raw_response
    made = strictly(
        CreateWebhookResponse,
        answered(
            raw.create_webhook(
                url="https://example.com/hook",
                events=["balance_value_updated"],
                type="marketing",
                auth=CreateWebhookRequestAuth(type="bearer", token="s3cret"),
            )
        ),
    )
    (found,) = strictly(GetWebhooksResponse, answered(raw.get_webhooks(sort="asc"))).webhooks
    assert (found.id, found.events, found.batched) == (made.id, ["balance_value_updated"], False)
    brevo.webhooks.update_webhook(made.id, events=["voucher_created"], description="Vouchers")
    assert brevo.webhooks.get_webhook(made.id).events == ["voucher_created"]
    brevo.webhooks.delete_webhook(made.id)
    with pytest.raises(NotFoundError):
        brevo.webhooks.get_webhook(made.id)
