from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from adapter.clock import parse
from adapter.errors import Ignored, Rejected
from adapter.events import Cancellation, Customer, Event, EventType, Line, Payment, Refund, Shipment, Totals
from connectors.base import RawEvent, SourceSettings
from connectors.woocommerce import CONNECTOR
from connectors.woocommerce.topics import EVENT_TYPES, IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable

    Normalize = Callable[..., tuple[Event, ...]]

NOON = parse("2026-10-05T12:00:00Z")
CREATED = parse("2026-10-01T09:00:00Z")
PAID = parse("2026-10-01T09:05:00Z")
COMPLETED = parse("2026-10-02T08:00:00Z")
MODIFIED = parse("2026-10-03T09:00:00Z")

MUG = Line(
    id="11", quantity=Decimal(2), amount=Decimal("30.00"), tax=Decimal("5.70"), sku="MUG", product="501"
)
CLOTH = Line(
    id="12",
    quantity=Decimal("1.5"),
    amount=Decimal("29.99"),
    tax=Decimal("5.70"),
    sku="4711",
    product="502",
)


def totals(version: int) -> Totals:
    """30.00 + 29.99 goods, 5.00 shipping, 12.35 tax = 77.34."""
    return Totals(
        version=version,
        currency="EUR",
        lines=(MUG, CLOTH),
        tax=Decimal("12.35"),
        shipping=Decimal("5.00"),
        total=Decimal("77.34"),
        codes=("ten",),
    )


def of(events: tuple[Event, ...], kind: EventType) -> list[Event]:
    return [event for event in events if event.type is kind]


def test_a_new_order_is_its_totals_and_nothing_more(normalize: Normalize) -> None:
    assert normalize("order.created") == (
        Event(
            type=EventType.ORDER_PLACED,
            order="1001",
            order_name="#1001",
            occurred_at=CREATED,
            version=CREATED,
            placed_at=CREATED,
            customer=Customer(id="70", email="ada@shop.example", name="Ada Byron"),
            totals=totals(CREATED),
            cancellation=Cancellation(version=CREATED, cancelled=False, at=CREATED),
        ),
    )


def test_one_snapshot_tells_everything_that_happened(normalize: Normalize) -> None:
    updated, paid, shipped, refunded = normalize("order.updated")
    assert (updated.type, updated.totals) == (EventType.ORDER_UPDATED, totals(MODIFIED))
    assert paid == Event(
        type=EventType.PAYMENT_COMPLETED,
        order="1001",
        occurred_at=PAID,
        version=MODIFIED,
        payment=Payment(id="order:1001", version=PAID, at=PAID),
    )
    assert shipped == Event(
        type=EventType.ORDER_SHIPPED,
        order="1001",
        occurred_at=COMPLETED,
        version=MODIFIED,
        shipment=Shipment(id="order:1001", version=COMPLETED, at=COMPLETED),
    )
    assert refunded == Event(
        type=EventType.ORDER_REFUNDED,
        order="1001",
        occurred_at=MODIFIED,
        version=MODIFIED,
        refund=Refund(id="2001", version=-MODIFIED, currency="EUR", amount=Decimal("8.10"), at=MODIFIED),
    )


def test_an_order_may_be_complete_when_its_creation_is_told(normalize: Normalize) -> None:
    kinds = [
        event.type
        for event in normalize("order.created", status="completed", date_paid_gmt="2026-10-01T09:05:00")
    ]
    assert kinds == [EventType.ORDER_PLACED, EventType.PAYMENT_COMPLETED, EventType.ORDER_SHIPPED]


@pytest.mark.parametrize(
    ("status", "off"),
    [
        ("pending", False),
        ("processing", False),
        ("on-hold", False),
        ("refunded", False),
        ("packed-by-plugin", False),
        ("cancelled", True),
        ("failed", True),
        ("trash", True),
    ],
)
def test_every_snapshot_says_whether_the_order_is_off(normalize: Normalize, status: str, off: bool) -> None:
    events = normalize("order.created", status=status)
    register = [event.cancellation for event in events if event.cancellation]
    assert register == [
        Cancellation(version=CREATED, cancelled=off, reason=status if off else None, at=CREATED),
    ]
    assert bool(of(events, EventType.ORDER_CANCELLED)) is off


