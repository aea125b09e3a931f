"""Where members stand: looked at whenever a command touched them, and when time asks for it.

What an order's award needs of it is decided once, when the order is settled for its member with known totals, and kept
with the order: what other orders do later changes nothing, and the order's own events end alike in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter.book.anniversaries import plan_anniversary, tell_anniversaries
from adapter.book.bonuses import celebrate, welcome
from adapter.book.counting import recount_order, room_for, uncount_order
from adapter.book.membership import Kept, Stood, dump_kept, read_kept
from adapter.book.orders import totals_of
from adapter.book.tiers import MemberProgram, ladders_of, membership_of, next_deadline, review_tiers, tier_of
from adapter.book.transfers import Cause
from adapter.book.valuing import as_kept
from adapter.commands import Elapse, Review
from adapter.program.reasons import Reason

if TYPE_CHECKING:
    from adapter.book.orders import Setting, Target
    from adapter.book.state import Order
    from adapter.book.working import WorkingSet

OFF = (Reason.CANCELLED, Reason.TEST_ORDER)
"""Why an order is not a member's first one."""


def time_owed(work: WorkingSet) -> list[Elapse | Review]:
    """Return what time has yet to do for members whose standing a command may ask for: it passes first.

    The sweep does it long before, nearly always; and where no program has standing there is nothing.
    """
    balances = [
        Elapse(env=balance.env, member=balance.member, definition=balance.definition)
        for balance in work.balances.values()
        if balance.next_due_at is not None
        and balance.next_due_at <= work.now
        and work.catalog.keeps_standing(
            balance.env, work.catalog.definitions[balance.env, balance.definition].program, work.now
        )
    ]
    members = [
        Review(env=one.env, member=one.member, program=one.program)
        for one in work.memberships.values()
        if (one.next_due_at is not None and one.next_due_at <= work.now)
        or one.version != work.catalog.version_at(one.env, one.program, work.now).version
    ]
    return [*balances, *members]


def stand(work: WorkingSet, event: int | None) -> None:
    """Welcome who became a member by a command, and look at everyone whose points or orders it changed."""
    while work.joined or work.stirred:
        for key in work.joined:
            welcome(work, key, event)
            if key not in work.stirred:
                work.stir(*key, Cause("member.enrolled", work.now, event))
        work.welcomed += work.joined
        work.joined.clear()
        for key in list(work.stirred):
            review(work, key, work.stirred.pop(key))


def review(work: WorkingSet, key: MemberProgram, cause: Cause) -> None:
    """Bring one member of a program up to now: birthdays, anniversaries, tiers, and when to look again."""
    version = work.catalog.version_at(key[0], key[2], work.now)
    membership = membership_of(work, key)
    celebrate(work, membership)
    tell_anniversaries(work, membership, version.program)
    review_tiers(work, key, version.program, cause)
    plan_anniversary(work, membership, version.program)
    deadlines = [next_deadline(ladder) for ladder in ladders_of(work, membership, version.program)]
    own = (membership.birthday_at, membership.anniversary_at)
    due = min((at for at in (*own, *deadlines) if at is not None), default=None)
    if (membership.next_due_at, membership.version) != (due, version.version):
        membership.next_due_at, membership.version = due, version.version
        work.memberships.mark(membership.key)


# --- orders -----------------------------------------------------------------------------------------------------------


def keep_standing(work: WorkingSet, order: Order, member: int, setting: Setting) -> Setting:
    """Decide where an order's member stands, once: the tier, whether it is the first order, what the caps leave.

    Returns what the order's target depends on with it.
    """
    if not work.catalog.keeps_standing(order.env, order.program, work.now):
        return setting
    kept = read_kept(order.standing) or Kept()
    if kept.stood is not None or totals_of(order.facts, order.source) is None:
        return setting
    stood = kept.left.get(member) or _stands(work, order, member, setting)
    order.standing = dump_kept(msgspec.structs.replace(kept, stood=stood))
    return as_kept(setting, order.standing)


def _stands(work: WorkingSet, order: Order, member: int, setting: Setting) -> Stood:
    key = (order.env, member, order.program)
    membership = membership_of(work, key)
    first = (membership.first_source, membership.first_ref)
    return Stood(
        tier=tier_of(work, *key),
        first=first in ((None, None), (order.source, order.ref)),
        room=room_for(work, order, member, setting.program),
    )


def recount(work: WorkingSet, order: Order, target: Target, setting: Setting, cause: Cause) -> None:
    """Count an order for its member as its facts are now, and see which one is the member's first."""
    if order.standing is None or order.member is None:
        return
    recount_order(work, order, target, setting.program)
    _claim_first(work, order, order.member, off=target.reason in OFF)
    work.stir(order.env, order.member, order.program, cause)


def leave_member(work: WorkingSet, order: Order, cause: Cause) -> None:
    """Take an order from a member whose it turned out not to be."""
    if order.standing is None or order.member is None:
        return
    _claim_first(work, order, order.member, off=True)
    work.stir(order.env, order.member, order.program, cause)
    uncount_order(work, order)


def _claim_first(work: WorkingSet, order: Order, member: int, *, off: bool) -> None:
    """Make an order the member's first where there is none; once it is off the next one can be."""
    membership = membership_of(work, (order.env, member, order.program))
    claimed = (membership.first_source, membership.first_ref)
    if claimed == (order.source, order.ref) and off:
        membership.first_source = membership.first_ref = None
    elif claimed == (None, None) and not off:
        membership.first_source, membership.first_ref = order.source, order.ref
    else:
        return
    work.memberships.mark(membership.key)
