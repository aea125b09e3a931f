"""Take posted points back: of an order that was refunded, of a credit that is undone.

In this order: the lot's own points, its own points that already ran out (waived: the member lost them before), the
member's other live lots. The rest is owed, or waived, as the program says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.lots import take
from adapter.book.state import Account, Lot
from adapter.book.transfers import Change, move

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def take_back(
    change: Change, lot: Lot, amount: int, others: Iterable[Lot], *, waives: bool
) -> tuple[list[tuple[Lot, int]], int]:
    """Return which lots give how much of `amount`, and what is owed; what is waived is forgotten at once."""
    own = min(amount, lot.available)
    waived = min(amount - own, lot.expired)
    lot.expired -= waived
    lot.idled = min(lot.idled, lot.expired)
    parts = [(lot, own)] if own else []
    parts += take((one for one in others if one.id != lot.id), amount - own - waived)
    covered = sum(part for _, part in parts)
    owed = 0 if waives else amount - waived - covered
    change.balance.earned -= (
        amount - covered - owed
    )  # what is waived moves nothing, and was not earned either
    return parts, owed


def revoke(
    change: Change,
    parts: Sequence[tuple[Lot, int]],
    owed: int,
    *,
    transaction: int,
    order: tuple[str, str] | None = None,
) -> None:
    """Move points back to where they were issued; what is owed has no lot."""
    debt: list[tuple[Lot | None, int]] = [(None, owed)] if owed else []
    for route, moved in (
        ((Account.AVAILABLE, Account.REVOKED), parts),
        ((Account.OWED, Account.REVOKED), debt),
    ):
        move(change, route, moved, kind="reverse", order=order, transaction=transaction)
