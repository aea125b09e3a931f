"""What a refund takes, with the arithmetic. The payload: one cup of two, 18.00 and 3.42 tax, 21.42 in all."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapter.clock import parse
from adapter.errors import Rejected
from adapter.events import Event, Refund, RefundState

Normalize = Callable[..., dict[str, list[Event]]]
AT = parse("2026-10-10T12:00:00+02:00")


def only(events: dict[str, list[Event]]) -> Refund:
    (event,) = events["order.refunded"]
    assert event.order == "5501001"
    assert event.refund is not None
    return event.refund


def item(subtotal: Any, tax: Any = 0, quantity: int = 1) -> dict[str, Any]:
    return {"line_item_id": 101, "quantity": quantity, "subtotal": subtotal, "total_tax": tax}


def money(
    amount: str, status: str = "success", kind: str = "refund", currency: str | None = "EUR"
) -> dict[str, Any]:
    return {"kind": kind, "status": status, "amount": amount, "currency": currency}


def adjustment(kind: str, amount: str, tax: str = "0.00") -> dict[str, Any]:
    return {"kind": kind, "amount": amount, "tax_amount": tax}


def shipping_line(amount: str, tax: str) -> dict[str, Any]:
    sets = {"subtotal_amount_set": amount, "tax_amount_set": tax}
    return {key: {"shop_money": {"amount": told, "currency_code": "EUR"}} for key, told in sets.items()}


def test_a_line(normalize: Normalize) -> None:
    assert only(normalize("refunds/create")) == Refund(
        id="401",
        version=AT,
        currency="EUR",
        amount=Decimal("21.42"),
        merchandise=Decimal("18.0"),
        lines=(("101", Decimal(1), Decimal("18.0")),),
        at=AT,
    )


@pytest.mark.parametrize(
    ("lines", "transactions", "adjustments", "amount", "merchandise", "shipping"),
    [
        pytest.param(
            [], [money("30.00")], [], "30.00", None, "0", id="money alone: the book's share of 30.00"
        ),
        pytest.param(
            [],
            [money("30.00")],
            [adjustment("refund_discrepancy", "-30.00")],
            "30.00",
            None,
            "0",
            id="money alone, with its adjustment",
        ),
        pytest.param(
            [],
            [money("5.94")],
            [adjustment("shipping_refund", "-4.99", "-0.95")],
            "5.94",
            "0",
            "4.99",
            id="shipping alone: 4.99 + 0.95",
        ),
        pytest.param(
            [item(18, 3.42)],
            [money("27.36")],
            [adjustment("shipping_refund", "-4.99", "-0.95")],
            "27.36",
            "18",
            "4.99",
            id="line and shipping: 18 + 3.42 + 4.99 + 0.95",
        ),
        pytest.param(
            [item(18, 3.42)],
            [money("16.42")],
            [adjustment("refund_discrepancy", "5.00")],
            "16.42",
            "13.00",
            "0",
            id="5.00 less than the line: 18 - 5",
        ),
        pytest.param(
            [item(18, 3.42)],
            [money("26.42")],
            [adjustment("refund_discrepancy", "-5.00")],
            "26.42",
            "23.00",
            "0",
            id="5.00 more than the line: 18 + 5",
        ),
        pytest.param(
            [item(0)], [money("41.94")], [], "41.94", None, "0", id="a line worth nothing, but money"
        ),
        pytest.param([item(18, 3.42)], [], [], "21.42", "18", "0", id="no money: 18 + 3.42"),
        pytest.param(
            [item(18, 3.42)], [money("1", kind="void")], [], "21.42", "18", "0", id="a void moves no money"
        ),
        pytest.param(
            [item(18)],
            [],
            [adjustment("refund_discrepancy", "18.00")],
            "0.00",
            "0",
            "0",
            id="goods back, no money for them: 18 - 18",
        ),
        pytest.param(
            [item(18, 3.42)],
            [money("10.00"), money("11.42", "pending"), money("9.00", "failure")],
            [],
            "21.42",
            "18",
            "0",
            id="in two parts, one on its way, one failed: 10 + 11.42",
        ),
        pytest.param(
            [item("18.00", "3.42", 2)], [money("21.42")], [], "21.42", "18.00", "0", id="amounts as text"
        ),
        pytest.param(
            [item(119, 19)],
            [money("119.00")],
            [],
            "119.00",
            "100",
            "0",
            id="tax included, as the money shows: 119 - 19",
        ),
        pytest.param([], [], [], "0", "0", "0", id="nothing at all"),
    ],
)
def test_the_arithmetic(
    normalize: Normalize,
    lines: Any,
    transactions: Any,
    adjustments: Any,
    amount: str,
    merchandise: str | None,
    shipping: str,
) -> None:
    body = {"refund_line_items": lines, "transactions": transactions, "order_adjustments": adjustments}
    refund = only(normalize("refunds/create", **body))
    assert refund.amount == Decimal(amount)
    assert refund.merchandise == (None if merchandise is None else Decimal(merchandise))
    assert refund.shipping == Decimal(shipping)
    assert refund.state is RefundState.COMPLETED


def test_shipping_lines_of_newer_payloads(normalize: Normalize) -> None:
    body = {
        "refund_line_items": [],
        "transactions": [money("5.94")],
        "refund_shipping_lines": [shipping_line("4.99", "0.95")],
    }
    refund = only(normalize("refunds/create", **body))
    assert (refund.amount, refund.merchandise, refund.shipping) == (
        Decimal("5.94"),
        Decimal(0),
        Decimal("4.99"),
    )
    told_twice = only(
        normalize(
            "refunds/create", **body, order_adjustments=[adjustment("shipping_refund", "-4.99", "-0.95")]
        )
    )
    assert told_twice == refund


def test_the_order_knows_whether_prices_include_tax(
    normalize: Normalize, payload: Callable[..., dict[str, Any]]
) -> None:
    told = payload("refunds/create", refund_line_items=[item(119, 19)], transactions=[])
    included = only(normalize("orders/updated", taxes_included=True, refunds=[told]))
    assert included.amount == 119
    assert included.merchandise == 100
    assert included.lines == (("101", Decimal(1), Decimal(100)),)
    on_top = only(normalize("orders/updated", taxes_included=False, refunds=[told]))
    assert on_top.amount == 138
    assert on_top.merchandise == 119
    assert on_top.lines == (("101", Decimal(1), Decimal(119)),)


def test_what_is_told_with_its_order_is_later(normalize: Normalize) -> None:
    alone, within = only(normalize("refunds/create")), only(normalize("orders/updated"))
    assert within.version == parse("2026-10-10T12:00:01+02:00") + 1 > alone.version
    assert (within.id, within.at, within.amount, within.merchandise) == (
        alone.id,
        alone.at,
        alone.amount,
        alone.merchandise,
    )
    same_second = only(normalize("orders/updated", updated_at="2026-10-10T12:00:00+02:00"))
    assert same_second.version == alone.version + 1


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["success"], RefundState.COMPLETED),
        (["pending"], RefundState.COMPLETED),
        (["failure", "success"], RefundState.COMPLETED),
        (["failure"], RefundState.FAILED),
        (["error", "failure"], RefundState.FAILED),
        ([], RefundState.COMPLETED),
    ],
)
def test_it_failed_when_every_transaction_did(
    normalize: Normalize, statuses: list[str], state: RefundState
) -> None:
    refund = only(normalize("refunds/create", transactions=[money("21.42", status) for status in statuses]))
    assert refund.state is state
    assert refund.amount > 0


@pytest.mark.parametrize(
    ("lines", "currency", "amount", "told"),
    [
        pytest.param(True, "USD", "21.42", "EUR", id="the parts are in the shop's: 18 + 3.42"),
        pytest.param(True, None, "25.00", "EUR", id="a transaction without one is in the shop's"),
        pytest.param(False, "USD", "25.00", "USD", id="nothing but foreign money"),
        pytest.param(False, None, "25.00", None, id="nobody says"),
    ],
)
def test_the_currency(
    normalize: Normalize, lines: bool, currency: str | None, amount: str, told: str | None
) -> None:
    changes: dict[str, Any] = {} if lines else {"refund_line_items": []}
    refund = only(normalize("refunds/create", transactions=[money("25.00", currency=currency)], **changes))
    assert (refund.amount, refund.currency) == (Decimal(amount), told)


def test_without_a_time_anything_is_better(normalize: Normalize) -> None:
    refund = only(normalize("refunds/create", created_at=None, processed_at=None))
    assert (refund.version, refund.at) == (0, parse("2026-10-20T12:00:00Z"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, r"refunds\.id"),
        ({"order_id": ""}, "order_id"),
        ({"transactions": [{"kind": "refund", "status": "success"}]}, r"transactions\.amount"),
        ({"transactions": [money("1", currency="EURO")]}, r"transactions\.currency"),
        ({"transactions": 5}, "transactions"),
        ({"refund_line_items": [{"quantity": 1}]}, r"refund_line_items\.line_item_id"),
        ({"order_adjustments": [adjustment("shipping_refund", "x")]}, "amount"),
    ],
)
def test_what_cannot_be_read_is_named(normalize: Normalize, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected, match=f"`{field}`"):
        normalize("refunds/create", **changes)
