from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from adapter.clock import parse
from adapter.errors import Ignored, Rejected
from adapter.events import (
    Cancellation,
    Customer,
    Event,
    EventType,
    Line,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    Totals,
)
from connectors.base import RawEvent, SourceSettings
from connectors.stripe import CONNECTOR
from connectors.stripe.topics import EVENT_TYPES, IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable

    Normalize = Callable[..., tuple[Event, ...]]

NOON = parse("2026-10-05T12:00:00Z")
TEN = parse("2026-10-01T10:00:00Z")
ADA = Customer(id="cus_7", email="ada@shop.example", name="Ada Lovelace")
SHOP = {"order_field": "order_id"}
PAYMENTS = {"payments_only": True}


def test_a_paid_session_is_an_order_and_its_payment(normalize: Normalize) -> None:
    at = TEN + 2000
    assert normalize("checkout.session.completed") == (
        Event(
            type=EventType.ORDER_PLACED,
            order="pi_1",
            order_name="1001",
            occurred_at=at,
            version=at,
            placed_at=TEN - 60_000,
            customer=ADA,
            totals=Totals(  # 107.09 - 17.10 tax = 89.99
                version=at,
                rank=2,
                currency="EUR",
                lines=(Line(id="total", amount=Decimal("89.99"), tax=Decimal("17.10")),),
                tax=Decimal("17.10"),
                shipping=Decimal("0.00"),
                total=Decimal("107.09"),
            ),
        ),
        Event(
            type=EventType.PAYMENT_COMPLETED,
            order="pi_1",
            occurred_at=at,
            version=at,
            payment=Payment(id="pi_1", version=at, amount=Decimal("107.09"), currency="EUR", at=at),
        ),
    )


@pytest.mark.parametrize(
    ("changes", "goods", "tax", "shipping", "total"),
    [
        # 107.09 - 17.10 - 5.00 = 84.99
        (
            {"total_details": {"amount_tax": 1710, "amount_shipping": 500, "amount_discount": 900}},
            "84.99",
            "17.10",
            "5.00",
            "107.09",
        ),
        # tax inside the price: shipping of 5.95 holds 0.95 of the 17.10, so 107.09 - 17.10 - 5.00 = 84.99
        (
            {"shipping_cost": {"amount_subtotal": 595, "amount_tax": 95, "amount_total": 595}},
            "84.99",
            "17.10",
            "5.00",
            "107.09",
        ),
        (
            {"amount_total": 0, "total_details": None, "payment_status": "no_payment_required"},
            "0",
            "0",
            "0",
            "0",
        ),
        ({"currency": "jpy", "total_details": {"amount_tax": 709}}, "10000", "709", "0", "10709"),
        (
            {"currency": "kwd", "amount_total": 5120, "total_details": {"amount_tax": 120}},
            "5.000",
            "0.120",
            "0",
            "5.120",
        ),
    ],
)
def test_what_a_session_amounts_to(
    normalize: Normalize,
    changes: dict[str, Any],
    goods: str,
    tax: str,
    shipping: str,
    total: str,
) -> None:
    told = normalize("checkout.session.completed", **changes)[0].totals
    assert told is not None
    assert [line.amount for line in told.lines] == [Decimal(goods)]
    assert (told.tax, told.shipping, told.total) == (Decimal(tax), Decimal(shipping), Decimal(total))


def test_an_unpaid_session_is_an_order_without_a_payment(normalize: Normalize) -> None:
    (placed,) = normalize("checkout.session.completed", payment_status="unpaid")
    assert placed.type is EventType.ORDER_PLACED
    late = normalize("checkout.session.async_payment_succeeded")
    assert [event.type for event in late] == [EventType.ORDER_PLACED, EventType.PAYMENT_COMPLETED]


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        ("checkout.session.async_payment_failed", PaymentState.FAILED, "payment failed"),
        ("checkout.session.expired", PaymentState.CANCELLED, "expired"),
        ("payment_intent.canceled", PaymentState.CANCELLED, "abandoned"),
    ],
)
def test_what_is_given_up_is_off(normalize: Normalize, kind: str, state: PaymentState, reason: str) -> None:
    payment, off = normalize(kind)
    assert payment.payment is not None
    assert (payment.order, payment.payment.id, payment.payment.state) == ("pi_1", "pi_1", state)
    assert off.cancellation == Cancellation(version=off.version, reason=reason, at=off.occurred_at)
    assert off.type is EventType.ORDER_CANCELLED


