"""Session, intent, charge, refunds and disputes of one payment meet in one order, however they come."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.book.facts import NO_FACTS, Facts, dump, merge
from adapter.events import Line, PaymentState, Totals
from adapter.program.earning import basis_of, refunded_of
from adapter.program.model import Earning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from adapter.events import Event

    Normalize = Callable[..., tuple[Event, ...]]

LIFE = (
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "charge.succeeded",
    "checkout.session.completed",
    "refund.created",
    "refund.updated",
    "charge.refund.updated",
    "charge.refunded",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)


def merged(webhooks: Iterable[tuple[Event, ...]]) -> Facts:
    facts = NO_FACTS
    for event in itertools.chain.from_iterable(webhooks):
        assert event.order == "pi_1"
        facts = merge(facts, "stripe", event)
    return facts


@given(data=st.data())
def test_any_order_and_any_repetition_ends_in_the_same_facts(
    normalize: Normalize, data: st.DataObject
) -> None:
    webhooks = [normalize(kind) for kind in LIFE]
    told = data.draw(st.permutations([*webhooks, *data.draw(st.lists(st.sampled_from(webhooks)))]))
    assert dump(merged(told)) == dump(merged(webhooks))


@pytest.mark.parametrize("told", list(itertools.permutations(LIFE[:4])))
def test_one_purchase_is_one_order_with_one_payment(normalize: Normalize, told: tuple[str, ...]) -> None:
    facts = merged(normalize(kind) for kind in told).sources["stripe"]
    assert facts.totals is not None
    assert (facts.totals.rank, facts.totals.total, facts.totals.tax) == (
        2,
        Decimal("107.09"),
        Decimal("17.10"),
    )
    assert {key: payment.state for key, payment in facts.payments.items()} == {"pi_1": PaymentState.COMPLETED}


ONE = {"id": "re_1", "amount": 1000}
TWO = {"id": "re_2", "amount": 2000}


GOODS = Totals(version=0, currency="EUR", lines=(Line(id="total", amount=Decimal(100)),), total=Decimal(100))


def refunded(webhooks: Iterable[tuple[Event, ...]]) -> Decimal:
    """Return how much of an order of 100.00 the book takes for these refunds."""
    facts = merged(webhooks).sources["stripe"]
    taken = refunded_of(facts.refunds.values(), GOODS, basis_of(GOODS, Earning()))
    return Decimal(taken) / 1_000_000


def told_by(normalize: Normalize, *names: str) -> list[tuple[Event, ...]]:
    done: dict[str, Any] = {"status": "succeeded"}
    listed = [
        {**ONE, "currency": "eur", "charge": "ch_1", **done},
        {**TWO, "currency": "eur", "charge": "ch_1", **done},
    ]
    webhooks = {
        "single 10": normalize("refund.updated", **ONE, **done),
        "single 20": normalize("refund.updated", **TWO, **done),
        "running 10": normalize("charge.refunded", amount_refunded=1000, event={"created": 1_790_850_000}),
        "running 30": normalize("charge.refunded", amount_refunded=3000, event={"created": 1_790_850_001}),
        "listed 30": normalize("charge.refunded", amount_refunded=3000, refunds={"data": listed}),
        "dispute": normalize("charge.dispute.funds_withdrawn", amount=5000),
    }
    return [webhooks[name] for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["single 10", "single 20"], "30"),
        (["running 10", "running 30"], "30"),
        (["listed 30"], "30"),
        (["single 10", "running 30"], "30"),
        (["single 10", "single 20", "running 10", "running 30", "listed 30"], "30"),
        (["single 10", "running 10"], "10"),
        (["running 10"], "10"),
        (["dispute"], "50"),
        (["running 30", "dispute"], "80"),  # a dispute is outside the charge's running total: 30 + 50
        (["single 10", "single 20", "running 30", "dispute"], "80"),
    ],
)
def test_single_refunds_and_running_totals_never_count_twice(
    normalize: Normalize,
    names: list[str],
    expected: str,
) -> None:
    for told in itertools.permutations(told_by(normalize, *names)):
        assert refunded(told) == Decimal(expected)