@pytest.mark.parametrize("status", ["auto-draft", "checkout-draft"])
def test_a_draft_is_not_an_order_yet(normalize: Normalize, status: str) -> None:
    with pytest.raises(Ignored, match=status):
        normalize("order.updated", status=status)


def entry(refund: int, total: Any) -> dict[str, Any]:
    return {"id": refund, "reason": "", "total": total}


@pytest.mark.parametrize(
    ("status", "refunds", "expected"),
    [
        ("processing", [], {}),
        ("processing", None, {}),
        ("processing", [entry(1, "-8.10"), entry(2, "-16.20")], {"1": "8.10", "2": "16.20"}),
        ("processing", [entry(1, "8.10")], {"1": "8.10"}),
        ("processing", [entry(1, -8.1)], {"1": "8.1"}),
        ("refunded", [], {"order:1001:full": "77.34"}),
        ("refunded", None, {"order:1001:full": "77.34"}),
        ("refunded", [entry(1, "-77.34")], {"1": "77.34"}),
        (
            "refunded",
            [entry(1, "-8.10"), entry(2, "-69.24")],
            {"1": "8.10", "2": "69.24"},
        ),  # 8.10 + 69.24 = 77.34
        ("refunded", [entry(1, "-8.10")], {"1": "8.10", "order:1001:full": "69.24"}),  # 77.34 - 8.10
    ],
)
def test_refunds_take_what_they_say_and_a_full_one_the_rest(
    normalize: Normalize,
    status: str,
    refunds: Any,
    expected: dict[str, str],
) -> None:
    events = normalize("order.updated", status=status, refunds=refunds)
    told = [event.refund for event in of(events, EventType.ORDER_REFUNDED)]
    assert {refund.id: refund.amount for refund in told if refund} == {
        key: Decimal(amount) for key, amount in expected.items()
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # gift cards are off the shop's total already: 53.34 + 20 + 4 = 77.34
        (
            {"total": "53.34", "gift_cards": [{"id": 1, "amount": 20}, {"id": 2, "amount": "4.00"}]},
            {"total": "77.34", "gift_cards": "24", "goods": "59.99", "discount": "0"},
        ),
        (
            {"fee_lines": [{"id": 1, "total": "3.00"}], "total": "80.34"},
            {"total": "80.34", "gift_cards": "0", "goods": "59.99", "discount": "0"},
        ),
        (
            {"fee_lines": [{"id": 1, "total": "-9.99"}], "total": "67.35"},
            {"total": "67.35", "gift_cards": "0", "goods": "59.99", "discount": "9.99"},
        ),
        (
            {"line_items": [], "total": "0.00"},
            {"total": "0.00", "gift_cards": "0", "goods": "0", "discount": "0"},
        ),
    ],
)
def test_what_an_order_amounts_to(
    normalize: Normalize, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    told = normalize("order.created", **changes)[0].totals
    assert told is not None
    goods = sum((line.amount for line in told.lines), Decimal(0))
    assert {
        "total": told.total,
        "gift_cards": told.gift_cards,
        "goods": goods,
        "discount": told.discount,
    } == {key: Decimal(amount) for key, amount in expected.items()}


def line(**changes: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "product_id": 501,
        "quantity": 1,
        "total": "10.00",
        "total_tax": "1.90",
        "sku": None,
        **changes,
    }


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (line(), {"sku": None, "product": "501", "gift_card": False}),
        (line(sku=""), {"sku": None, "product": "501", "gift_card": False}),
        (line(sku=123), {"sku": "123", "product": "501", "gift_card": False}),
        (line(product_id=0), {"sku": None, "product": None, "gift_card": False}),
        (
            line(meta_data=[{"key": "wc_gc_giftcard_amount", "value": "50"}]),
            {"sku": None, "product": "501", "gift_card": True},
        ),
        (
            line(meta_data=[{"key": "pw_gift_card_amount", "value": "50"}]),
            {"sku": None, "product": "501", "gift_card": True},
        ),
        (
            line(meta_data=[{"key": "pw_gift_card_amount", "value": ""}, {"key": 7, "value": "x"}]),
            {"sku": None, "product": "501", "gift_card": False},
        ),
    ],
)
def test_a_line(normalize: Normalize, item: dict[str, Any], expected: dict[str, Any]) -> None:
    told = normalize("order.created", line_items=[item])[0].totals
    assert told is not None
    (only,) = told.lines
    assert {"sku": only.sku, "product": only.product, "gift_card": only.gift_card} == expected


