"""Settling an order against points that were spent, that ran out, or that belong to other orders."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest

from adapter.book.orders import Target
from adapter.book.settle import NeedsLots, Settlement, settle
from adapter.book.state import Account, Balance, Lot, Order, Transaction
from adapter.book.transfers import Cause, Change, move
from adapter.program.model import Program
from tests.shop import DAY, NOW

PROGRAM = Program(name="main")


def target(retained: int, *, pending: int = 0, expires_at: int | None = NOW + 365 * DAY) -> Target:
    return Target(retained, retained, pending, retained - pending, None, 0, expires_at, NOW, None, None)


@dataclass
class Book:
    """One member with the lot of one order and one other lot."""

    balance: Balance
    order: Order
    own: Lot
    other: Lot
    numbers: count[int]
    transactions: dict[int, Transaction] = field(default_factory=dict)

    def settle(self, aim: Target, *, waive: bool = False, loaded: bool = True) -> Change:
        change = Change(self.balance, Cause("test", NOW), NOW, lambda _at: PROGRAM)
        others = [self.own, self.other] if loaded else None
        settle(
            Settlement(
                change, self.order, self.own, waive, others, lambda: next(self.numbers), self.transactions
            ),
            aim,
        )
        return change

    def move(self, source: Account, to: Account, lot: Lot, amount: int) -> None:
        move(Change(self.balance, Cause("test", NOW), NOW, lambda _at: PROGRAM), (source, to), [(lot, amount)], kind="test")


def book(*, other: int = 0, spent: int = 0, expired: int = 0, award: int = 100) -> Book:
    """A member who earned `award` by the order and `other` elsewhere; some of the order's points are gone since."""
    kept = Book(
        Balance(1, 2, 3),
        Order(1, "shop", "1001", "main", NOW),
        Lot(1, 2, 3, 10, "shop", "1001", NOW),
        Lot(1, 2, 3, 11, "shop", "1000", NOW, expires_at=NOW + 30 * DAY),
        count(100),
    )
    kept.settle(target(award))
    if other:
        kept.move(Account.ISSUED, Account.AVAILABLE, kept.other, other)
    if spent:
        kept.move(Account.AVAILABLE, Account.REDEEMED, kept.own, spent)
    if expired:
        kept.move(Account.AVAILABLE, Account.EXPIRED, kept.own, expired)
    return kept


@pytest.mark.parametrize(
    ("start", "retained", "own", "other", "owed", "available"),
    [
        # 100 earned, 34 go back: all from the order's own lot
        (book(), 66, 66, 0, 0, 66),
        # 80 of 100 were spent; 100 go back: 20 own, 50 from the other lot, 30 are owed
        (book(spent=80, other=50), 0, 0, 0, 30, 0),
        # 80 were spent; 60 go back: 20 own and 40 of the other lot's 50
        (book(spent=80, other=50), 40, 0, 10, 0, 10),
        # all had run out before the refund: the member lost them already, nothing is taken
        (book(expired=100, other=50), 0, 0, 50, 0, 50),
        # 60 ran out, 40 were spent; 100 go back: 60 waived, 40 from elsewhere
        (book(expired=60, spent=40, other=50), 0, 0, 10, 0, 10),
        # everything spent and nothing else there
        (book(spent=100), 0, 0, 0, 100, 0),
    ],
)
def test_a_clawback_takes_in_this_order(
    start: Book,
    retained: int,
    own: int,
    other: int,
    owed: int,
    available: int,
) -> None:
    start.settle(target(retained))
    assert (start.own.available, start.other.available) == (own, other)
    assert (start.balance.owed, start.balance.available) == (owed, available)
    assert start.order.held == retained


def test_a_shortfall_can_be_waived() -> None:
    kept = book(spent=80, other=50)
    kept.settle(target(0), waive=True)
    assert (kept.balance.owed, kept.balance.available, kept.order.held) == (0, 0, 0)


def test_what_is_owed_is_repaid_by_the_next_credit() -> None:
    """100 spent and refunded: 100 owed. An edit brings 130 back: 100 repay, 30 are usable."""
    kept = book(spent=100)
    kept.settle(target(0))
    assert kept.balance.owed == 100
    kept.settle(target(130))
    assert (kept.balance.owed, kept.balance.available, kept.own.available) == (0, 30, 30)


def test_pending_points_go_first_and_never_owe() -> None:
    kept = Book(
        Balance(1, 2, 3),
        Order(1, "shop", "1001", "main", NOW),
        Lot(1, 2, 3, 10, "shop", "1001", NOW),
        Lot(1, 2, 3, 11, None, None, NOW),
        count(100),
    )
    kept.settle(target(100, pending=100))
    assert (kept.balance.pending, kept.balance.available) == (100, 0)
    kept.settle(target(66, pending=66))
    assert (kept.balance.pending, kept.balance.owed) == (66, 0)
    change = kept.settle(target(66))
    assert change.deltas() == {"pending": -66, "available": 66}
    change = kept.settle(target(66, pending=66))  # the shipment was taken back
    assert change.deltas() == {"pending": 66, "available": -66}


def test_points_whose_time_is_over_when_they_land_run_out_at_once() -> None:
    kept = book(award=0)
    change = kept.settle(target(100, expires_at=NOW))
    assert [transfer.kind for transfer in change.transfers] == ["earn", "expire"]
    assert (kept.balance.available, kept.balance.earned, kept.own.expired) == (0, 100, 100)


def test_nothing_moves_when_other_lots_have_to_be_loaded_first() -> None:
    kept = book(spent=80, other=50)
    before = (kept.balance.sequence, kept.balance.available, kept.order.taken, kept.own.available)
    with pytest.raises(NeedsLots) as wanted:
        kept.settle(target(0), loaded=False)
    assert wanted.value.balance == (1, 2, 3)
    assert (kept.balance.sequence, kept.balance.available, kept.order.taken, kept.own.available) == before


def test_settling_twice_moves_nothing_twice() -> None:
    kept = book()
    assert kept.settle(target(66)).transfers
    assert kept.settle(target(66)).transfers == []
