"""Our own events as others write them: what they become, what is filled in, and how errors name the field."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from adapter.clock import parse
from adapter.errors import Rejected
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
    Shipment,
    Totals,
)
from connectors.base import RawEvent, SourceSettings
from connectors.standard import CONNECTOR
from connectors.standard.schema import SCHEMA, publish, schema_text

PAYLOADS = {
    path.stem: json.loads(path.read_bytes()) for path in (Path(__file__).parent / "payloads").glob("*.json")
}
NOW = parse("2026-10-20T12:00:00Z")
AT = parse("2026-10-01T10:00:00Z")
SCHEMA_OF_EVENTS = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))


def normalize(body: dict[str, Any], now: int = NOW) -> Event:
    (event,) = CONNECTOR.normalize(RawEvent({}, json.dumps(body).encode(), now), SourceSettings("shop", ()))
    return event


def changed(kind: str, path: str, value: Any) -> dict[str, Any]:
    """Return a payload with the value at a dotted path replaced; `...` leaves it out."""
    body: dict[str, Any] = json.loads(json.dumps(PAYLOADS[kind]))
    *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    thing: Any = body
    for step in parents:
        thing = thing[step]
    if value is ...:
        del thing[last]
    else:
        thing[last] = value
    return body


def test_an_order() -> None:
    lines = (
        Line(
            id="1",
            quantity=Decimal(2),
            amount=Decimal("36.00"),
            tax=Decimal("6.84"),
            sku="CUP-BLUE",
            categories=("cups",),
        ),
        Line(id="2", amount=Decimal("29.99"), tax=Decimal("5.70")),
        Line(id="3", amount=Decimal("25.00"), gift_card=True, ships=False),
    )
    assert normalize(PAYLOADS["order.placed"]) == Event(
        type=EventType.ORDER_PLACED,
        occurred_at=AT,
        version=AT,
        order="A-1",
        order_name="Order 1",
        placed_at=AT,
        customer=Customer(id="7000", email="ida@example.com", name="Ida Berg"),
        totals=Totals(
            version=AT,
            currency="EUR",
            lines=lines,
            discount=Decimal("5.00"),
            tax=Decimal("12.54"),  # 6.84 + 5.70
            shipping=Decimal("4.99"),
            total=Decimal("103.52"),  # 36.00 + 29.99 + 25.00 + 12.54 + 4.99 - 5.00
        ),
    )


def test_what_is_told_is_not_computed() -> None:
    event = normalize(PAYLOADS["order.updated"])
    assert event.placed_at is None
    assert event.customer is None
    assert event.version == 7
    assert event.totals == Totals(
        version=7,
        currency="EUR",
        lines=(Line(id="1", amount=Decimal("36.00")),),
        tax=Decimal("4.00"),
        total=Decimal("40.00"),
        gift_cards=Decimal("10.00"),
        points_paid=Decimal("2.50"),
    )


@pytest.mark.parametrize(
    ("kind", "field", "fact"),
    [
        (
            "payment.completed",
            "payment",
            Payment(id="P-1", version=AT, amount=Decimal("108.52"), currency="EUR", at=AT),
        ),
        (
            "order.shipped",
            "shipment",
            Shipment(id="S-1", version=AT, lines=(("1", Decimal(2)), ("2", Decimal(1))), at=AT),
        ),
        (
            "order.refunded",
            "refund",
            Refund(
                id="R-1",
                version=AT,
                amount=Decimal("21.42"),
                merchandise=Decimal("18.00"),
                lines=(("1", Decimal(1), Decimal("18.00")),),
                at=AT,
            ),
        ),
        ("order.cancelled", "cancellation", Cancellation(version=AT, reason="customer", at=AT)),
        ("customer.created", "customer", Customer(id="7000", email="ida@example.com")),
        ("customer.updated", "customer", Customer(id="7000", email="ida@example.com")),
        ("customer.deleted", "customer", Customer(id="7000", email="ida@example.com")),
        ("customer.redacted", "customer", Customer(id="7000", email="ida@example.com")),
    ],
)
def test_the_other_facts(kind: str, field: str, fact: Any) -> None:
    event = normalize(PAYLOADS[kind])
    order = None if kind.startswith("customer") else "A-1"
    assert (event.type, event.occurred_at, event.version, event.order) == (EventType(kind), AT, AT, order)
    assert getattr(event, field) == fact


@pytest.mark.parametrize(
    ("kind", "path", "value", "field", "told"),
    [
        ("payment.completed", "payment.state", "failed", "payment.state", PaymentState.FAILED),
        ("payment.completed", "payment.whole", False, "payment.whole", False),
        ("payment.completed", "payment.codes", ["POINTS-1", "POINTS-1"], "payment.codes", ("POINTS-1",)),
        ("order.placed", "order.codes", [" POINTS-1 ", "ten"], "totals.codes", ("POINTS-1", "ten")),
        ("payment.completed", "payment.at", "2026-09-01", "payment.at", parse("2026-09-01")),
        ("order.shipped", "shipment.lines", ..., "shipment.lines", None),
        ("order.shipped", "shipment.cancelled", True, "shipment.cancelled", True),
        ("order.refunded", "refund.state", "pending", "refund.state", RefundState.PENDING),
        ("order.refunded", "refund.merchandise", "10.00", "refund.merchandise", Decimal(10)),
        ("order.refunded", "refund.lines", [], "refund.merchandise", None),
        ("order.refunded", "refund.cumulative", True, "refund.cumulative", True),
        ("order.cancelled", "cancellation", ..., "cancellation.cancelled", True),
        ("order.cancelled", "cancellation.cancelled", False, "cancellation.cancelled", False),
        ("order.placed", "order.placed_at", "2026-09-01T00:00:00Z", "placed_at", parse("2026-09-01")),
        ("order.updated", "order.placed_at", "2026-09-01T00:00:00Z", "placed_at", parse("2026-09-01")),
        ("order.placed", "version", "1970-01-01T00:00:01Z", "totals.version", 1000),
        ("order.placed", "test", True, "test", True),
        ("order.placed", "customer", None, "customer", None),
    ],
)
def test_what_may_be_said_besides(kind: str, path: str, value: Any, field: str, told: Any) -> None:
    body = changed(kind, path, value)
    found: Any = normalize(body)
    for step in field.split("."):
        found = getattr(found, step)
    assert found == told
    assert SCHEMA_OF_EVENTS.is_valid(body)


def test_a_clock_that_runs_ahead_is_cut_but_versions_are_not() -> None:
    event = normalize(PAYLOADS["payment.completed"], now=AT - 1)
    assert event.payment is not None
    assert (event.occurred_at, event.payment.at, event.payment.version) == (AT - 1, AT - 1, AT)


@pytest.mark.parametrize(
    ("kind", "path", "value", "field", "reason"),
    [
        ("order.placed", "type", "order.eaten", "type", "must be one of order.placed, "),
        ("order.placed", "type", 5, "type", "but is 5"),
        ("order.placed", "occurred_at", ..., "occurred_at", "required"),
        ("order.placed", "occurred_at", "noon", "occurred_at", "must be a time such as 2026-11-20T12:00:00Z"),
        ("order.placed", "order", ..., "order", "required"),
        ("order.placed", "order.id", "", "order.id", "must be an id"),
        ("order.placed", "order.currency", "euro", "order.currency", "must be a currency such as EUR"),
        ("order.placed", "order.colour", "red", "order.colour", "is not a field of this event"),
        ("order.placed", "order.lines", {}, "order.lines", "tuple"),
        ("order.placed", "order.lines.1.amount", "12,30", "order.lines.1.amount", 'such as "12.30"'),
        ("order.placed", "order.lines.1.amount", 0.1234567, "order.lines.1.amount", "more than 6 decimals"),
        ("order.placed", "order.lines.1.quantity", -1, "order.lines.1.quantity", "must not be negative"),
        ("order.placed", "order.lines.1.gift_card", "yes", "order.lines.1.gift_card", "boolean"),
        ("order.placed", "order.discount", "-1", "order.discount", "greater than or equal to 0"),
        ("order.placed", "customer.email", "ida", "customer.email", "must be an e-mail address"),
        ("order.placed", "version", True, "version", "must be a time"),
        ("order.placed", "version", -1, "version", "must be a time"),
        ("order.shipped", "shipment.lines.0.line", None, "shipment.lines.0.line", "must be an id"),
        ("order.refunded", "refund.amount", "-1", "refund.amount", "greater than or equal to 0"),
        ("order.refunded", "refund.state", "lost", "refund.state", "'pending', 'completed' or 'failed'"),
        ("payment.completed", "order", "A-1", "order", "valid dictionary"),
        ("customer.created", "customer.id", ..., "customer.id", "required"),
    ],
)
def test_errors_name_the_field(kind: str, path: str, value: Any, field: str, reason: str) -> None:
    body = changed(kind, path, value)
    with pytest.raises(Rejected) as error:
        normalize(body)
    assert error.value.field == field
    assert error.value.message.startswith(f"`{field}`")
    assert reason in error.value.message
    assert "\n" not in error.value.message


def test_several_errors_are_counted() -> None:
    with pytest.raises(Rejected, match=r"\(and 1 more\)"):
        normalize({"type": "order.cancelled", "order": {}})


def test_sums_have_a_limit() -> None:
    lines = [{"id": number, "amount": "900000000000000"} for number in range(2)]
    with pytest.raises(Rejected, match=r"`order\.total`"):
        normalize(changed("order.placed", "order.lines", lines))
    refunded = [{"line": number, "amount": "900000000000000"} for number in range(2)]
    with pytest.raises(Rejected, match=r"`refund\.lines`"):
        normalize(changed("order.refunded", "refund.lines", refunded))


class TestSchema:
    def test_the_published_one_is_current(self, tmp_path: Path) -> None:
        publish(tmp_path / "schema.json")
        assert SCHEMA.read_text() == (tmp_path / "schema.json").read_text() == schema_text(), (
            'run: python -c "from connectors.standard.schema import publish; publish()"'
        )

    @pytest.mark.parametrize("kind", PAYLOADS)
    def test_samples_are_valid(self, kind: str) -> None:
        SCHEMA_OF_EVENTS.validate(PAYLOADS[kind])

    @pytest.mark.parametrize(
        ("kind", "path", "value"),
        [
            ("order.placed", "type", "order.eaten"),
            ("order.placed", "occurred_at", ...),
            ("order.placed", "order.currency", "euro"),
            ("order.placed", "order.colour", "red"),
            ("order.placed", "order.lines.1.amount", "12,30"),
            ("order.shipped", "shipment.lines.0.line", None),
            ("customer.created", "customer.id", ...),
        ],
    )
    def test_what_is_rejected_is_invalid(self, kind: str, path: str, value: Any) -> None:
        body = changed(kind, path, value)
        assert not SCHEMA_OF_EVENTS.is_valid(body)
        with pytest.raises(Rejected):
            normalize(body)