def test_a_failed_attempt_may_succeed_yet(normalize: Normalize) -> None:
    (failed,) = normalize("payment_intent.payment_failed")
    assert failed.payment is not None
    assert failed.payment.state is PaymentState.FAILED


@pytest.mark.parametrize("kind", ["payment_intent.succeeded", "charge.succeeded", "charge.captured"])
def test_intent_and_charge_are_one_payment_of_one_order(normalize: Normalize, kind: str) -> None:
    placed, paid = normalize(kind)
    at = TEN + 1000
    assert placed.totals == Totals(
        version=at,
        rank=1,
        currency="EUR",
        lines=(Line(id="total", amount=Decimal("107.09")),),
        total=Decimal("107.09"),
    )
    assert paid.payment == Payment(id="pi_1", version=at, amount=Decimal("107.09"), currency="EUR", at=at)
    assert {placed.order, paid.order} == {"pi_1"}


@pytest.mark.parametrize(
    ("kind", "changes", "order", "amount"),
    [
        ("charge.succeeded", {"payment_intent": None}, "ch_1", "107.09"),
        (
            "charge.succeeded",
            {"payment_intent": {"id": "pi_9", "object": "payment_intent"}},
            "pi_9",
            "107.09",
        ),
        ("charge.captured", {"amount_captured": 5000}, "pi_1", "50.00"),
        ("charge.captured", {"amount_captured": None}, "pi_1", "107.09"),
        ("payment_intent.succeeded", {"amount_received": 5000}, "pi_1", "50.00"),
    ],
)
def test_what_a_payment_amounts_to(
    normalize: Normalize,
    kind: str,
    changes: dict[str, Any],
    order: str,
    amount: str,
) -> None:
    placed, paid = normalize(kind, **changes)
    assert placed.totals is not None
    assert paid.payment is not None
    assert (placed.order, paid.payment.id) == (order, order)
    assert (placed.totals.total, paid.payment.amount) == (Decimal(amount), Decimal(amount))


@pytest.mark.parametrize(
    ("currency", "minor", "expected"),
    [
        ("eur", 8999, "89.99"),
        ("jpy", 500, "500"),
        ("krw", 500, "500"),
        ("clp", 500, "500"),
        ("vnd", 500, "500"),
        ("xaf", 500, "500"),
        ("mga", 500, "500"),
        ("isk", 500, "5.00"),
        ("ugx", 500, "5.00"),
        ("huf", 1045, "10.45"),
        ("twd", 80000, "800.00"),
        ("kwd", 5120, "5.120"),
        ("bhd", 10, "0.010"),
        ("omr", 0, "0"),
        ("jod", 5120, "5.120"),
        ("tnd", 5120, "5.120"),
    ],
)
def test_minor_units(normalize: Normalize, currency: str, minor: int, expected: str) -> None:
    payment = normalize("payment_intent.succeeded", currency=currency, amount_received=minor)[1].payment
    assert payment is not None
    assert (payment.currency, payment.amount) == (currency.upper(), Decimal(expected))


@pytest.mark.parametrize(
    ("changes", "customer"),
    [
        ({}, ADA),
        ({"customer": None}, Customer(email="ada@shop.example", name="Ada Lovelace")),
        ({"customer": {"id": "cus_8", "object": "customer"}, "billing_details": None}, Customer(id="cus_8")),
        (
            {"customer": None, "billing_details": {"email": None}, "receipt_email": "R@shop.example"},
            Customer(email="r@shop.example"),
        ),
        ({"customer": None, "billing_details": None}, Customer()),
    ],
)
def test_who_paid(normalize: Normalize, changes: dict[str, Any], customer: Customer) -> None:
    assert normalize("charge.succeeded", **changes)[0].customer == customer