def test_a_negative_line_is_a_discount_on_the_order(normalize: Normalize) -> None:
    told = normalize("order.created", line_items=[line(), line(id=2, total="-4.00")])[0].totals
    assert told is not None
    assert [(one.id, one.amount) for one in told.lines] == [("1", Decimal("10.00"))]
    assert told.discount == Decimal("4.00")


@pytest.mark.parametrize(
    ("customer", "billing", "expected"),
    [
        (70, {"email": " Ada@Shop.Example "}, Customer(id="70", email="ada@shop.example")),
        ("70", {"email": ""}, Customer(id="70")),
        (0, {"email": "guest@shop.example"}, Customer(email="guest@shop.example")),
        ("0", {"email": None}, Customer()),
        (None, None, Customer()),
    ],
)
def test_customer_zero_is_a_guest(
    normalize: Normalize, customer: Any, billing: Any, expected: Customer
) -> None:
    assert normalize("order.created", customer_id=customer, billing=billing)[0].customer == expected


def test_old_bodies_have_only_local_times(normalize: Normalize) -> None:
    gone = {f"{name}_gmt": None for name in ("date_created", "date_modified", "date_paid", "date_completed")}
    updated, paid, shipped, _ = normalize("order.updated", **gone)
    assert updated.version == parse("2026-10-03T11:00:00Z")
    assert (paid.occurred_at, shipped.occurred_at) == (
        parse("2026-10-01T11:05:00Z"),
        parse("2026-10-02T10:00:00Z"),
    )


def test_an_order_that_was_never_modified_is_as_old_as_its_creation(normalize: Normalize) -> None:
    assert normalize("order.created", date_modified=None, date_modified_gmt=None)[0].version == CREATED


def test_a_shop_whose_clock_is_ahead_keeps_its_versions_and_not_its_instants(normalize: Normalize) -> None:
    ahead = "2026-10-05T12:30:00"
    updated, paid, shipped, refunded = normalize(
        "order.updated",
        date_created_gmt=ahead,
        date_modified_gmt=ahead,
        date_paid_gmt=ahead,
        date_completed_gmt=ahead,
    )
    version = parse("2026-10-05T12:30:00Z")
    assert {event.occurred_at for event in (updated, paid, shipped, refunded)} == {NOON}
    assert {event.version for event in (updated, paid, shipped, refunded)} == {version}
    assert updated.placed_at == NOON
    assert paid.payment == Payment(id="order:1001", version=version, at=NOON)
    assert shipped.shipment == Shipment(id="order:1001", version=version, at=NOON)


def test_a_deleted_order_is_cancelled_as_of_its_arrival(normalize: Normalize) -> None:
    assert normalize("order.deleted") == (
        Event(
            type=EventType.ORDER_CANCELLED,
            order="1001",
            occurred_at=NOON,
            version=NOON,
            cancellation=Cancellation(version=NOON, reason="deleted", at=NOON),
        ),
    )


def test_a_body_under_a_wrong_topic_deletes_nothing(normalize: Normalize) -> None:
    with pytest.raises(Rejected, match="another kind of webhook"):
        normalize("order.deleted", status="completed")
    with pytest.raises(Rejected, match="another kind of webhook"):
        normalize("customer.deleted", email="ada@shop.example")


