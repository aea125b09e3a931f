"""What points buy and what refunds give back, with the sums in the rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapter.events import Refund, RefundState
from adapter.program.model import Program, Redeeming
from adapter.program.offers import Offer, points_offer, returned_of, reward_offer, value_offer
from adapter.program.redeeming import discounted
from adapter.program.rewards import Reward
from tests.shop import NOW, line, refunded, totals


def rules(rate: str = "0.01", currency: str | None = "EUR") -> Redeeming:
    return Redeeming(burn_rate=Decimal(rate), currency=currency)


@pytest.mark.parametrize(
    ("points", "decimals", "rate", "currency", "value"),
    [
        (500, 0, "0.01", "EUR", 500),  # 5.00
        (333, 0, "0.005", "EUR", 166),  # 1.665: a part of a cent is nobody's
        (334, 0, "0.005", "EUR", 167),
        (1250, 2, "1", "EUR", 1250),  # 12.50 of cashback
        (500, 0, "1", "JPY", 500),  # no decimals
        (500, 0, "0.01", "KWD", 5000),  # three decimals
        (1, 0, "0.001", "EUR", None),  # worth less than a cent
        (500, 0, "0.01", None, None),  # the program gives no money
        (500, 0, "0", "EUR", None),
    ],
)
def test_points_buy_money(
    points: int, decimals: int, rate: str, currency: str | None, value: int | None
) -> None:
    offer = points_offer(points, decimals, rules(rate, currency))
    assert offer == (None if value is None else Offer("discount", points, value, currency))


@pytest.mark.parametrize(
    ("value", "decimals", "rate", "currency", "cost"),
    [
        (500, 0, "0.01", "EUR", 500),
        (167, 0, "0.005", "EUR", 334),
        (166, 0, "0.005", "EUR", 332),
        (100, 0, "0.03", "EUR", 34),  # 33.33 points: never fewer than it is worth
        (1250, 2, "1", "EUR", 1250),
        (500, 0, "0.01", None, None),
        (500, 0, "0", "EUR", None),
    ],
)
def test_money_costs_points(
    value: int, decimals: int, rate: str, currency: str | None, cost: int | None
) -> None:
    offer = value_offer(value, decimals, rules(rate, currency))
    assert offer == (None if cost is None else Offer("discount", cost, value, currency))


@given(st.integers(1, 10**12), st.decimals("0.0001", "100", places=4), st.integers(0, 4))
def test_money_is_never_had_for_points_that_are_worth_less(value: int, rate: Decimal, decimals: int) -> None:
    priced = Redeeming(burn_rate=rate, currency="EUR")
    offer = value_offer(value, decimals, priced)
    assert offer is not None
    back = points_offer(offer.cost, decimals, priced)
    assert back is not None
    assert back.value is not None
    assert back.value >= value
    fewer = points_offer(offer.cost - 1, decimals, priced) if offer.cost > 1 else None
    assert fewer is None or (fewer.value or 0) < value


@pytest.mark.parametrize(
    ("reward", "decimals", "credited", "offer"),
    [
        (
            {"kind": "discount", "cost": 500, "value": "5.00", "currency": "EUR"},
            0,
            0,
            ("discount", 500, 500, "EUR"),
        ),
        ({"kind": "discount", "cost": 5, "value": "5", "currency": "JPY"}, 2, 0, ("discount", 500, 5, "JPY")),
        ({"kind": "item", "cost": 500}, 0, 0, ("item", 500, None, None)),
        (
            {"kind": "credit", "cost": 500, "value": "5.00", "currency": "EUR"},
            0,
            0,
            ("credit", 500, 500, "EUR"),
        ),
        (
            {"kind": "credit", "cost": 500, "value": "5.5", "credits": "cash"},
            0,
            2,
            ("credit", 500, 550, None),
        ),
    ],
)
def test_a_reward_is_what_the_catalogue_says(
    reward: dict[str, Any], decimals: int, credited: int, offer: tuple[Any, ...]
) -> None:
    found = reward_offer(Reward.model_validate({"id": "r", **reward}), decimals, credited)
    assert (found.kind, found.cost, found.value, found.currency, found.reward) == (*offer, "r")


def test_a_payment_charges_what_the_discount_leaves() -> None:
    assert discounted(2999, 500) == 2499


BAD: list[tuple[dict[str, Any], str]] = [
    ({"rewards": [{"id": "a", "kind": "discount", "cost": 1}]}, "value: a discount has a value"),
    ({"rewards": [{"id": "a", "kind": "discount", "cost": 1, "value": "1", "currency": "XQX"}]}, "XQX is not a currency"),
    ({"rewards": [{"id": "a", "kind": "discount", "cost": 1, "value": "1.005", "currency": "EUR"}]}, "EUR has 2 decimals"),
    ({"rewards": [{"id": "a", "kind": "item", "cost": 1, "credits": "points"}]}, "only a reward of the kind credit"),
    ({"rewards": [{"id": "a", "kind": "credit", "cost": 1, "value": "1", "credits": "points"}]}, "that very balance"),
    ({"rewards": [{"id": "a", "kind": "credit", "cost": 1, "value": "1", "credits": "miles"}]}, "definition 'miles'"),
    ({"rewards": [{"id": "a", "kind": "item", "cost": 1, "balance_definition": "x"}]}, "no balance definition 'x'"),
    ({"rewards": [{"id": "a", "kind": "item", "cost": 1}] * 2}, "two rewards are called 'a'"),
    ({"rewards": [{"id": "a", "kind": "item", "cost": 0}]}, "rewards.0.cost"),
    ({"redeeming": {"currency": "XQX"}}, "XQX is not a currency"),
    ({"redeeming": {"code_prefix": "a b"}}, "redeeming.code_prefix"),
    ({"redeeming": {"return_on_refund": "some"}}, "redeeming.return_on_refund"),
    ({"redeeming": {"hold_minutes": 0}}, "redeeming.hold_minutes"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), BAD, ids=[says for _, says in BAD])
def test_what_a_program_cannot_offer_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Program.model_validate({"name": "main", **changes})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("refunds", "returned"),
    [
        # 500 points took 5.00 off 29.99: 24.99 were paid
        ((), 0),
        (("10.00",), 200),  # floor(500 * 10.00 / 24.99) = floor(200.08)
        (("10.00", "10.00"), 400),  # floor(500 * 20.00 / 24.99) = floor(400.16), from the sum
        (("8.33", "8.33", "8.33"), 500),  # slices end where one refund ends
        (("24.99",), 500),
        (("30.00",), 500),  # never more than the cost
    ],
)
def test_refunds_give_points_back(refunds: tuple[str, ...], returned: int) -> None:
    order = totals(line(1, "29.99"), discount=Decimal("5.00"), total="24.99")
    told = [refunded("1", f"r{number}", amount).refund for number, amount in enumerate(refunds)]
    assert returned_of(500, [[one for one in told if one is not None]], order) == returned


def test_refunds_of_two_sources_are_not_added_up() -> None:
    order = totals(line(1, "24.99"))
    one, other = refunded("1", "r1", "10.00").refund, refunded("1", "re_9", "10.00").refund
    assert one is not None
    assert other is not None
    assert returned_of(500, [[one], [other]], order) == 200


def test_what_did_not_happen_or_is_elsewhere_gives_nothing_back() -> None:
    order = totals(line(1, "24.99"))
    failed = Refund(id="r", version=NOW, state=RefundState.FAILED, amount=Decimal(10), at=NOW)
    abroad = Refund(id="s", version=NOW, currency="USD", amount=Decimal(10), at=NOW)
    assert returned_of(500, [[failed, abroad]], order) == 0
    assert returned_of(500, [[failed]], totals(line(1, "0.00"))) == 0


@given(st.lists(st.integers(1, 3000), max_size=8), st.integers(1, 10**6))
def test_slices_never_drift(cents: list[int], cost: int) -> None:
    """However a refund is sliced, as much comes back as for one refund of the sum, and never more than the cost."""
    order = totals(line(1, "24.99"))

    def back(amounts: list[int]) -> int:
        told = [
            refunded("1", f"r{number}", f"{amount / 100:.2f}").refund for number, amount in enumerate(amounts)
        ]
        return returned_of(cost, [[one for one in told if one is not None]], order)

    whole = back([sum(cents)]) if cents else 0
    assert back(cents) == whole == min(cost * sum(cents) // 2499, cost)