@pytest.mark.parametrize(
    ("changes", "goods", "tax"),
    [
        # 119.00 - 19.00 tax - 5.00 shipping (5.95 with its own tax of 0.95) = 95.00
        ({}, "95.00", "19.00"),
        ({"total_excluding_tax": None, "total_taxes": [{"amount": 1500}, {"amount": 400}]}, "95.00", "19.00"),
        ({"total_excluding_tax": None, "total_tax_amounts": [{"amount": 1900}]}, "95.00", "19.00"),
        ({"total_excluding_tax": None, "tax": 1900, "total_tax_amounts": []}, "95.00", "19.00"),
        ({"total_excluding_tax": None, "shipping_cost": None}, "119.00", "0"),
    ],
)
def test_what_an_invoice_amounts_to(
    normalize: Normalize, changes: dict[str, Any], goods: str, tax: str
) -> None:
    placed, paid = normalize("invoice.paid", **changes)
    assert placed.totals is not None
    assert paid.payment is not None
    assert (placed.totals.rank, placed.totals.total, placed.totals.tax) == (
        2,
        Decimal("119.00"),
        Decimal(tax),
    )
    assert [line.amount for line in placed.totals.lines] == [Decimal(goods)]
    assert (paid.payment.id, paid.payment.amount, placed.customer) == ("pi_2", Decimal("119.00"), ADA)


LISTED = {
    "data": [
        {"payment": {"type": "charge"}},
        "x",
        {"payment": {"type": "payment_intent", "payment_intent": "pi_3"}},
    ]
}


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        ({}, "pi_2"),
        ({"payment_intent": None, "payments": LISTED}, "pi_3"),
        ({"payment_intent": None, "charge": "ch_4"}, "ch_4"),
        (
            {
                "payment_intent": None,
                "amount_paid": 0,
                "total": 0,
                "total_excluding_tax": 0,
                "shipping_cost": None,
            },
            "in_1",
        ),
    ],
)
def test_an_invoice_is_the_order_of_its_payment(
    normalize: Normalize, changes: dict[str, Any], order: str
) -> None:
    assert {event.order for event in normalize("invoice.paid", **changes)} == {order}


def refund(state: RefundState, version: int) -> Refund:
    return Refund(
        id="re_1",
        payment="ch_1",
        version=version,
        state=state,
        currency="EUR",
        amount=Decimal("30.00"),
        at=TEN + 7_200_000,
    )


@pytest.mark.parametrize(
    ("kind", "state", "seconds"),
    [
        ("refund.created", RefundState.PENDING, 7200),
        ("refund.updated", RefundState.COMPLETED, 7260),
        ("charge.refund.updated", RefundState.COMPLETED, 7260),
        ("refund.failed", RefundState.FAILED, 9000),
    ],
)
def test_one_refund_and_how_it_stands(
    normalize: Normalize, kind: str, state: RefundState, seconds: int
) -> None:
    at = TEN + seconds * 1000
    assert normalize(kind) == (
        Event(
            type=EventType.ORDER_REFUNDED, order="pi_1", occurred_at=at, version=at, refund=refund(state, at)
        ),
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (None, RefundState.COMPLETED),
        ("pending", RefundState.PENDING),
        ("requires_action", RefundState.PENDING),
        ("succeeded", RefundState.COMPLETED),
        ("failed", RefundState.FAILED),
        ("canceled", RefundState.FAILED),
    ],
)
def test_the_states_of_a_refund(normalize: Normalize, status: str | None, state: RefundState) -> None:
    told = normalize("refund.updated", status=status)[0].refund
    assert told is not None
    assert told.state is state


