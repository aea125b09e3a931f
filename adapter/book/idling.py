"""Points whose member did nothing for long end all together: what was done last says when.

The instant stands on the balance (`idle_at`), so that being active touches no lot, however many there are. A lot's own
end and that instant: the earlier counts. What is booked is an activity when it is booked, what time posts at the instant
at which it was due; so it does not matter when the sweep comes by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.lots import expire
from adapter.book.transfers import be_active

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.book.state import Lot, Transaction
    from adapter.book.transfers import Change
    from adapter.clock import Millis

Coming = tuple[int, str]
"""When time alone posts or spends something, and whether it is `earn` or `spend`."""


def let_idle_end(change: Change, lots: Iterable[Lot], coming: Iterable[Coming]) -> None:
    """Let all available points end if their member did nothing for so long; `coming` is what is due and not done yet."""
    for at, kind in sorted(coming):
        if not change.idle_by(at):
            be_active(change, kind, at)
    if change.idle_by(change.now):
        for lot in lots:
            expire(change, lot)


def outlast(change: Change, idle_at: Millis | None, remind_at: Millis | None) -> None:
    """Let the later of two members' ends count where one goes on with the other's points; these are the other's."""
    balance = change.balance
    if balance.idle_at is not None and idle_at is not None and idle_at > balance.idle_at:
        balance.idle_at, balance.remind_at = idle_at, remind_at


def coming_of(lots: Iterable[Lot], due: Iterable[Transaction], now: Millis) -> list[Coming]:
    """Return what time alone has caused by now and nobody has done yet."""
    posts = [
        (lot.available_at, "earn")
        for lot in lots
        if lot.pending and lot.due_amount and lot.available_at is not None and lot.available_at <= now
    ]
    completes = [
        (one.completes_at, "earn" if one.kind == "credit" else "spend")
        for one in due
        if one.completes_at is not None and one.completes_at == one.due_at
        if one.kind == "debit" or (one.available_at is not None and one.available_at <= now)
    ]
    return posts + completes
