"""Fraud advice: what somebody who watches for fraud advises about a member. BLOCK keeps every redemption back.

One advice is outstanding at most: another one, or clearing, ends it. Those that are over are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.refusals import member_refusal
from adapter.book.rows import row_of
from adapter.book.state import Advice
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from adapter.book.working import WorkingSet
    from adapter.commands import Advise


def advise(work: WorkingSet, command: Advise, event: int) -> Outcome:
    """Give an advice, or clear the one that is outstanding."""
    refusal = member_refusal(work, command.env, command.member)
    if refusal is not None:
        return refusal
    newest = work.newest_advice.get((command.env, command.member))
    outstanding = None if newest is None or newest.cleared_at is not None else newest
    if command.advice is None and outstanding is None:
        return Outcome(error="not_found", reason="No advice is outstanding for this member.")
    if outstanding is not None and outstanding.advice == command.advice:
        outstanding.reason = command.reason
        work.advices.mark(outstanding.key)
        return _told(outstanding, event)
    if outstanding is not None:
        outstanding.cleared_at = work.now
        outstanding.cleared_reason = (
            command.reason if command.advice is None else f"replaced by {command.advice}"
        )
        work.advices.mark(outstanding.key)
    if command.advice is None:
        assert outstanding is not None
        return _told(outstanding, event)
    number = 1 if newest is None else newest.number + 1
    given = Advice(command.env, command.member, number, command.advice, command.reason, work.now)
    work.newest_advice[command.env, command.member] = given
    return _told(work.advices.put(given.key, given), event)


def advice_of(work: WorkingSet, env: int, member: int) -> str | None:
    """Return the advice that is outstanding for a member."""
    newest = work.newest_advice.get((env, member))
    return None if newest is None or newest.cleared_at is not None else newest.advice


def _told(advice: Advice, event: int) -> Outcome:
    state = "outstanding" if advice.cleared_at is None else "cleared"
    return Outcome(event=event, state=state, row=row_of(advice))