@pytest.mark.parametrize(
    ("topic", "kind", "customer", "version"),
    [
        (
            "customer.created",
            EventType.CUSTOMER_CREATED,
            ("70", "ada@shop.example", "Ada Byron"),
            "2026-09-01T08:00:00Z",
        ),
        (
            "customer.updated",
            EventType.CUSTOMER_UPDATED,
            ("70", "ada@shop.example", "Ada Lovelace"),
            "2026-09-02T08:00:00Z",
        ),
        ("customer.deleted", EventType.CUSTOMER_DELETED, ("70", None, None), "2026-10-05T12:00:00Z"),
    ],
)
def test_customers(
    normalize: Normalize,
    topic: str,
    kind: EventType,
    customer: tuple[str, str | None, str | None],
    version: str,
) -> None:
    told, email, name = customer
    at = parse(version)
    assert normalize(topic) == (
        Event(type=kind, occurred_at=at, version=at, customer=Customer(id=told, email=email, name=name)),
    )


@pytest.mark.parametrize("topic", ["product.updated", "coupon.created", "action.woocommerce_add_to_cart"])
def test_what_has_nothing_to_do_with_points_is_ignored_with_the_reason(
    normalize: Normalize, topic: str
) -> None:
    with pytest.raises(Ignored) as ignored:
        normalize(topic)
    assert ignored.value.message == IGNORED[f"{topic.partition('.')[0]}.*"]


@pytest.mark.parametrize("topic", ["order.refund", "order", "unknown", "orders.created"])
def test_an_unknown_topic_is_rejected_by_name(topic: str) -> None:
    raw = RawEvent({"x-wc-webhook-topic": topic}, b"{}", NOON)
    with pytest.raises(Rejected, match=f"`{topic}` is not known here"):
        CONNECTOR.normalize(raw, SourceSettings("shop", ("hush",)))


@pytest.mark.parametrize(
    ("topic", "changes", "reason"),
    [
        ("order.created", {"status": None}, "not an order"),
        ("order.created", {"currency": 978}, "`currency`"),
        ("order.created", {"id": None}, "`id`"),
        (
            "order.created",
            {
                "date_modified": None,
                "date_modified_gmt": None,
                "date_created": None,
                "date_created_gmt": None,
            },
            "date_modified_gmt",
        ),
        ("order.created", {"date_modified_gmt": "yesterday"}, "date_modified_gmt"),
        ("order.created", {"line_items": {"id": 1}}, "line_items"),
        ("order.created", {"line_items": ["mug"]}, "line_items"),
        ("order.created", {"line_items": [line(id=None)]}, "line_items.id"),
        ("order.created", {"line_items": [line(total="ten")]}, "total"),
        ("order.created", {"line_items": [line(quantity=[])]}, "quantity"),
        ("order.created", {"total": {"amount": "1"}}, "total"),
        ("order.updated", {"refunds": [entry(0, "-1.00") | {"id": None}]}, "refunds.id"),
        ("order.updated", {"refunds": [entry(1, None)]}, "refunds.total"),
        ("order.created", {"line_items": [line(quantity=-1)]}, "quantity"),
        ("customer.updated", {"id": ""}, "`id`"),
    ],
)
def test_what_cannot_be_read_is_rejected_and_says_where(
    normalize: Normalize,
    topic: str,
    changes: dict[str, Any],
    reason: str,
) -> None:
    with pytest.raises(Rejected, match=reason):
        normalize(topic, **changes)


def test_an_order_under_a_customers_topic_is_not_a_customer() -> None:
    raw = RawEvent({"x-wc-webhook-topic": "customer.updated"}, b'{"id":1001,"status":"processing"}', NOON)
    with pytest.raises(Rejected, match="not a customer"):
        CONNECTOR.normalize(raw, SourceSettings("shop", ("hush",)))


def test_the_legacy_format_is_rejected_with_what_to_do() -> None:
    raw = RawEvent({"x-wc-webhook-topic": "order.created"}, b'{"order":{"id":1}}', NOON)
    with pytest.raises(Rejected, match="REST API Integration v3"):
        CONNECTOR.normalize(raw, SourceSettings("shop", ("hush",)))


def test_every_topic_that_is_understood_has_a_payload_here(normalize: Normalize) -> None:
    for topic in EVENT_TYPES:
        assert normalize(topic)
