"""Where a merged member stood goes over to who goes on: what was counted adds up, and the higher tier is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.tiers import ladders_of, membership_of, move_to

if TYPE_CHECKING:
    from adapter.book.membership import Membership
    from adapter.book.transfers import Cause
    from adapter.book.working import WorkingSet


def inherit_standing(work: WorkingSet, env: int, old: int, into: int, cause: Cause) -> None:
    """Let the one member's measures, first order, tiers and assignments be the other's."""
    _add_measures(work, (env, old), into)
    for gone in [one for one in work.memberships.values() if (one.env, one.member) == (env, old)]:
        theirs = membership_of(work, (env, into, gone.program))
        theirs.joined_at = min(theirs.joined_at, gone.joined_at)
        if theirs.first_ref is None:
            theirs.first_source, theirs.first_ref = gone.first_source, gone.first_ref
        work.memberships.mark(theirs.key)
        _keep_tiers(work, gone, theirs, cause)
        work.memberships.drop(gone.key)
        work.stir(env, into, gone.program, cause)
    for key in [key for key in work.stirred if key[:2] == (env, old)]:
        del work.stirred[key]


def _add_measures(work: WorkingSet, whose: tuple[int, int], into: int) -> None:
    env, old = whose
    for (place, member, definition, unit), days in list(work.measures.items()):
        for day, amount in list(days.items()) if (place, member) == whose else ():
            work.add_measure((env, old, definition, unit, day), -amount)
            work.add_measure((env, into, definition, unit, day), amount)


def _keep_tiers(work: WorkingSet, gone: Membership, theirs: Membership, cause: Cause) -> None:
    """Put who goes on on the higher of both tiers; from now on the rules move it, once an assignment is over."""
    program = work.catalog.version_at(gone.env, gone.program, work.now).program
    for ladder in ladders_of(work, theirs, program):
        key = (*gone.key, ladder.group.name)
        before = work.standings.get(key)
        if before is None:
            continue
        work.standings.drop(key)
        if (ladder.group.place(before.tier) or 0) > (ladder.group.place(ladder.standing.tier) or 0):
            ladder.standing.assigned_until = before.assigned_until
            move_to(ladder, before.tier, work.now, cause)