@pytest.mark.parametrize(
    ("changes", "order", "payment"),
    [
        ({"payment_intent": None}, "ch_1", "ch_1"),
        ({"charge": None}, "pi_1", "pi_1"),
        ({"charge": None, "payment_intent": None}, "re_1", None),
    ],
)
def test_what_a_refund_belongs_to(
    normalize: Normalize,
    changes: dict[str, Any],
    order: str,
    payment: str | None,
) -> None:
    (told,) = normalize("refund.updated", **changes)
    assert told.refund is not None
    assert (told.order, told.refund.payment) == (order, payment)


ENTRIES = [
    {
        "id": "re_1",
        "amount": 1000,
        "currency": "eur",
        "charge": "ch_1",
        "created": 1_790_848_900,
        "status": "succeeded",
    },
    {
        "id": "re_2",
        "amount": 2000,
        "currency": "eur",
        "charge": "ch_1",
        "created": 1_790_848_901,
        "status": "pending",
    },
]


@pytest.mark.parametrize(
    ("refunds", "expected"),
    [
        (None, [("charge:ch_1", True, "30.00")]),
        ({"data": [], "has_more": False}, [("charge:ch_1", True, "30.00")]),
        ({"data": ENTRIES, "has_more": False}, [("re_1", False, "10.00"), ("re_2", False, "20.00")]),
        ({"data": ENTRIES[:1], "has_more": True}, [("re_1", False, "10.00"), ("charge:ch_1", True, "30.00")]),
    ],
)
def test_a_refunded_charge_lists_its_refunds_or_tells_the_running_total(
    normalize: Normalize,
    refunds: Any,
    expected: list[tuple[str, bool, str]],
) -> None:
    told = [event.refund for event in normalize("charge.refunded", refunds=refunds)]
    assert [(one.id, one.cumulative, one.amount) for one in told if one] == [
        (key, cumulative, Decimal(amount)) for key, cumulative, amount in expected
    ]
    assert {one.payment for one in told if one} == {"ch_1"}


def test_a_dispute_takes_the_money_and_may_give_it_back(normalize: Normalize) -> None:
    (taken,), (back,) = (
        normalize("charge.dispute.funds_withdrawn"),
        normalize("charge.dispute.funds_reinstated"),
    )
    assert taken.refund == Refund(
        id="dispute:dp_1",
        version=TEN + 90_000_000,
        currency="EUR",
        amount=Decimal("107.09"),
        at=TEN + 90_000_000,
    )
    assert back.refund is not None
    assert (back.refund.id, back.refund.state, back.order) == ("dispute:dp_1", RefundState.FAILED, "pi_1")
    assert back.refund.version > taken.refund.version


@pytest.mark.parametrize(
    ("kind", "told", "name", "seconds"),
    [
        ("customer.created", EventType.CUSTOMER_CREATED, "Ada Byron", -600),
        ("customer.updated", EventType.CUSTOMER_UPDATED, "Ada Lovelace", -300),
        ("customer.deleted", EventType.CUSTOMER_DELETED, "Ada Byron", 999),
    ],
)
def test_customers(normalize: Normalize, kind: str, told: EventType, name: str, seconds: int) -> None:
    at = TEN + seconds * 1000
    assert normalize(kind) == (
        Event(
            type=told,
            occurred_at=at,
            version=at,
            customer=Customer(id="cus_7", email="ada@shop.example", name=name),
        ),
    )


@pytest.mark.parametrize(("livemode", "test"), [(True, False), (False, True), (None, True)])
def test_what_is_not_live_is_a_test(normalize: Normalize, livemode: bool | None, test: bool) -> None:
    events = normalize("checkout.session.completed", event={"livemode": livemode})
    assert {event.test for event in events} == {test}


def test_a_clock_that_is_ahead_moves_versions_and_not_instants(normalize: Normalize) -> None:
    ahead = NOON // 1000 + 200
    placed, paid = normalize("checkout.session.completed", created=ahead, event={"created": ahead})
    assert (placed.version, placed.occurred_at, placed.placed_at) == (ahead * 1000, NOON, NOON)
    assert paid.payment is not None
    assert (paid.payment.version, paid.payment.at) == (ahead * 1000, NOON)


