"""The arithmetic of orders, with the sums in the rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.events import Refund, RefundState, Totals
from adapter.program.award import Occasion, award_of, retained_of
from adapter.program.earning import basis_of, micros
from adapter.program.model import Earning
from adapter.program.reasons import Reason
from tests.shop import NOW, line, refunded, totals


def earning(rate: str = "1", **more: Any) -> Earning:
    return Earning.model_validate({"rate": rate, **more})


def refunds(*amounts: str, **more: Any) -> list[Refund]:
    facts = [
        refunded(refund=f"r{number}", amount=amount, **more).refund for number, amount in enumerate(amounts)
    ]
    return [fact for fact in facts if fact is not None]


def worth(what: Totals, rules: Earning, taken: list[Refund]) -> tuple[int, int]:
    award = award_of(what, rules, Occasion(NOW))
    return award.points, retained_of(award, taken, what)


@pytest.mark.parametrize(
    ("amount", "rate", "refunded_amounts", "award", "retained"),
    [
        # 100 points on 89.99: floor(89.99 * 1.1113) = 100; 100 * 59.99 / 89.99 = 66.66; then nothing is left
        ("89.99", "1.1113", (), 100, 100),
        ("89.99", "1.1113", ("30.00",), 100, 66),
        ("89.99", "1.1113", ("30.00", "59.99"), 100, 0),
        ("89.99", "1.1113", ("89.99",), 100, 0),
        # 1 point for each 1.00 of 42.00
        ("42.00", "1", (), 42, 42),
        # 1 point for 10.00 of 21.90: floor(2.19) = 2; 2 * 1.90 / 21.90 = 0.17, and slices end where one refund ends
        ("21.90", "0.1", ("20.00",), 2, 0),
        ("21.90", "0.1", ("5.00", "5.00", "5.00", "5.00"), 2, 0),
        ("21.90", "0.1", ("1.00",), 2, 1),  # 2 * 20.90 / 21.90 = 1.91
        ("21.90", "0.1", ("7.30", "7.30", "7.30"), 2, 0),
        # refunds beyond the order take everything, never more
        ("100.00", "1", ("60.00", "60.00"), 100, 0),
        ("49.95", "1", ("0.95",), 49, 48),  # 49 * 49.00 / 49.95 = 48.07
        ("49.95", "1", ("9.99",) * 5, 49, 0),
        ("40.00", "1.75", ("20.00",), 70, 35),  # 70 on 40.00, half refunded
        ("0.99", "2", ("0.01",) * 99, 1, 0),
        ("100.00", "1", ("25.00",), 100, 75),
        ("0.00", "1", ("5.00",), 0, 0),
    ],
)
def test_awards_and_what_refunds_leave(
    amount: str,
    rate: str,
    refunded_amounts: tuple[str, ...],
    award: int,
    retained: int,
) -> None:
    assert worth(totals(line(amount=amount)), earning(rate), refunds(*refunded_amounts)) == (award, retained)


@pytest.mark.parametrize(
    ("what", "rules", "counted"),
    [
        # 60.00 + 29.99, and 5.00 tax and 4.90 shipping count for nothing
        (
            totals(
                line(1, "60.00", tax=Decimal(5)), line(2, "29.99"), shipping=Decimal("4.90"), total="99.89"
            ),
            earning(),
            "89.99",
        ),
        (
            totals(line(1, "60.00", tax=Decimal(5)), shipping=Decimal("4.90"), total="69.90"),
            earning(include_tax=True, include_shipping=True),
            "69.90",
        ),
        # a gift card of 50.00 is sold beside goods of 30.00
        (totals(line(1, "30.00"), line(2, "50.00", gift_card=True)), earning(), "30.00"),
        (
            totals(line(1, "30.00"), line(2, "50.00", gift_card=True)),
            earning(exclude={"gift_cards": False}),
            "80.00",
        ),
        # 10.00 off the whole order of 80.00, of which 60.00 count: 60 - 10 * 60/80 = 52.50
        (
            totals(line(1, "60.00"), line(2, "20.00", sku="X"), discount=Decimal(10), total="70.00"),
            earning(exclude={"skus": ["X"]}),
            "52.50",
        ),
        (
            totals(line(1, "60.00"), line(2, "20.00", categories=("wine",))),
            earning(exclude={"categories": ["wine"]}),
            "60.00",
        ),
        # 5.00 of 20.00 were paid with points
        (totals(line(1, "20.00"), total="20.00", points_paid=Decimal(5)), earning(), "15.00"),
        (totals(line(1, "2.00"), total="2.00", points_paid=Decimal(5)), earning(), "0"),
        (totals(total="0"), earning(), "0"),
    ],
)
def test_what_counts(what: Totals, rules: Earning, counted: str) -> None:
    assert basis_of(what, rules).counted == micros(Decimal(counted))


@pytest.mark.parametrize(
    ("amount", "currency", "rules", "award", "reason"),
    [
        ("9.99", "EUR", earning(minimum="10.00"), 0, Reason.BELOW_MINIMUM),
        ("10.00", "EUR", earning(minimum="10.00"), 10, None),
        ("10.00", "EUR", earning("0"), 0, Reason.NO_RULE),
        ("10.00", "EUR", earning(rates={"USD": "1"}), 0, Reason.NO_RATE_FOR_CURRENCY),
        ("10.00", "USD", earning(rates={"USD": "2.5"}), 25, None),
        ("0.99", "EUR", earning(), 0, Reason.ROUNDS_TO_ZERO),
        ("0.00", "EUR", earning(), 0, Reason.NOTHING_COUNTS),
        ("500.00", "EUR", earning(cap=100), 100, Reason.CAPPED),
        ("100.00", "EUR", earning(cap=100), 100, None),
        # a shop that says 999,999,999,999,999.00 at 3 points each; the database counts to 9.2 * 10**18
        ("999999999999999", "EUR", earning("3"), 10**15, Reason.CAPPED),
        ("999999999999999", "EUR", earning("3", cap=10**30), 10**15, Reason.CAPPED),
        ("999999999999999", "EUR", earning(), 999_999_999_999_999, None),
        ("10.00", "EUR", earning("1.5", multiplier="3"), 45, None),
        ("23600", "JPY", earning("0.01"), 236, None),
        ("1.005", "KWD", earning("100"), 100, None),  # floor(100.5)
    ],
)
def test_rules(amount: str, currency: str, rules: Earning, award: int, reason: Reason | None) -> None:
    worked_out = award_of(totals(line(amount=amount), currency=currency), rules, Occasion(NOW))
    assert (worked_out.points, worked_out.reason) == (award, reason)


def test_cashback_is_kept_in_its_smallest_unit() -> None:
    """5 % of 19.99 with two decimals: floor(99.95) = 99 cents."""
    rules = earning("0.05")
    assert award_of(totals(line(amount="19.99")), rules, Occasion(NOW, decimals=2)).points == 99


TWO_LINES = totals(
    line(1, "60.00"), line(2, "30.00", sku="X"), total="108.90", tax=Decimal(9), shipping=Decimal("9.90")
)


@pytest.mark.parametrize(
    ("rules", "refund", "retained"),
    [
        # by line: 30.00 of 90.00 go back
        (earning(), {"amount": "33.00", "lines": [("2", "1", "30.00")]}, 60),
        # the line that went back earned nothing in the first place
        (earning(exclude={"skus": ["X"]}), {"amount": "33.00", "lines": [("2", "1", "30.00")]}, 60),
        # half of the money for goods (99.00 with tax) is half of the points
        (earning(), {"amount": "49.50"}, 45),
        # only the shipping went back
        (earning(), {"amount": "9.90", "shipping": Decimal("9.90")}, 90),
        # a restocking fee of 5.00 was kept: 30.00 - 5.00 go back
        (earning(), {"amount": "28.00", "lines": [("2", "1", "30.00")], "merchandise": Decimal(25)}, 65),
        # not settled yet, or not at all, or in another currency: takes nothing
        (earning(), {"amount": "49.50", "state": RefundState.PENDING}, 90),
        (earning(), {"amount": "49.50", "state": RefundState.FAILED}, 90),
        (earning(), {"amount": "49.50", "currency": "USD"}, 90),
    ],
)
def test_what_one_refund_takes(rules: Earning, refund: dict[str, Any], retained: int) -> None:
    amount = refund.pop("amount")
    award, left = worth(TWO_LINES, rules, refunds(amount, **refund))
    assert (award, left) == (60 if rules.exclude.skus else 90, retained)


@pytest.mark.parametrize(
    ("running", "single", "retained"),
    [
        (["30.00"], [], 60),
        ([], ["10.00", "20.00"], 60),
        (["30.00"], ["10.00", "20.00"], 60),  # the same money, told twice
        (["30.00"], ["10.00"], 60),
        (["10.00", "30.00"], ["10.00", "20.00"], 60),
    ],
)
def test_a_running_total_and_its_single_refunds_are_the_same_money(
    running: list[str],
    single: list[str],
    retained: int,
) -> None:
    what = totals(line(amount="90.00"))
    told = [*refunds(*single, payment="pi"), *refunds(*running, payment="pi", cumulative=True)]
    assert worth(what, earning(), told) == (90, retained)


@pytest.mark.parametrize(("running", "retained"), [("30.00", 60), ("45.00", 45), ("10.00", 60)])
def test_a_running_total_and_refunds_by_line_are_the_same_money(running: str, retained: int) -> None:
    """30.00 of 90.00 went back by line: only what the running total says beyond that is taken besides."""
    by_line = refunded(amount="30.00", lines=[("1", "1", "30.00")], payment="pi").refund
    assert by_line is not None
    told = [by_line, *refunds(running, payment="pi", cumulative=True)]
    assert worth(totals(line(amount="90.00")), earning(), told) == (90, retained)


@given(
    st.integers(0, 10**7),
    st.lists(st.integers(1, 10**6), max_size=8),
    st.integers(1, 500),
    st.booleans(),
)
def test_slicing_a_refund_changes_nothing(cents: int, slices: list[int], rate: int, by_line: bool) -> None:
    """However a sum is sliced: the same points are left, never more than the award, never below zero."""
    what = totals(line(amount=str(Decimal(cents) / 100)))
    rules = earning(str(Decimal(rate) / 100))

    def taken(parts: list[int]) -> list[Refund]:
        facts = []
        for number, part in enumerate(parts):
            amount = str(Decimal(part) / 100)
            lines = [("1", "1", amount)] if by_line else []
            facts += [refunded(refund=f"r{number}", amount=amount, lines=lines, at=NOW).refund]
        return [fact for fact in facts if fact is not None]

    award, sliced = worth(what, rules, taken(slices))
    _, whole = worth(what, rules, taken([sum(slices)] if slices else []))
    assert sliced == whole
    assert 0 <= sliced <= award
    assert sliced == 0 or sum(slices) < cents
