"""Tiers: on which one a member is, and what moves it. All of it is decided as of an instant, never as of the sweep.

A group's measure says which tier is reached. Where the group moves in real time, the tier follows in the very commit
that changed the measure, or at the midnight at which something drops out of a rolling window; on an anniversary it
follows then. A tier that somebody assigned stays until its time is over; then the measure decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.book.counting import POINTS, amount_of, last_day
from adapter.book.membership import Membership, Standing, TierChange
from adapter.book.news import tell_tier
from adapter.book.transfers import Cause
from adapter.clock import LATEST
from adapter.program.days import anniversaries, day_of, midnight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.book.working import WorkingSet
    from adapter.catalog import Definition
    from adapter.clock import Millis
    from adapter.program.model import Program
    from adapter.program.tiers import TierGroup

NO_DEFINITION = 0
"""No row has it: all that is measured of it is nothing."""

MemberProgram = tuple[int, int, str]
"""(env, member, program)."""


def tier_of(work: WorkingSet, env: int, member: int, program: str) -> str | None:
    """Return a member's tier in the program's first group as of now; None where the program has no tiers.

    The member has to be one that the batch touches.
    """
    found = work.catalog.version_at(env, program, work.now).program
    if not found.tier_groups:
        return None
    key = (env, member, program)
    if work.standings.get((*key, found.tier_groups[0].name)) is None:
        review_tiers(work, key, found, Cause("time.elapsed", work.now))
        work.stir(*key, Cause("time.elapsed", work.now))
    standing = work.standings.get((*key, found.tier_groups[0].name))
    return None if standing is None else standing.tier


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member stands in one tier group, as it is shown. `amount` is the measure, in smallest units."""

    member: int
    program: str
    group: str
    tier: str
    since: Millis
    assigned_until: Millis | None
    amount: int
    next_review_at: Millis | None


def place_in(ladder: Ladder) -> Place:
    """Return where a member stands now, after a review."""
    _, member, program, group = ladder.standing.key
    today = day_of(ladder.work.now, ladder.program.timezone)
    standing = ladder.standing
    return Place(
        member,
        program,
        group,
        standing.tier,
        standing.since,
        standing.assigned_until,
        ladder.amount(today),
        next_deadline(ladder),
    )


def membership_of(work: WorkingSet, key: MemberProgram) -> Membership:
    """Return since when and how a member takes part; who has no row yet begins now."""
    known = work.memberships.get(key)
    if known is not None:
        return known
    env, member, name = key
    row = work.members.get((env, member))
    joined_at = work.now if row is None else row.created_at
    version = work.catalog.version_at(env, name, work.now).version
    source, ref = work.ordered.get(key, (None, None))
    return work.memberships.put(key, Membership(*key, joined_at, version, source, ref))


@dataclass(frozen=True, slots=True)
class Ladder:
    """One group's tiers as they are for one member: everything that a move depends on."""

    work: WorkingSet
    membership: Membership
    program: Program
    group: TierGroup
    standing: Standing

    @property
    def definition(self) -> Definition | None:
        """Return the balance that is measured; a draft may have none yet."""
        env, _, name = self.membership.key
        return self.work.catalog.measured_in(env, name, self.group)

    @property
    def whose(self) -> tuple[int, int, int]:
        env, member, _ = self.membership.key
        return (env, member, self.definition.id if self.definition else NO_DEFINITION)

    @property
    def decimals(self) -> int:
        return self.definition.decimals if self.definition else 0

    def amount(self, day: int) -> int:
        """Return the measure as of a day."""
        return amount_of(self.work, self.group, self.whose, day)

    def starts(self) -> dict[str, int]:
        """Return the day that each kind of anniversary is one of."""
        zone = self.program.timezone
        return {
            "membership_anniversary": day_of(self.membership.joined_at, zone),
            "tier_anniversary": day_of(self.standing.since, zone),
        }


def ladders_of(work: WorkingSet, membership: Membership, program: Program) -> Iterator[Ladder]:
    """Yield each group of a program with where the member stands in it, those who stand nowhere on the entry tier."""
    for group in program.tier_groups:
        key = (*membership.key, group.name)
        standing = work.standings.get(key)
        if standing is None:
            standing = Standing(*key, group.entry.name, work.now, work.now)
            work.standings.put(key, standing)
        yield Ladder(work, membership, program, group, standing)


def review_tiers(work: WorkingSet, key: MemberProgram, program: Program, cause: Cause) -> None:
    """Bring a member's tiers up to now: first what every deadline since the last time brings, then the measure."""
    for ladder in ladders_of(work, membership_of(work, key), program):
        standing = ladder.standing
        if not standing.changes:
            _note(ladder, None, work.now, Cause("member.enrolled", work.now, cause.event))
        while (at := next_deadline(ladder)) is not None and at <= work.now:
            _follow(ladder, at, Cause("time.elapsed", at))
            standing.reviewed_at = max(standing.reviewed_at, at)
            work.standings.mark(standing.key)
        _follow(ladder, work.now, cause)


