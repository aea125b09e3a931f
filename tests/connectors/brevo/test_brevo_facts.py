"""What an order's status says, what an event says, and that their order makes no difference."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from adapter.clock import parse
from adapter.errors import ConfigurationError, Ignored, Rejected
from adapter.events import EventType
from adapter.program.model import Program
from connectors.base import RawEvent, SourceSettings
from connectors.brevo.connector import CONNECTOR
from connectors.brevo.topics import STATUSES, Stage
from tests.connectors.brevo.case import CASE
from tests.connectors.case import NOW
from tests.engine.test_convergence import fresh
from tests.shop import play, recorded, snapshot

if TYPE_CHECKING:
    from adapter.events import Event


def normalized(body: dict[str, Any], **options: Any) -> tuple[Event, ...]:
    raw = RawEvent({}, orjson.dumps(body), NOW)
    return CONNECTOR.normalize(raw, SourceSettings("brevo", CASE.secrets, options))


def order(status: str, hour: int = 10, **more: Any) -> dict[str, Any]:
    body = {
        "id": "14",
        "createdAt": "2026-10-19T09:00:00Z",
        "updatedAt": f"2026-10-19T{hour}:00:00Z",
        "status": status,
        "amount": 108.5,
        "products": [{"productId": "P1", "quantity": 10, "price": 10}],
        "identifiers": {"loyalty_subscription_id": "cust_abc123"},
    }
    return {**body, **more}


SAYS = {
    Stage.OPEN: {EventType.ORDER_PLACED},
    Stage.PAID: {EventType.ORDER_UPDATED, EventType.PAYMENT_COMPLETED},
    Stage.SHIPPED: {EventType.ORDER_UPDATED, EventType.ORDER_SHIPPED},
    Stage.COMPLETED: {EventType.ORDER_UPDATED, EventType.PAYMENT_COMPLETED, EventType.ORDER_SHIPPED},
    Stage.CANCELLED: {EventType.ORDER_UPDATED, EventType.ORDER_CANCELLED},
    Stage.REFUNDED: {EventType.ORDER_UPDATED, EventType.ORDER_REFUNDED},
}


@pytest.mark.parametrize(("status", "stage"), STATUSES.items(), ids=STATUSES)
def test_each_status_says_its_facts(status: str, stage: Stage) -> None:
    for written in (status, status.upper(), status.replace("_", " ")):
        assert {event.type for event in normalized(order(written))} == SAYS[stage]


@pytest.mark.parametrize(
    ("amount", "shipping", "discount"),
    [(108.5, "8.5", "0"), (100, "0", "0"), (85, "0", "15"), (0, "0", "100")],
)
def test_what_the_amount_has_beyond_the_products(amount: float, shipping: str, discount: str) -> None:
    totals = normalized(order("placed", amount=amount, coupons=["TEN"]))[0].totals
    assert totals is not None
    assert (totals.shipping, totals.discount) == (Decimal(shipping), Decimal(discount))
    assert (totals.total, totals.currency, totals.codes) == (Decimal(str(amount)), "EUR", ("TEN",))


def test_products_become_lines() -> None:
    products = [
        {"productId": "P1", "variantId": "red", "quantity": 2, "price": 9.99},
        {"productId": "P1", "variantId": "red", "quantityFloat": 0.5, "price": 10},
        {"productId": 7, "price": 1},
    ]
    totals = normalized(order("placed", products=products))[0].totals
    assert totals is not None
    assert [(line.id, line.quantity, line.amount) for line in totals.lines] == [
        ("P1:red", Decimal(2), Decimal("19.98")),
        ("P1:red#2", Decimal("0.5"), Decimal(5)),
        ("7", Decimal(1), Decimal(1)),
    ]


WHO = [
    ({"loyalty_subscription_id": "cust_abc123", "ext_id": "c-9"}, "cust_abc123", None),
    ({"contact_id": 12345, "ext_id": "c-9"}, "12345", None),
    ({"ext_id": "c-9"}, "ext_id:c-9", None),
    ({"email_id": " Jo@Example.com "}, None, "jo@example.com"),
    ({"phone_id": "+49"}, None, None),
]


@pytest.mark.parametrize(("identifiers", "customer", "email"), WHO)
def test_who_bought(identifiers: dict[str, Any], customer: str | None, email: str | None) -> None:
    told = normalized(order("placed", identifiers=identifiers))[0].customer
    assert told is not None
    assert (told.id, told.email) == (customer, email)


LIVES = [
    (["placed", "paid", "shipped", "completed"], 100),
    (["placed", "completed", "cancelled"], 0),
    (["placed", "cancelled", "completed"], 100),  # it came back
    (["placed", "completed", "refunded"], 0),
    (["placed", "paid"], 0),  # nothing left yet
]


@pytest.mark.parametrize(("life", "available"), LIVES, ids=["-".join(life) for life, _ in LIVES])
def test_any_order_and_any_repetition_end_alike(life: list[str], available: int) -> None:
    states = [normalized(order(status, hour)) for hour, status in enumerate(life, 10)]
    found = []
    for turn in permutations(states):
        with fresh(Program.model_validate({"name": "main", "earning": {"rate": "1"}})) as engine:
            told = enumerate((*turn, *turn))
            play(engine, [recorded(*events, salt=str(number)) for number, events in told])
            found.append(snapshot(engine))
    assert all(one == found[0] for one in found)
    held = {accounts[1] for accounts in found[0]["balances"].values()} - {0}
    assert held == ({available} if available else set())


def test_an_event_without_totals_says_only_its_fact() -> None:
    body = {
        "event_name": "order_shipped",
        "event_date": "2026-10-19T12:30:00+02:00",
        "identifiers": {"contact_id": 12345},
        "event_properties": {"orderId": 14},
    }
    (event,) = normalized(body)
    assert (event.type, event.order, event.totals) == (EventType.ORDER_SHIPPED, "14", None)
    assert event.occurred_at == parse("2026-10-19T10:30:00Z")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (order("lost"), "status"),
        (order("placed", id=None), "id"),
        (order("placed", amount="many"), "amount"),
        (order("placed", updatedAt="yesterday"), "updatedAt"),
        (order("placed", createdAt=None), "createdAt"),
        (order("placed", products=[{"price": 1}]), "productId"),
        (order("placed", products=[{"productId": "P1"}]), "price"),
        (order("placed", products={}), "products"),
        ({"event_name": "order_paid"}, "event_properties.order_id"),
        ({"event_name": "order_placed", "event_properties": {"id": 1}}, "amount"),
        ({"event_name": "order_refunded", "event_properties": {"id": 1}}, "amount"),
        ({"event_name": "order_paid", "event_date": "x", "event_properties": {"id": 1}}, "event_date"),
    ],
)
def test_what_cannot_be_read_names_the_field(body: dict[str, Any], named: str) -> None:
    with pytest.raises(Rejected, match=named):
        normalized(body)


def test_historical_orders_are_kept_and_earn_nothing() -> None:
    with pytest.raises(Ignored, match="historical"):
        normalized(order("completed", historical=True))
    with pytest.raises(Rejected, match="amount"):
        normalized(order("completed", historical=True, amount=None))


def test_a_shops_own_words() -> None:
    events = normalized(order("Abgeholt"), statuses={"abgeholt": "completed"}, currency="CHF")
    assert {event.type for event in events} == SAYS[Stage.COMPLETED]
    assert events[0].totals is not None
    assert events[0].totals.currency == "CHF"
    for options in ({"statuses": {"x": "sold"}}, {"currency": "euro"}):
        with pytest.raises(ConfigurationError):
            CONNECTOR.check_settings(SourceSettings("brevo", CASE.secrets, options))
