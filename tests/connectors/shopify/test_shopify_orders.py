"""What an order's webhooks become. The order of the payloads:

line 101  2 * 20.00 - 4.00           = 36.00   tax 6.84
line 102  1 * 29.99                  = 29.99   tax 5.70
line 103  3 * 10.00 - 1.50 - 1.50    = 27.00   tax 5.13
shipping                                4.99   tax 0.95
total     92.99 + 4.99 + 18.62       = 116.60
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapter.clock import parse
from adapter.errors import Ignored, Rejected
from adapter.events import Customer, Event, Line, Totals

Normalize = Callable[..., dict[str, list[Event]]]
PLACED = parse("2026-10-01T09:59:58+02:00")
CREATED = parse("2026-10-01T10:00:01+02:00")
LINES = (
    Line(
        id="101",
        quantity=Decimal(2),
        amount=Decimal("36.00"),
        tax=Decimal("6.84"),
        sku="CUP-BLUE",
        product="9001",
        categories=("Kiln",),
    ),
    Line(
        id="102",
        amount=Decimal("29.99"),
        tax=Decimal("5.70"),
        sku="POT-RED",
        product="9002",
        categories=("Kiln",),
    ),
    Line(id="103", quantity=Decimal(3), amount=Decimal("27.00"), tax=Decimal("5.13")),
)


def totals_of(events: dict[str, list[Event]]) -> Totals:
    found = [event.totals for many in events.values() for event in many if event.totals is not None]
    assert len(found) == 1
    return found[0]


def test_an_order_is_placed(normalize: Normalize) -> None:
    events = normalize("orders/create")
    assert events == {
        "order.placed": [
            Event(
                type=events["order.placed"][0].type,
                occurred_at=PLACED,
                version=CREATED,
                order="5501001",
                order_name="#1001",
                placed_at=PLACED,
                customer=Customer(id="7000", email="ida@example.com", name="Ida Berg"),
                totals=Totals(
                    version=CREATED,
                    currency="EUR",
                    lines=LINES,
                    tax=Decimal("18.62"),
                    shipping=Decimal("4.99"),
                    total=Decimal("116.60"),
                ),
            )
        ]
    }


@pytest.mark.parametrize(
    ("topic", "types"),
    [
        ("orders/create", {"order.placed": 1}),
        ("orders/paid", {"order.updated": 1, "payment.completed": 1}),
        ("orders/partially_fulfilled", {"order.updated": 1, "payment.completed": 1, "order.shipped": 1}),
        ("orders/fulfilled", {"order.updated": 1, "payment.completed": 1, "order.shipped": 3}),
        (
            "orders/updated",
            {"order.updated": 1, "payment.completed": 1, "order.shipped": 3, "order.refunded": 1},
        ),
        ("orders/cancelled", {"order.updated": 1, "order.cancelled": 1}),
        ("fulfillments/create", {"order.shipped": 1}),
        ("fulfillments/update", {"order.shipped": 1}),
        ("refunds/create", {"order.refunded": 1}),
        ("order_transactions/create", {"payment.completed": 1}),
        ("customers/create", {"customer.created": 1}),
        ("customers/update", {"customer.updated": 1}),
        ("customers/delete", {"customer.deleted": 1}),
        ("customers/redact", {"customer.redacted": 1}),
    ],
)
def test_a_body_gives_all_its_facts(normalize: Normalize, topic: str, types: dict[str, int]) -> None:
    assert {kind: len(events) for kind, events in normalize(topic).items()} == types


LINE: dict[str, Any] = {"id": 1, "quantity": 1, "price": "100.00"}


@pytest.mark.parametrize(
    ("changes", "line", "discount", "shipping"),
    [
        pytest.param({}, "100.00", "0", "4.99", id="plain: 100.00"),
        pytest.param({"line_items": [{**LINE, "quantity": 3}]}, "300.00", "0", "4.99", id="3 * 100.00"),
        pytest.param(
            {"line_items": [{**LINE, "total_discount": "10.00"}]},
            "90.00",
            "0",
            "4.99",
            id="older: 100.00 - 10.00",
        ),
        pytest.param(
            {
                "line_items": [
                    {**LINE, "total_discount": "10.00", "discount_allocations": [{"amount": "12.50"}]}
                ]
            },
            "87.50",
            "0",
            "4.99",
            id="allocations go first: 100.00 - 12.50",
        ),
        pytest.param(
            {"taxes_included": True, "line_items": [{**LINE, "tax_lines": [{"price": "15.97"}]}]},
            "84.03",
            "0",
            "4.04",
            id="tax included: 100.00 - 15.97, 4.99 - 0.95",
        ),
        pytest.param(
            {"subtotal_price": "90.00", "total_discounts": "10.00"},
            "100.00",
            "10.00",
            "4.99",
            id="of the order: min(100.00 - 90.00, 10.00)",
        ),
        pytest.param(
            {"subtotal_price": "50.00", "total_discounts": "10.00"},
            "100.00",
            "10.00",
            "4.99",
            id="a line added later: min(100.00 - 50.00, 10.00)",
        ),
        pytest.param(
            {"subtotal_price": "90.00", "total_discounts": ...},
            "100.00",
            "10.00",
            "4.99",
            id="subtotal alone",
        ),
        pytest.param(
            {"subtotal_price": ..., "total_discounts": "10.00"},
            "100.00",
            "10.00",
            "4.99",
            id="discounts alone",
        ),
        pytest.param(
            {
                "subtotal_price": "100.00",
                "total_discounts": "4.99",
                "shipping_lines": [{"price": "4.99", "discount_allocations": [{"amount": "4.99"}]}],
            },
            "100.00",
            "0",
            "0.00",
            id="the discount is the shipping's: 4.99 - 4.99",
        ),
        pytest.param(
            {
                "shipping_lines": [
                    {"price": "9.00", "discounted_price": "6.00"},
                    {"price": "5.00", "is_removed": True},
                ]
            },
            "100.00",
            "0",
            "6.00",
            id="discounted shipping, and one that was removed",
        ),
        pytest.param({"shipping_lines": ...}, "100.00", "0", "4.99", id="shipping told as a sum"),
        pytest.param(
            {"shipping_lines": ..., "total_shipping_price_set": ...}, "100.00", "0", "0", id="nothing to ship"
        ),
        pytest.param({"line_items": []}, None, "0", "4.99", id="no lines"),
        pytest.param(
            {"currency": "JPY", "line_items": [{**LINE, "price": "5900", "quantity": 4}]},
            "23600",
            "0",
            "4.99",
            id="JPY: 4 * 5900",
        ),
        pytest.param(
            {"line_items": [{**LINE, "price": "0.333333", "quantity": 1.5}]},
            "0.500000",
            "0",
            "4.99",
            id="1.5 * 0.333333, rounded to millionths",
        ),
    ],
)
def test_the_arithmetic_of_totals(
    normalize: Normalize, changes: dict[str, Any], line: str | None, discount: str, shipping: str
) -> None:
    base = {"line_items": [LINE], "subtotal_price": "100.00", "total_discounts": "0.00"}
    totals = totals_of(normalize("orders/create", **{**base, **changes}))
    assert [one.amount for one in totals.lines] == ([] if line is None else [Decimal(line)])
    assert totals.discount == Decimal(discount)
    assert totals.shipping == Decimal(shipping)


def test_what_a_line_is(normalize: Normalize) -> None:
    line = {
        **LINE,
        "gift_card": True,
        "requires_shipping": False,
        "product_type": "Cards",
        "tags": "new, sale,Cards,",
    }
    listed = {**LINE, "tags": ["new", 5], "vendor": ""}
    first, second = totals_of(normalize("orders/create", line_items=[line, listed])).lines
    assert (first.gift_card, first.ships, first.categories) == (True, False, ("Cards", "new", "sale"))
    assert (second.gift_card, second.ships, second.categories) == (False, True, ("new",))


@pytest.mark.parametrize(
    ("changes", "customer"),
    [
        ({"customer": None}, Customer(email="ida@example.com")),
        ({"customer": ..., "email": "", "contact_email": "Bo@Example.com"}, Customer(email="bo@example.com")),
        ({"customer": None, "email": "", "contact_email": None}, None),
        ({"customer": {"id": 5}, "email": None, "contact_email": ""}, Customer(id="5")),
        ({"customer": {"id": 5}}, Customer(id="5", email="ida@example.com")),
    ],
)
def test_who_bought(normalize: Normalize, changes: dict[str, Any], customer: Customer | None) -> None:
    (placed,) = normalize("orders/create", **changes)["order.placed"]
    assert placed.customer == customer


@pytest.mark.parametrize(
    ("changes", "test"),
    [({}, False), ({"test": True}, True), ({"test": "true"}, False), ({"test": None}, False)],
)
def test_test_orders(normalize: Normalize, changes: dict[str, Any], test: bool) -> None:
    assert normalize("orders/create", **changes)["order.placed"][0].test is test


def test_the_header_tells_of_a_test_as_well(normalize: Normalize) -> None:
    headers = {"x-shopify-topic": "orders/paid", "x-shopify-test": "true"}
    events = normalize("orders/paid", headers=headers)
    assert all(event.test for many in events.values() for event in many)


def test_only_the_paid_topic_says_when(normalize: Normalize) -> None:
    (paid,) = normalize("orders/paid")["payment.completed"]
    (later,) = normalize("orders/updated")["payment.completed"]
    assert paid.payment is not None
    assert later.payment is not None
    assert paid.payment.id == later.payment.id == "order:5501001"
    assert (paid.payment.at, paid.payment.version) == (parse("2026-10-01T10:05:00+02:00"),) * 2
    assert (later.payment.at, later.payment.version) == (PLACED,) * 2
    assert (paid.payment.amount, paid.payment.currency, paid.payment.whole) == (
        Decimal("116.60"),
        "EUR",
        True,
    )


@pytest.mark.parametrize(
    "status", ["paid", "partially_refunded", "refunded", "pending", "authorized", "voided"]
)
def test_which_orders_are_paid(normalize: Normalize, status: str) -> None:
    paid = "payment.completed" in normalize("orders/updated", financial_status=status)
    assert paid == (status in ("paid", "partially_refunded", "refunded"))
    assert "payment.completed" in normalize("orders/paid", financial_status=status)


def test_a_cancellation(normalize: Normalize) -> None:
    (event,) = normalize("orders/cancelled")["order.cancelled"]
    assert event.cancellation is not None
    assert event.cancellation.cancelled
    assert event.cancellation.reason == "customer"
    assert event.cancellation.at == event.occurred_at == parse("2026-10-01T11:00:00+02:00")
    assert event.cancellation.version == parse("2026-10-01T11:00:01+02:00")


def test_a_cancelled_order_is_seen_under_any_topic(normalize: Normalize) -> None:
    assert "order.cancelled" in normalize("orders/updated", body="orders/cancelled")
    (event,) = normalize("orders/cancelled", cancelled_at=None)["order.cancelled"]
    assert event.cancellation is not None
    assert event.cancellation.at == event.version


@pytest.mark.parametrize("topic", ["orders/create", "orders/paid", "orders/fulfilled", "orders/updated"])
def test_the_sample_of_the_admin_is_what_its_topic_says(normalize: Normalize, topic: str) -> None:
    """The shop's admin sends one body under every topic: a voided, unconfirmed, cancelled test order."""
    sample = {"test": True, "confirmed": False}
    assert "order.cancelled" not in normalize(topic, body="orders/cancelled", **sample)
    assert "order.cancelled" in normalize("orders/cancelled", **sample)
    assert "order.cancelled" in normalize(topic, body="orders/cancelled", test=True, confirmed=True)