def test_an_old_session_was_placed_when_it_was_completed(normalize: Normalize) -> None:
    assert normalize("checkout.session.completed", created=None)[0].placed_at == TEN + 2000


@pytest.mark.parametrize(
    ("options", "changes", "order"),
    [
        ({}, {}, "pi_1"),
        ({}, {"payment_intent": None}, "cs_1"),
        (SHOP, {}, "1001"),
        ({"order_field": "cart"}, {"metadata": {"cart": "c-5", "order_id": "1001"}}, "c-5"),
        ({"order_field": "client_reference_id"}, {"client_reference_id": "r-6"}, "r-6"),
        (PAYMENTS, {}, "1001"),
    ],
)
def test_an_order_has_one_name(
    normalize: Normalize, options: dict[str, Any], changes: dict[str, Any], order: str
) -> None:
    assert {event.order for event in normalize("checkout.session.completed", options=options, **changes)} == {
        order
    }


@pytest.mark.parametrize("options", [SHOP, PAYMENTS])
@pytest.mark.parametrize(
    "kind",
    [
        "checkout.session.completed",
        "payment_intent.succeeded",
        "payment_intent.canceled",
        "charge.refunded",
        "refund.updated",
        "charge.dispute.funds_withdrawn",
        "invoice.paid",
        "checkout.session.expired",
    ],
)
def test_a_shops_order_is_never_guessed(normalize: Normalize, kind: str, options: dict[str, Any]) -> None:
    nameless: tuple[Any, ...] = (None, {}, {"order_id": ""}, {"orderid": "1001"}, [])
    for metadata in nameless:
        with pytest.raises(Ignored, match=r"no order in metadata\.order_id"):
            normalize(kind, options=options, metadata=metadata, client_reference_id="1001")


def test_a_shops_order_is_named_by_the_shop(normalize: Normalize) -> None:
    assert normalize("checkout.session.completed", options=SHOP)[0].order_name is None
    assert (
        normalize("checkout.session.completed", metadata={}, client_reference_id="1002")[0].order_name
        == "1002"
    )


@pytest.mark.parametrize(
    "kind", ["checkout.session.completed", "payment_intent.succeeded", "charge.succeeded", "invoice.paid"]
)
def test_of_a_shops_order_only_the_payment_is_told(normalize: Normalize, kind: str) -> None:
    (paid,) = normalize(kind, options=PAYMENTS, metadata={"order_id": "1001"})
    assert paid.payment is not None
    assert (paid.order, paid.customer, paid.totals) == ("1001", None, None)
    assert paid.payment.whole is False


@pytest.mark.parametrize(
    "kind", ["payment_intent.canceled", "checkout.session.expired", "checkout.session.async_payment_failed"]
)
@pytest.mark.parametrize("options", [SHOP, PAYMENTS])
def test_a_shops_order_is_not_off_with_one_payment(
    normalize: Normalize, kind: str, options: dict[str, Any]
) -> None:
    events = normalize(kind, options=options, metadata={"order_id": "1001"})
    assert [event.type for event in events] == [EventType.PAYMENT_COMPLETED]


@pytest.mark.parametrize(
    ("kind", "changes", "options", "reason"),
    [
        ("checkout.session.completed", {"mode": "setup"}, {}, "nothing is bought"),
        ("checkout.session.expired", {"mode": "setup", "currency": None}, PAYMENTS, "nothing is bought"),
        (
            "checkout.session.completed",
            {"mode": "subscription", "payment_intent": None},
            {},
            "invoice tells of itself",
        ),
        ("checkout.session.expired", {"payment_intent": None}, {}, "before a payment was begun"),
        ("charge.succeeded", {"captured": False}, {}, "not captured"),
        ("invoice.paid", {"payment_intent": None}, {}, "payment_intent.succeeded"),
        ("invoice.paid", {"total": -100}, {}, "a credit"),
        ("customer.created", {}, PAYMENTS, "the shop knows its customers"),
        ("payment_method.attached", {}, {}, IGNORED["payment_method.*"]),
        ("payout.paid", {}, {}, IGNORED["payout.*"]),
        ("v2.core.event", {}, {}, "thin event"),
    ],
)
def test_what_is_ignored_says_why(
    normalize: Normalize,
    kind: str,
    changes: dict[str, Any],
    options: dict[str, Any],
    reason: str,
) -> None:
    with pytest.raises(Ignored) as ignored:
        normalize(kind, options=options, **changes)
    assert reason in ignored.value.message


