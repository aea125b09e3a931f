"""Which lot gives first: what ends first, what never ends last, and of equals the oldest."""

from __future__ import annotations

import pytest

from adapter.book.lots import take
from adapter.book.state import Lot
from tests.shop import NOW


def lot(number: int, available: int, expires_at: int | None) -> Lot:
    return Lot(1, 1, 1, number, None, None, NOW, available=available, expires_at=expires_at)


LOTS = [lot(4, 10, None), lot(3, 10, 200), lot(1, 10, 200), lot(2, 10, 100), lot(5, 0, 50)]


@pytest.mark.parametrize(
    ("amount", "taken"),
    [
        (0, []),
        (7, [(2, 7)]),
        (15, [(2, 10), (1, 5)]),  # 1 and 3 end together: the older one gives first
        (25, [(2, 10), (1, 10), (3, 5)]),
        (35, [(2, 10), (1, 10), (3, 10), (4, 5)]),
        (99, [(2, 10), (1, 10), (3, 10), (4, 10)]),  # never more than there is
    ],
)
def test_lots_give_in_the_order_of_use(amount: int, taken: list[tuple[int, int]]) -> None:
    assert [(one.id, part) for one, part in take(LOTS, amount)] == taken
