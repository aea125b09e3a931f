"""What other systems publish of partial refunds, beside what ours does: it agrees, or differs on purpose and says why.

Ours keeps floor(award * kept / basis) of the order as a whole, under the rules of its day. So it does not matter in how many
slices an order is refunded, a whole refund takes everything, and nothing is taken twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from adapter.program.award import Occasion, award_of, retained_of
from adapter.program.model import Earning
from tests.shop import NOW, line, refunded, totals

if TYPE_CHECKING:
    from adapter.events import Refund

AGREES = ""
SLICES = "each refund is rounded for itself there, so many small ones take too little or too much"
PROPORTION = (
    "the remainder is rated anew there; ours is in proportion, which a whole refund completes exactly"
)
OF_THE_DAY = "the rule of the refund's day counts there; ours is that of the order's day"
NEVER_TAKEN = "nothing is taken there, so that buying and returning earns"
FIXED = "a fixed bonus stays there until all is refunded; ours goes in proportion like everything else"


@dataclass(frozen=True)
class Published:
    """An order, its refunds, and how many points they take: by whom it was published, and by ours."""

    by: str
    rule: dict[str, str]
    order: str
    refunds: tuple[str, ...]
    earned: int
    theirs: int
    ours: int
    why: str = AGREES


TEN = {"rate": "0.1"}  # a point for each 10.00
ONE = {"rate": "1"}
PUBLISHED = (
    Published("Square: forum, 1 point for $10", TEN, "21.90", ("10.00",), 2, 1, 1),  # 2*11.90/21.90 = 1.09
    Published("Square: forum", TEN, "21.90", ("20.00",), 2, 2, 2),  # 2*1.90/21.90 = 0.17
    Published("Square: forum", TEN, "21.90", ("1.00",), 2, 0, 1, PROPORTION),  # 2*20.90/21.90 = 1.91
    Published("Square: forum", TEN, "21.90", ("5.00",), 2, 0, 1, PROPORTION),  # 2*16.90/21.90 = 1.54
    Published("Square: its rule, four slices", TEN, "21.90", ("5.00",) * 4, 2, 0, 2, SLICES),
    Published("Square: its rule, all in three", TEN, "21.90", ("7.30",) * 3, 2, 0, 2, SLICES),
    Published("Square: its rule, all in five", ONE, "49.95", ("9.99",) * 5, 49, 45, 49, SLICES),
    Published("Open Loyalty: documentation", {"rate": "1.75"}, "40.00", ("20.00",), 70, 35, 35),
    Published("Open Loyalty: code, 60 % twice", ONE, "100.00", ("60.00", "60.00"), 100, 120, 100, SLICES),
    Published("Yotpo: 100 less 25", ONE, "100.00", ("25.00",), 100, 25, 25),
    Published("Yotpo: 49.95 earns 49", ONE, "49.95", ("0.95",), 49, 0, 1, PROPORTION),
    Published("Yotpo: all of it", ONE, "49.95", ("49.95",), 49, 49, 49),
    Published("LoyaltyLion: points follow the net", ONE, "100.00", ("10.00", "15.00"), 100, 25, 25),
    Published("ERPNext: a return test", TEN, "21.90", ("5.00",), 2, 1, 1),
    Published("ERPNext: all but a little", TEN, "21.90", ("20.00",), 2, 2, 2),
    Published("Smile: the rule was doubled since", ONE, "50.00", ("50.00",), 50, 100, 50, OF_THE_DAY),
    Published("Smile: the rule was deleted since", ONE, "50.00", ("50.00",), 50, 0, 50, OF_THE_DAY),
    Published("Odoo before 19.4", ONE, "100.00", ("100.00",), 100, 0, 100, NEVER_TAKEN),
    Published("Alpha Loyalty: fixed points", {"bonus": "100"}, "40.00", ("20.00",), 100, 0, 50, FIXED),
    Published("a point for 99 cents, given back cent by cent", {"bonus": "1"}, "0.99", ("0.01",) * 99, 1, 0, 1, SLICES),
)  # fmt: skip


def taken(one: Published) -> tuple[int, int]:
    """Return what the order earned, and what its refunds take of it."""
    earning = Earning.model_validate({"rules": [{"name": "published", **one.rule}]})
    what = totals(line(amount=one.order))
    award = award_of(what, earning, Occasion(placed_at=NOW))
    return award.points, award.points - retained_of(award, _refunds(one.refunds), what)


def _refunds(amounts: tuple[str, ...]) -> list[Refund]:
    facts: list[Any] = [
        refunded(refund=str(number), amount=amount).refund for number, amount in enumerate(amounts)
    ]
    return facts


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.by)
def test_a_published_refund(one: Published) -> None:
    assert taken(one) == (one.earned, one.ours)
    assert (one.theirs == one.ours) is (one.why == AGREES)


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.by)
def test_ours_is_the_same_in_one_slice(one: Published) -> None:
    whole = str(sum(map(Decimal, one.refunds)))
    sliced = Published(one.by, one.rule, one.order, (whole,), one.earned, one.theirs, one.ours)
    assert taken(sliced) == taken(one)
