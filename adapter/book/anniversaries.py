"""Anniversaries of members and of their tiers: told of when their day begins, however late the sweep comes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.news import tell_anniversary
from adapter.program.anniversaries import next_of_each
from adapter.program.days import day_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.book.membership import Membership, Standing
    from adapter.book.working import WorkingSet
    from adapter.clock import Millis
    from adapter.program.anniversaries import Anniversary
    from adapter.program.model import Program


def tell_anniversaries(work: WorkingSet, membership: Membership, program: Program) -> None:
    """Tell of those whose time has come; only of members who are there, in a program that runs."""
    row = work.members.get((membership.env, membership.member))
    told = row is not None and row.state == "active"
    at = membership.anniversary_at
    while at is not None and at <= work.now:
        for standing, one in _coming(work, membership, program, at - 1):
            if told and one.at == at and program.state_at(at) == "published":
                tell_anniversary(work, membership, standing, one)
        at = _next(work, membership, program, at)


def plan_anniversary(work: WorkingSet, membership: Membership, program: Program) -> None:
    """Note when there is next something to tell, for the tiers that the member is on now."""
    at = _next(work, membership, program, work.now)
    if at != membership.anniversary_at:
        membership.anniversary_at = at
        work.memberships.mark(membership.key)


def _next(work: WorkingSet, membership: Membership, program: Program, after: Millis) -> Millis | None:
    return min((one.at for _, one in _coming(work, membership, program, after)), default=None)


def _coming(
    work: WorkingSet, membership: Membership, program: Program, after: Millis
) -> Iterator[tuple[Standing | None, Anniversary]]:
    """Yield what comes next after an instant: of the membership, and of each tier (its standing says which)."""
    rules, zone = program.anniversaries, program.timezone
    for one in next_of_each(day_of(membership.joined_at, zone), rules, zone, after):
        yield None, one
    for group in program.tier_groups:
        standing = work.standings.get((*membership.key, group.name))
        if standing is not None:
            for one in next_of_each(day_of(standing.since, zone), rules, zone, after):
                yield standing, one
