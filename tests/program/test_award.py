"""Several rules: what each gives, how they combine, and what refunds leave of it. The sums are in the rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapter.program.award import Occasion, award_of, retained_of
from adapter.program.model import Earning, Program
from adapter.program.moments import closing, opening
from adapter.program.reasons import Reason
from tests.program.rules import earnings
from tests.shop import NOW, line, refunded, totals

if TYPE_CHECKING:
    from adapter.events import Refund, Totals

BASE = {"name": "base", "rate": "1"}
COFFEE = {"name": "coffee", "per_item": "50", "only": {"skus": ["BAG"]}}
WELCOME = {"name": "welcome", "bonus": 100, "minimum": "50.00"}
BAGS = line(2, "30.00", quantity="2", sku="BAG", product="p2", categories=("coffee", "organic"))
CUP = line(1, "60.00", sku="CUP", product="p1")
BASKET = totals(CUP, BAGS)  # 90.00


def earning(*rules: dict[str, Any], **more: Any) -> Earning:
    return Earning.model_validate({"rules": list(rules), **more})


def parts(what: Totals, rules: Earning, **occasion: Any) -> dict[str, int]:
    award = award_of(what, rules, Occasion(**{"placed_at": NOW, **occasion}))
    assert sum(share.points for share in award.shares) == award.points
    return {share.rule: share.points for share in award.shares}


def refund(amount: str, **more: Any) -> Refund:
    fact = refunded(amount=amount, **more).refund
    assert fact is not None
    return fact


@pytest.mark.parametrize(
    ("rules", "gave"),
    [
        (earning(BASE), {"base": 90}),  # 90.00 * 1
        (earning(BASE, COFFEE), {"base": 90, "coffee": 100}),  # and 2 bags at 50
        (earning(BASE, WELCOME), {"base": 90, "welcome": 100}),  # 90.00 >= 50.00
        (earning(BASE, WELCOME | {"minimum": "90.01"}), {"base": 90}),
        # lines by SKU, product, and category or tag: 30.00 * 2
        (earning({"name": "x", "rate": "2", "only": {"skus": ["BAG"]}}), {"x": 60}),
        (earning({"name": "x", "rate": "2", "only": {"products": ["p2"]}}), {"x": 60}),
        (earning({"name": "x", "rate": "2", "only": {"categories": ["organic"]}}), {"x": 60}),
        (
            earning({"name": "x", "rate": "2", "only": {"skus": ["CUP"], "categories": ["coffee"]}}),
            {"x": 180},
        ),
        # everything but coffee: 60.00
        (earning({"name": "x", "rate": "1", "exclude": {"categories": ["coffee"]}}), {"x": 60}),
        # what the program leaves out no rule brings back
        (earning(BASE, COFFEE, exclude={"skus": ["BAG"]}), {"base": 60}),
        # a rule's minimum looks at its own lines: 30.00 of coffee
        (earning(BASE, COFFEE | {"minimum": "30.01"}), {"base": 90}),
        (earning(BASE, COFFEE | {"minimum": "30.00"}), {"base": 90, "coffee": 100}),
        # a rule's own cap, then the order's: 90 + min(100, 60) = 150, cut to 120
        (earning(BASE, COFFEE | {"cap": 60}), {"base": 90, "coffee": 60}),
        (earning(BASE, COFFEE | {"cap": 60}, cap=120), {"base": 90, "coffee": 30}),
        (earning(BASE, COFFEE, cap=50), {"base": 50, "coffee": 0}),
        # they compete: the best alone, of equals the first
        (earning(BASE, COFFEE, combine="best"), {"coffee": 100}),
        (earning(BASE, COFFEE | {"per_item": "45"}, combine="best"), {"base": 90}),
        # a multiplier is of all that its rule gives: (90 + 10) * 3
        (earning(BASE | {"bonus": 10, "multiplier": "3"}), {"base": 300}),
        # by currency, and for one currency only
        (earning({"name": "x", "rates": {"EUR": "2", "USD": "3"}}), {"x": 180}),
        (earning(BASE, WELCOME | {"currencies": ["USD"]}), {"base": 90}),
        (earning(BASE, WELCOME | {"currencies": ["EUR"]}), {"base": 90, "welcome": 100}),
    ],
)
def test_what_rules_give(rules: Earning, gave: dict[str, int]) -> None:
    assert parts(BASKET, rules) == gave


@pytest.mark.parametrize(
    ("rounding", "amounts", "gave"),
    [
        # 10.00 * 0.05 = 0.5 by each of two rules
        ("down", "10.00", {"a": 0, "b": 1}),  # 0.5 + 0.5 = 1: rounded once, not twice
        ("half_up", "10.00", {"a": 1, "b": 0}),
        ("up", "10.00", {"a": 1, "b": 0}),
        ("down", "15.00", {"a": 0, "b": 1}),  # 0.75 + 0.75 = 1.5
        ("half_up", "15.00", {"a": 1, "b": 1}),
        ("up", "15.00", {"a": 1, "b": 1}),
        ("up", "0.01", {"a": 1, "b": 0}),  # 0.001
        ("half_up", "14.99", {"a": 1, "b": 0}),  # 1.499
    ],
)
def test_rounding_is_once_for_the_order(rounding: str, amounts: str, gave: dict[str, int]) -> None:
    rules = earning({"name": "a", "rate": "0.05"}, {"name": "b", "rate": "0.05"}, rounding=rounding)
    assert parts(totals(line(amount=amounts)), rules) == gave


def test_the_short_form_rounds_as_it_is_told() -> None:
    """42.50 at 1 is 42.5."""
    for rounding, points in (("down", 42), ("half_up", 43), ("up", 43)):
        short = Earning.model_validate({"rate": "1", "rounding": rounding})
        assert parts(totals(line(amount="42.50")), short) == {"base": points}


def test_a_tier_multiplies_and_every_other_tier_does_not() -> None:
    gold = {"gold": "1.5", "silver": "1.2"}
    short = Earning.model_validate({"rate": "1", "tier_multipliers": gold})
    several = earning(BASE | {"tier_multipliers": gold}, WELCOME)
    for tier, points in (("gold", 135), ("silver", 108), ("wood", 90), (None, 90)):
        assert parts(BASKET, short, tier=tier) == {"base": points}
        assert parts(BASKET, several, tier=tier) == {"base": points, "welcome": 100}


def test_cashback_counts_bonus_and_caps_in_whole_units() -> None:
    """Two decimals: 5 % of 90.00 is 4.50, and a bonus of 1 is 1.00; capped at 5.00."""
    rules = earning(BASE | {"rate": "0.05"}, {"name": "one", "bonus": 1}, cap=5)
    assert parts(BASKET, rules, decimals=2) == {"base": 450, "one": 50}


BERLIN_DAY = int(datetime(2026, 11, 26, 23, tzinfo=UTC).timestamp() * 1000)  # midnight of the 27th in Berlin
DAY = 86_400_000


@pytest.mark.parametrize(
    ("at", "runs"),
    [(BERLIN_DAY - 1, False), (BERLIN_DAY, True), (BERLIN_DAY + DAY - 1, True), (BERLIN_DAY + DAY, False)],
)
def test_a_campaign_runs_on_its_days_in_the_programs_time_zone(at: int, runs: bool) -> None:
    friday = {"name": "friday", "rate": "2", "starts": date(2026, 11, 27), "ends": "2026-11-27"}
    gave = parts(BASKET, earning(BASE, friday), placed_at=at, timezone="Europe/Berlin")
    assert gave == ({"base": 90, "friday": 180} if runs else {"base": 90})


@pytest.mark.parametrize("moment", ["2026-11-27T18:00:00", datetime(2026, 11, 27, 18)])  # noqa: DTZ001 - a local time
def test_a_local_time_is_the_programs_and_an_instant_is_itself(moment: Any) -> None:
    rule = earning(BASE | {"starts": moment}).rules[0]
    at = int(datetime(2026, 11, 27, 17, tzinfo=UTC).timestamp() * 1000)
    assert (
        opening(rule.starts or "", "Europe/Berlin") == closing("2026-11-27T18:00:00", "Europe/Berlin") == at
    )
    assert opening("2026-11-27T17:00:00Z", "Europe/Berlin") == at


@pytest.mark.parametrize(
    ("what", "rules", "reason"),
    [
        (BASKET, Earning(), Reason.NO_RULE),
        (BASKET, earning(BASE | {"rates": {"USD": "1"}}), Reason.NO_RATE_FOR_CURRENCY),
        (BASKET, earning(WELCOME | {"currencies": ["USD"]}), Reason.NO_RULE_APPLIES),
        (BASKET, earning(BASE | {"starts": "2030-01-01"}), Reason.NO_RULE_APPLIES),
        (BASKET, earning(BASE | {"ends": "2020-01-01"}), Reason.NO_RULE_APPLIES),
        (BASKET, earning(COFFEE | {"only": {"skus": ["TEA"]}}), Reason.NO_RULE_APPLIES),
        (totals(), earning(BASE), Reason.NOTHING_COUNTS),
        (BASKET, earning(BASE, minimum="90.01"), Reason.BELOW_MINIMUM),
        # the reason is that of the rule that came nearest
        (BASKET, earning(BASE | {"starts": "2030-01-01"}, WELCOME | {"minimum": "99"}), Reason.BELOW_MINIMUM),
        (totals(line(amount="0.50")), earning(BASE, WELCOME), Reason.ROUNDS_TO_ZERO),
        (BASKET, earning(BASE, cap=0), Reason.CAPPED),
    ],
)
def test_nothing_has_a_reason(what: Totals, rules: Earning, reason: Reason) -> None:
    award = award_of(what, rules, Occasion(NOW))
    assert (award.points, award.reason, award.shares) == (0, reason, ())


def test_an_order_cut_to_the_cap_says_so() -> None:
    assert award_of(BASKET, earning(BASE, COFFEE, cap=120), Occasion(NOW)).reason is Reason.CAPPED


@pytest.mark.parametrize(
    ("refunds", "retained"),
    [
        ([], 190),
        # one bag of 15.00: 90 * 75/90 + 100 * 15/30 = 75 + 50
        ([refund("15.00", lines=[("2", "1", "15.00")])], 125),
        # both bags: 60 + 0; what the bonus was for is gone, so is the bonus
        ([refund("30.00", lines=[("2", "2", "30.00")])], 60),
        # the cup: 30 + 100
        ([refund("60.00", lines=[("1", "1", "60.00")])], 130),
        # a third of the money is a third of everything: 60 + 66.67 = 126.67
        ([refund("30.00")], 126),
        ([refund("90.00")], 0),
        ([refund("15.00", lines=[("2", "1", "15.00")]), refund("75.00", refund="r2")], 0),
    ],
)
def test_refunds_take_from_the_rules_whose_lines_went_back(refunds: list[Refund], retained: int) -> None:
    """90 by the base on 90.00, and 100 by coffee on 30.00."""
    award = award_of(BASKET, earning(BASE, COFFEE), Occasion(NOW))
    assert retained_of(award, refunds, BASKET) == retained


def test_a_rules_lines_carry_their_share_of_discount_and_points_paid() -> None:
    """18.00 off 90.00 and 9.00 paid with points: coffee's third is 30 - 6 - 3 = 21; shipping is nobody's line."""
    what = totals(CUP, BAGS, discount=Decimal(18), points_paid=Decimal(9), shipping=Decimal(5), total="77.00")
    half = {"name": "half", "rate": "1", "only": {"skus": ["BAG"]}}
    assert parts(what, earning(half)) == {"half": 21}
    assert parts(what, earning(half, BASE, include_shipping=True)) == {"half": 21, "base": 68}


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"rules": [{"name": "x"}]}, "it gives nothing"),
        ({"rules": [BASE, BASE]}, "two rules are called 'base'"),
        ({"rules": [BASE], "rate": "1"}, "into a rule"),
        ({"rules": [BASE], "tier_multipliers": {"gold": "2"}}, "into a rule"),
        ({"rules": [BASE | {"starts": "2026-11-28", "ends": "2026-11-27"}]}, "ends before it starts"),
        ({"rules": [BASE | {"starts": "Friday"}]}, "write a date"),
        ({"rules": [BASE | {"starts": 5}]}, "write a date"),
        ({"rules": [BASE | {"points": 5}]}, "Extra inputs"),
        ({"rounding": "even"}, "'half_up'"),
        ({"combine": "max"}, "'best'"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Earning.model_validate(rules)


@given(earnings())
def test_a_program_is_the_same_after_it_was_stored(rules: Earning) -> None:
    program = Program(name="main", earning=rules)
    assert program.earning.in_force
    assert Program.model_validate_json(program.model_dump_json()) == program


AMOUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=4)


@given(earnings(), AMOUNTS, st.lists(st.integers(1, 10**6), max_size=6), st.booleans())
def test_refunds_only_ever_take_and_slices_change_nothing(
    rules: Earning, cents: list[int], slices: list[int], by_line: bool
) -> None:
    """Never below zero, never above the award; a refund of everything leaves nothing; sliced or not is the same."""
    names = ("A", "B", "C", None)
    lines = [line(n, f"{one / 100:.2f}", sku=names[n % 4]) for n, one in enumerate(cents)]
    what = totals(*lines)
    award = award_of(what, rules, Occasion(NOW, tier="gold"))

    def left(amounts: list[int]) -> int:
        told = []
        for number, amount in enumerate(amounts):
            text = str(Decimal(amount) / 100)
            went = [("0", "1", text)] if by_line else []
            told.append(refund(text, refund=f"r{number}", lines=went))
        return retained_of(award, told, what)

    assert sum(share.points for share in award.shares) == award.points
    assert left(slices) == left([sum(slices)] if slices else [])
    assert 0 <= left(slices) <= award.points
    everything = [
        refund(str(one.amount), refund=one.id, lines=[(one.id, "1", str(one.amount))]) for one in lines
    ]
    assert retained_of(award, everything, what) == 0