def next_deadline(ladder: Ladder) -> Millis | None:
    """Return the next instant at which time alone may move the tier."""
    group, standing, after = ladder.group, ladder.standing, ladder.standing.reviewed_at
    rules = {group.upgrade, group.downgrade}
    dues = [
        next(anniversaries(start, ladder.program.timezone, after), None)
        for rule, start in ladder.starts().items()
        if rule in rules
    ]
    until = standing.assigned_until
    if until is not None and until < LATEST:  # be it before the last look, where a clock went back
        dues.append(until)
    if group.rolling and "real_time" in rules:
        dues.append(_next_drop(ladder, after))
    return min((at for at in dues if at is not None), default=None)


def _next_drop(ladder: Ladder, after: Millis) -> Millis | None:
    """Return the midnight at which what drops out of the window changes the tier that is reached."""
    group, zone = ladder.group, ladder.program.timezone
    env, member, definition = ladder.whose
    days = ladder.work.measure(env, member, definition, group.currency or POINTS)
    ends: dict[int, int] = {}
    for begun, amount in days.items():
        if begun:
            ends[last_day(group, begun)] = ends.get(last_day(group, begun), 0) + amount
    left = sum(ends.values())
    here = group.place(ladder.standing.tier)
    for day in sorted(ends):
        left -= ends[day]
        reached = group.reached(left, ladder.decimals)
        rule = group.upgrade if here is None or reached > here else group.downgrade
        if reached != here and rule == "real_time" and midnight(day, zone) > after:
            return midnight(day, zone)
    return None


def _follow(ladder: Ladder, at: Millis, cause: Cause) -> None:
    """Move to the tier that the measure reaches, if the group's rules let it move at this instant."""
    group, standing = ladder.group, ladder.standing
    if standing.assigned(at):
        return
    over, standing.assigned_until = standing.assigned_until is not None, None
    reached = group.reached(ladder.amount(day_of(at, ladder.program.timezone)), ladder.decimals)
    here = group.place(standing.tier)
    if over:
        ladder.work.standings.mark(standing.key)
    if reached != here:
        rule = group.upgrade if here is None or reached > here else group.downgrade
        if over or here is None or _lets(ladder, rule, at):
            move_to(ladder, group.tiers[reached].name, at, cause)


def _lets(ladder: Ladder, rule: str, at: Millis) -> bool:
    """Return whether a rule lets a tier move at an instant."""
    if rule == "real_time":
        return True
    start = ladder.starts().get(rule)
    return start is not None and next(anniversaries(start, ladder.program.timezone, at - 1), None) == at


def assign(ladder: Ladder, tier: str, until: Millis, cause: Cause, reason: str | None) -> None:
    """Put a member on a tier that no rule moves before an instant."""
    standing, now = ladder.standing, ladder.work.now
    standing.assigned_until = until
    if standing.tier == tier:
        _note(ladder, tier, now, cause, reason)
    else:
        move_to(ladder, tier, now, cause, reason)


def release(ladder: Ladder, cause: Cause, reason: str | None) -> None:
    """End an assignment: the measure decides."""
    standing, now = ladder.standing, ladder.work.now
    standing.assigned_until = None
    ladder.work.standings.mark(standing.key)
    amount = ladder.amount(day_of(now, ladder.program.timezone))
    tier = ladder.group.tiers[ladder.group.reached(amount, ladder.decimals)].name
    if standing.tier != tier:
        move_to(ladder, tier, now, cause, reason)


def move_to(ladder: Ladder, tier: str, at: Millis, cause: Cause, reason: str | None = None) -> None:
    """Put a member on another tier: the row, its history, and the news."""
    standing = ladder.standing
    before, standing.tier, standing.since = standing.tier, tier, at
    change = _note(ladder, before, at, cause, reason)
    tell_tier(ladder.work, change, ladder.group, at)


def _note(
    ladder: Ladder, before: str | None, at: Millis, cause: Cause, reason: str | None = None
) -> TierChange:
    """Add a line to the history of a standing."""
    work, standing = ladder.work, ladder.standing
    standing.changes += 1
    work.standings.mark(standing.key)
    env, member, program, group = standing.key
    amount = ladder.amount(day_of(at, ladder.program.timezone))
    change = TierChange(
        env,
        member,
        work.new_id(),
        program,
        group,
        standing.changes,
        before,
        standing.tier,
        at,
        cause.kind,
        cause.event,
        reason,
        amount,
    )
    work.tier_changes.append(change)
    return change