def test_a_clock_that_runs_ahead_is_cut_but_versions_are_not(normalize: Normalize) -> None:
    now = parse("2026-09-30T00:00:00Z")
    events = [event for many in normalize("orders/updated", now=now).values() for event in many]
    assert {event.occurred_at for event in events} == {now}
    assert {event.placed_at for event in events} == {now, None}
    facts = [
        fact for event in events for fact in (event.payment, event.shipment, event.refund) if fact is not None
    ]
    assert {fact.at for fact in facts} == {now}
    assert all(event.version > now for event in events)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None, "admin_graphql_api_id": None}, "id"),
        ({"id": True, "admin_graphql_api_id": ...}, "id"),
        ({"updated_at": None, "created_at": "", "processed_at": ...}, "updated_at"),
        ({"updated_at": "soon"}, "updated_at"),
        ({"currency": None}, "currency"),
        ({"total_price": None}, "total_price"),
        ({"total_price": "1e3"}, "total_price"),
        ({"line_items": ...}, "line_items"),
        ({"line_items": {}}, "line_items"),
        ({"line_items": [{"id": 1, "quantity": 1}]}, "line_items.price"),
        ({"line_items": [{"quantity": 1, "price": "1"}]}, "line_items.id"),
        ({"line_items": [{**LINE, "quantity": -1}]}, "line_items.quantity"),
        ({"line_items": [{**LINE, "quantity": 10**14, "price": "99"}]}, "line_items.price"),
        ({"line_items": [{**LINE, "tax_lines": [{"price": "x"}]}]}, "line_items.tax_lines.price"),
        ({"line_items": [{**LINE, "discount_allocations": [{}]}]}, "line_items.discount_allocations.amount"),
        ({"shipping_lines": [{"price": []}]}, "shipping_lines.price"),
        ({"shipping_lines": "none"}, "shipping_lines"),
        ({"customer": "Ida"}, "customer"),
        ({"cancelled_at": "2016-13-01"}, "cancelled_at"),
        ({"refunds": [{"id": 1, "refund_line_items": [{"line_item_id": 1}]}]}, "refund_line_items.quantity"),
    ],
)
def test_what_cannot_be_read_is_named(normalize: Normalize, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected, match=f"`{field}`") as error:
        normalize("orders/create", **changes)
    assert error.value.field == field


