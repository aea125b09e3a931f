"""Reminders of points that end soon: one message for all that a member is to hear of on a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.news import tell_ending
from adapter.book.settle import NeedsLots
from adapter.program.reminding import reminds_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.book.state import Lot
    from adapter.book.transfers import Change
    from adapter.book.working import WorkingSet
    from adapter.clock import Millis


def remind(work: WorkingSet, change: Change, due: Sequence[Lot]) -> None:
    """Tell of the points whose reminder is due, as many as are still there; `due` are the lots that time is up for.

    Raises `NeedsLots` where a member is to be reminded of having done nothing, and the lots are not loaded.
    """
    balance = change.balance
    program = change.program_at(work.now)
    told = [lot for lot in due if lot.available and lot.remind_at is not None and lot.remind_at <= work.now]
    ends: dict[Millis, int] = {}
    for lot in told:
        if lot.expires_at is not None and (balance.idle_at is None or lot.expires_at <= balance.idle_at):
            ends[lot.expires_at] = ends.get(lot.expires_at, 0) + lot.available
        lot.remind_at = reminds_at(lot.expires_at, program.reminders, program.timezone, work.now)
    work.keep_lots(change, told)
    if balance.remind_at is not None and balance.remind_at <= work.now and balance.available:
        assert balance.idle_at is not None
        ends[balance.idle_at] = ends.get(balance.idle_at, 0) + _ends_idle(work, change, balance.idle_at)
        balance.remind_at = reminds_at(balance.idle_at, program.reminders, program.timezone, work.now)
        work.balances.mark(balance.key)
    if any(ends.values()):
        tell_ending(work, change, ends)


def _ends_idle(work: WorkingSet, change: Change, idle_at: Millis) -> int:
    """Return how many points do not end by themselves before that."""
    lots = work.other_lots(change.balance.key)
    if lots is None:
        raise NeedsLots(change.balance.key)
    return sum(lot.available for lot in lots if lot.expires_at is None or lot.expires_at > idle_at)