def test_a_subscription_with_the_shops_order_is_told(normalize: Normalize) -> None:
    changes = {"mode": "subscription", "payment_intent": None}
    placed, paid = normalize("checkout.session.completed", options=SHOP, **changes)
    assert paid.payment is not None
    assert (placed.order, paid.payment.id) == ("1001", "cs_1")


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("payment_intent.succeeded", {"amount_received": "10709"}, "amount_received"),
        ("payment_intent.succeeded", {"amount_received": 107.09}, "amount_received"),
        ("payment_intent.succeeded", {"amount_received": True}, "amount_received"),
        ("payment_intent.succeeded", {"currency": None}, "currency"),
        ("payment_intent.succeeded", {"currency": "euro"}, "currency"),
        ("payment_intent.succeeded", {"currency": "€€€"}, "currency"),
        ("payment_intent.succeeded", {"id": None}, "`id`"),
        ("payment_intent.succeeded", {"created": "today"}, "created"),
        ("payment_intent.succeeded", {"event": {"created": None}}, "created"),
        ("payment_intent.succeeded", {"event": {"created": True}}, "created"),
        ("payment_intent.succeeded", {"event": {"created": -1}}, "created"),
        ("payment_intent.succeeded", {"event": {"created": 10**30}}, "created"),
        ("payment_intent.succeeded", {"event": {"data": None}}, "data.object"),
        ("payment_intent.succeeded", {"event": {"data": {"object": []}}}, "data.object"),
        ("payment_intent.succeeded", {"event": {"type": None}}, "type"),
        (
            "payment_intent.succeeded",
            {"event": {"type": "payment_intent.teleported"}},
            "payment_intent.teleported",
        ),
        ("checkout.session.completed", {"total_details": {"amount_tax": 99_999}}, "more than the total"),
        ("refund.updated", {"status": "teleported"}, "teleported"),
        ("refund.updated", {"status": ["succeeded"]}, "status"),
        ("refund.updated", {"id": None}, "`id`"),
        ("charge.refunded", {"refunds": {"data": ["re_1"]}}, "refunds.data"),
        ("charge.refunded", {"refunds": {"data": 7}}, "refunds.data"),
        ("customer.updated", {"id": None}, "`id`"),
    ],
)
def test_what_cannot_be_read_is_rejected_and_says_where(
    normalize: Normalize,
    kind: str,
    changes: dict[str, Any],
    reason: str,
) -> None:
    with pytest.raises(Rejected, match=reason):
        normalize(kind, **changes)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"{", b"[" * 100_000])
def test_what_is_not_json_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        CONNECTOR.normalize(RawEvent({}, body, NOON), SourceSettings("stripe", ("whsec_1",)))


def test_every_type_that_is_understood_has_a_payload_here(normalize: Normalize) -> None:
    for kind in EVENT_TYPES:
        assert normalize(kind)


@pytest.mark.parametrize(
    "kind", ["checkout.session.completed", "payment_intent.succeeded", "charge.succeeded"]
)
def test_a_payment_says_which_redemption_it_was_reduced_by(normalize: Normalize, kind: str) -> None:
    told = normalize(kind, metadata={"redemption": "POINTS-1", "order_id": "1001"})
    assert [event.payment.codes for event in told if event.payment is not None] == [("POINTS-1",)]