def test_an_id_may_be_global(normalize: Normalize) -> None:
    (event,) = normalize("orders/create", id=None, admin_graphql_api_id="gid://shopify/Order/42")[
        "order.placed"
    ]
    assert event.order == "42"
    with pytest.raises(Rejected, match="`id`"):
        normalize("orders/create", id=None, admin_graphql_api_id="Order 42")


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        ("orders/paid", "order.updated"),
        ("refunds/create", "order.refunded"),
        ("order_transactions/create", "payment.completed"),
        ("fulfillments/create", "order.shipped"),
    ],
)
def test_without_its_header_the_shape_tells_the_topic(normalize: Normalize, body: str, type_: str) -> None:
    assert type_ in normalize("", headers={}, body=body)


def test_without_header_and_shape(normalize: Normalize) -> None:
    with pytest.raises(Rejected, match="X-Shopify-Topic is missing"):
        normalize("", headers={}, body="customers/redact")


def test_headers_may_come_without_their_x(normalize: Normalize) -> None:
    assert "order.placed" in normalize("", headers={"shopify-topic": "Orders/Create"}, body="orders/create")


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"kind": "authorization"}, Ignored, "takes no money"),
        ({"kind": "void"}, Ignored, "takes no money"),
        ({"kind": "refund"}, Ignored, "refunds/create"),
        ({"status": "pending"}, Ignored, "no money was taken"),
        ({"status": "failure"}, Ignored, "no money was taken"),
        ({"order_id": None}, Rejected, "`order_id`"),
        ({"amount": None}, Rejected, "`amount`"),
        ({"processed_at": None, "created_at": None}, Rejected, "`processed_at`"),
    ],
)
def test_transactions_that_are_no_payment(
    normalize: Normalize, changes: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        normalize("order_transactions/create", **changes)


@pytest.mark.parametrize("changes", [{}, {"kind": "sale"}, {"gateway": "gift_card"}])
def test_transactions_that_are(normalize: Normalize, changes: dict[str, Any]) -> None:
    (event,) = normalize("order_transactions/create", **changes)["payment.completed"]
    assert event.payment is not None
    assert (event.order, event.payment.id, event.payment.whole) == ("5501001", "501", False)
    assert (event.payment.amount, event.payment.currency) == (Decimal("116.60"), "EUR")
    assert event.payment.at == parse("2026-10-01T10:04:59+02:00")


def test_a_transaction_may_leave_its_currency_to_the_order(normalize: Normalize) -> None:
    (event,) = normalize("order_transactions/create", currency=None)["payment.completed"]
    assert event.payment is not None
    assert event.payment.currency is None


@pytest.mark.parametrize(
    ("topic", "customer", "at"),
    [
        (
            "customers/create",
            Customer(id="7000", email="ida@example.com", name="Ida Berg"),
            "2026-09-02T10:00:00Z",
        ),
        (
            "customers/update",
            Customer(id="7000", email="ida.berg@example.com", name="Ida Berg"),
            "2026-09-03T10:00:00Z",
        ),
        ("customers/delete", Customer(id="7000"), "2026-10-20T12:00:00Z"),
        ("customers/redact", Customer(id="7000", email="ida@example.com"), "2026-10-20T12:00:00Z"),
    ],
)
def test_customers(normalize: Normalize, topic: str, customer: Customer, at: str) -> None:
    ((event,),) = normalize(topic).values()
    assert event.customer == customer
    assert event.version == event.occurred_at == parse(at)
    assert event.order is None


@pytest.mark.parametrize(
    "topic", ["orders/edited", "orders/delete", "carts/update", "customers/merge", "shop/redact"]
)
def test_ignored_with_a_reason(normalize: Normalize, topic: str) -> None:
    with pytest.raises(Ignored, match=r"\w{4}"):
        normalize(topic, body="customers/delete")


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, ()),
        ({"discount_codes": [{"code": "POINTS-1", "amount": "5.00", "type": "fixed_amount"}]}, ("POINTS-1",)),
        (
            {"discount_applications": [{"type": "discount_code", "code": "TEN"}, {"type": "automatic"}]},
            ("TEN",),
        ),
        (
            {"discount_codes": [{"code": "A"}], "discount_applications": [{"code": "A"}, {"code": "B"}]},
            ("A", "B"),
        ),
        ({"discount_codes": None}, ()),
    ],
)
def test_the_discount_codes_of_an_order(normalize: Normalize, changes: Any, codes: tuple[str, ...]) -> None:
    blank: dict[str, Any] = {"discount_codes": [], "discount_applications": []}
    assert totals_of(normalize("orders/create", **{**blank, **changes})).codes == codes
