"""Lots: which points come and go together, in which order they are used, and what time does to them.

The order of use is decided here and nowhere else: earliest expiry first, never-expiring last, then the oldest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.state import Account, Lot
from adapter.book.transfers import Change, move
from adapter.clock import LATEST

if TYPE_CHECKING:
    from collections.abc import Iterable


_ARRIVE = {Account.ISSUED: "earn", Account.MOVED: "transfer_in"}
"""What it is called when points become available, by where they come from."""


def turn_of(lot: Lot) -> tuple[int, int]:
    """Return what lots are sorted by as they are consumed."""
    return (LATEST + 1 if lot.expires_at is None else lot.expires_at, lot.id)


def in_order_of_use(lots: Iterable[Lot]) -> list[Lot]:
    """Sort lots as they are consumed."""
    return sorted(lots, key=turn_of)


def take(lots: Iterable[Lot], amount: int) -> list[tuple[Lot, int]]:
    """Return how much of `amount` each lot's available points give, in the order of use; together at most `amount`."""
    parts = []
    for lot in in_order_of_use(lots):
        part = min(lot.available, amount)
        if part > 0:
            parts.append((lot, part))
            amount -= part
    return parts


def land(change: Change, lot: Lot, amount: int, *, origin: Account, transaction: int | None) -> None:
    """Make points usable: what the member owes is repaid first; what is left of a lot already over expires at once."""
    order = order_of(lot)
    owed = min(change.balance.owed, amount)
    if owed:
        move(
            change, (origin, Account.OWED), [(lot, owed)], kind="repay", order=order, transaction=transaction
        )
    if amount > owed:
        kind = _ARRIVE.get(origin, "activate")
        parts: list[tuple[Lot | None, int]] = [(lot, amount - owed)]
        move(change, (origin, Account.AVAILABLE), parts, kind=kind, order=order, transaction=transaction)
    expire(change, lot)


def release(change: Change, parts: Iterable[tuple[Lot, int]], *, transaction: int) -> None:
    """Give held points back to the lots they came from: a debt is repaid first; what is over by now expires at once."""
    for lot, amount in parts:
        owed = min(change.balance.owed, amount)
        for target, part, kind in (
            (Account.OWED, owed, "repay"),
            (Account.AVAILABLE, amount - owed, "release"),
        ):
            move(
                change,
                (Account.RESERVED, target),
                [(lot, part)] if part else [],
                kind=kind,
                order=order_of(lot),
                transaction=transaction,
            )
        expire(change, lot)


def expire(change: Change, lot: Lot) -> int:
    """Let a lot's available points run out if its time is over, or its member's; return how many did."""
    live = lot.live(change.now)
    if not lot.available or (live and not change.idle_by(change.now)):
        return 0
    amount = lot.available
    move(change, (Account.AVAILABLE, Account.EXPIRED), [(lot, amount)], kind="expire", order=order_of(lot))
    lot.idled += amount if live else 0
    return amount


def revive(change: Change, lot: Lot) -> None:
    """Give back what had run out of a lot that, as a later fact shows, is not over yet; a debt is repaid first.

    What ended because its member did nothing stays gone.
    """
    gone = lot.expired - lot.idled
    if not gone or not lot.live(change.now) or change.idle_by(change.now):
        return
    owed = min(change.balance.owed, gone)
    for target, amount in ((Account.OWED, owed), (Account.AVAILABLE, gone - owed)):
        move(
            change,
            (Account.EXPIRED, target),
            [(lot, amount)] if amount else [],
            kind="revive",
            order=order_of(lot),
        )


def order_of(lot: Lot) -> tuple[str, str] | None:
    """Return the order that gave a lot, None where there is none."""
    return (
        (lot.order_source, lot.order_ref)
        if lot.order_source is not None and lot.order_ref is not None
        else None
    )
