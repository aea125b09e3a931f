"""What members reached, counted as it comes about: points, money, and what orders earned in a window of caps.

A measure is a sum by day. Its units:

    points          posted, less clawed back, on the day on which the book did it
    EUR             paid for orders, less refunds, on the day of the fact that posts an order's points
    awards/month    what the orders of a window keep of their awards, on the window's first day

Money and awards are counted order by order, and each order keeps what it counted for: news of it counts the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter.book.membership import Kept, dump_kept, read_kept
from adapter.book.orders import Target, awarded_at, totals_of
from adapter.program.days import ALWAYS, day_of, months_after, window_start
from adapter.program.earning import basis_of, kept_of
from adapter.program.reasons import Reason

if TYPE_CHECKING:
    from adapter.book.state import Order
    from adapter.book.transfers import Change
    from adapter.book.working import WorkingSet
    from adapter.clock import Millis
    from adapter.program.model import Program
    from adapter.program.tiers import TierGroup

POINTS = "points"
SPEND_MAX = 10**15
"""Most that one order counts, in millionths, whatever the shop says it costs: sums of it fit the database."""
VETOES = (
    Reason.TEST_ORDER,
    Reason.CANCELLED,
    Reason.PROGRAM_NOT_PUBLISHED,
    Reason.PROGRAM_PAUSED,
    Reason.PROGRAM_ENDED,
    Reason.UNKNOWN_MEMBER,
    Reason.NOT_ENROLLED,
)


def count_posted(work: WorkingSet, change: Change) -> None:
    """Count what a change posted or clawed back, where a tier group asks for the sum of some months."""
    env, member, definition = change.key
    name = work.catalog.definitions[env, definition].program
    program = work.catalog.version_at(env, name, change.now).program
    if not program.tier_groups:
        return
    asked = (
        work.catalog.measured_in(env, name, group)
        for group in program.tier_groups
        if group.rolling and not group.of_spend
    )
    if any(one is not None and one.id == definition for one in asked):
        day = day_of(change.now, program.timezone)
        work.add_measure((env, member, definition, POINTS, day), change.balance.earned - change.earned)


def recount_order(work: WorkingSet, order: Order, target: Target, program: Program) -> None:
    """Count the difference that news of an order makes to its member's measures."""
    kept = read_kept(order.standing)
    if kept is not None and kept.stood is not None:
        _exchange(work, order, kept, _counted(order, target, program))


def uncount_order(work: WorkingSet, order: Order) -> None:
    """Take an order out of its member's measures: it is somebody else's."""
    kept = read_kept(order.standing)
    if kept is not None and kept.stood is not None and order.member is not None:
        _exchange(work, order, kept, ())
        order.standing = dump_kept(Kept(left=kept.left | {order.member: kept.stood}))


def _exchange(work: WorkingSet, order: Order, kept: Kept, counted: tuple[tuple[str, int, int], ...]) -> None:
    assert order.member is not None
    assert order.definition is not None
    whose = (order.env, order.member, order.definition)
    for sign, entries in ((-1, kept.counted), (1, counted)):
        for unit, day, amount in entries:
            work.add_measure((*whose, unit, day), sign * amount)
    order.standing = dump_kept(msgspec.structs.replace(kept, counted=counted))


def _counted(order: Order, target: Target, program: Program) -> tuple[tuple[str, int, int], ...]:
    """Return what an order counts for by its own program version: (unit, day, amount)."""
    assert order.placed_at is not None
    zone = program.timezone
    entries = [
        (f"awards/{cap.window}", window_start(order.placed_at, cap.window, zone), target.retained)
        for cap in program.earning.caps
    ]
    wanted = [group for group in program.tier_groups if group.currency == order.currency and group.of_spend]
    spent = _spent(order, program) if wanted and target.reason not in VETOES else None
    if spent is not None and order.currency is not None:
        at, amount = spent
        days = {day_of(at, zone) if group.rolling else ALWAYS for group in wanted}
        entries += [(order.currency, day, amount) for day in sorted(days)]
    return tuple(entry for entry in entries if entry[2])


def _spent(order: Order, program: Program) -> tuple[Millis, int] | None:
    """Return when an order counts as bought, and how much of it, in millionths; None while it does not."""
    totals = totals_of(order.facts, order.source)
    at = None if totals is None else awarded_at(order.facts, totals, program)
    if totals is None or at is None:
        return None
    basis = basis_of(totals, program.earning)
    kept = min(kept_of(basis, one.refunds.values(), totals) for one in order.facts.sources.values())
    return at, min(kept, SPEND_MAX)


def room_for(work: WorkingSet, order: Order, member: int, program: Program) -> int | None:
    """Return how many points the caps of its windows leave for an order, in smallest units; None without caps."""
    assert order.placed_at is not None
    assert order.definition is not None
    unit = 10 ** work.catalog.definitions[order.env, order.definition].decimals
    rooms = []
    for cap in program.earning.caps:
        days = work.measure(order.env, member, order.definition, f"awards/{cap.window}")
        earned = days.get(window_start(order.placed_at, cap.window, program.timezone), 0)
        rooms.append(max(cap.points * unit - earned, 0))
    return min(rooms, default=None)


def amount_of(work: WorkingSet, group: TierGroup, whose: tuple[int, int, int], day: int) -> int:
    """Return a member's measure for a tier group as of a day. `whose` is the balance that it is of."""
    if group.measure in ("lifetime_points", "balance"):
        balance = work.balances.get(whose)
        if balance is None:
            return 0
        return balance.earned if group.measure == "lifetime_points" else balance.held
    days = work.measure(*whose, group.currency or POINTS)
    if not group.rolling:
        return days.get(ALWAYS, 0)
    return sum(amount for begun, amount in days.items() if begun and day < last_day(group, begun))


def last_day(group: TierGroup, begun: int) -> int:
    """Return the first day on which what was reached on a day no longer counts."""
    assert group.window_months is not None
    return months_after(begun, group.window_months)
