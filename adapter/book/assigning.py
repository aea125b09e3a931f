"""Tiers that somebody assigns."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from adapter.book.refusals import member_refusal
from adapter.book.tiers import assign, ladders_of, membership_of, place_in, release, review_tiers
from adapter.book.transfers import Cause
from adapter.clock import LATEST
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from adapter.book.working import WorkingSet
    from adapter.commands import AssignTier


def assign_tier(work: WorkingSet, command: AssignTier, event: int) -> Outcome:
    """Put a member on a tier by hand, or end that."""
    refusal = member_refusal(work, command.env, command.member)
    if refusal is not None:
        return refusal
    program = work.catalog.version_at(command.env, command.program, work.now).program
    key = (command.env, command.member, command.program)
    cause = Cause("tier.assigned", work.now, event)
    review_tiers(work, key, program, Cause("time.elapsed", work.now))
    ladders = ladders_of(work, membership_of(work, key), program)
    ladder = next((one for one in ladders if one.group.name == command.group), None)
    if ladder is None:
        return Outcome(error="tier_unknown", reason=f"There is no tier group {command.group!r} any more.")
    if command.tier is None:
        release(ladder, cause, command.reason)
    elif ladder.group.place(command.tier) is None:
        return Outcome(error="tier_unknown", reason=f"There is no tier {command.tier!r} any more.")
    else:
        assign(ladder, command.tier, command.until or LATEST, cause, command.reason)
    work.stir(*key, cause)
    return Outcome(
        event=event, state="assigned" if command.tier else "released", row=asdict(place_in(ladder))
    )
