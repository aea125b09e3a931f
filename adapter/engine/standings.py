"""Load where the members of a batch stand: only for environments in which some program asks for it.

Of the measures only those days are loaded that a decision of this batch can look at: the windows of the tier groups as
of now, and the windows of the caps that the batch's orders were placed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.membership import Membership, Standing
from adapter.program.days import ALWAYS, Day, day_of, months_after, window_start
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.rows import MEMBERSHIP_COLUMNS, STANDING_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from adapter.book.working import WorkingSet
    from adapter.clock import Millis
    from adapter.commands import RecordEvent
    from adapter.program.model import Program

_WHOSE = ("env", "member")
_LATE_DAYS = 62
"""How late the sweep may be and still see on which day something dropped out of a window."""


def load_standing(
    connection: Connection, work: WorkingSet, events: Sequence[RecordEvent], whole: set[tuple[int, int]]
) -> None:
    """Load memberships, tiers and measures of the members that the batch touches; all days of those of `whole`."""
    programs = [key for key in work.catalog.programs if work.catalog.keeps_standing(*key, work.now)]
    asking = {env for env, _ in programs}
    members = {key for key, _ in work.members.items() if key[0] in asking}
    if not members:
        return
    for row in select_by_keys(
        connection, t.memberships, _WHOSE, members, columns=MEMBERSHIP_COLUMNS, lock=True
    ):
        membership = Membership(*row)
        work.memberships.load(membership.key, membership)
    for row in select_by_keys(connection, t.standings, _WHOSE, members, columns=STANDING_COLUMNS):
        standing = Standing(*row)
        work.standings.load(standing.key, standing)
    _load_measures(connection, work, members, whole, _first_day(work, events))
    _load_ordered(
        connection,
        work,
        {
            (*member, name)
            for member in members
            for env, name in programs
            if env == member[0] and work.memberships.get((*member, name)) is None
        },
    )


def _load_measures(
    connection: Connection,
    work: WorkingSet,
    members: set[tuple[int, int]],
    whole: set[tuple[int, int]],
    first: Day | None,
) -> None:
    if first is None:
        return
    days = f"(t.day = {ALWAYS} OR t.day >= {int(first)})"
    rows = select_by_keys(connection, t.measures, _WHOSE, members - whole, where=days)
    for row in (*rows, *select_by_keys(connection, t.measures, _WHOSE, members & whole)):
        work.measure(row.env, row.member, row.definition, row.unit)[row.day] = row.amount


def _first_day(work: WorkingSet, events: Sequence[RecordEvent]) -> Day | None:
    """Return the first day that a decision can look at; None where no program counts anything."""
    versions = [version.program for versions in work.catalog.programs.values() for version in versions]
    days = [day for program in versions for day in _window_days(program, work.now)]
    caps = {(cap.window, program.timezone) for program in versions for cap in program.earning.caps}
    if caps:
        placed = [work.now, *_placed(events)]
        placed += [order.placed_at for order in work.orders.values() if order.placed_at is not None]
        days += [window_start(min(placed), window, zone) or day_of(work.now, zone) for window, zone in caps]
    return min(days, default=None)


def _window_days(program: Program, now: Millis) -> Iterator[Day]:
    today = day_of(now, program.timezone)
    for group in program.tier_groups:
        if group.window_months is not None:
            yield months_after(today, -group.window_months) - _LATE_DAYS
        elif group.of_spend:
            yield today


def _placed(events: Sequence[RecordEvent]) -> Iterator[Millis]:
    """Yield the instants at which the orders of these events may have been placed."""
    for command in events:
        for event in command.events:
            if event.placed_at is not None:
                yield event.placed_at
            if event.totals is not None:
                yield event.totals.version


def _load_ordered(connection: Connection, work: WorkingSet, strangers: set[tuple[int, int, str]]) -> None:
    """Find an order of those who ordered before a program asked for first orders; looked for once each."""
    oldest = (
        "(t.source, t.ref) = (SELECT n.source, n.ref FROM orders n WHERE n.env = k.env AND n.member = k.member "
        "AND n.program = k.program AND n.state NOT IN ('cancelled', 'waiting', 'parked') "
        "ORDER BY n.source, n.ref LIMIT 1)"
    )
    keys, columns = ("env", "member", "program"), ("env", "member", "program", "source", "ref")
    for row in select_by_keys(connection, t.orders, keys, strangers, columns=columns, where=oldest):
        work.ordered[row.env, row.member, row.program] = (row.source, row.ref)
