"""Tiers as of now, and what moved them.

The book's own rules bring a member up to now on copies that nobody writes: what the sweep has not done yet is counted.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from adapter.book.counting import count_posted
from adapter.book.membership import Membership, Standing, TierChange
from adapter.book.tiers import Place, ladders_of, membership_of, place_in, review_tiers
from adapter.book.transfers import Cause, Change
from adapter.book.working import Member, WorkingSet
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.reading.balances import balance_now, balance_row
from adapter.store.reading.paging import Page, decode_cursor, page_of
from adapter.store.rows import MEMBER_COLUMNS, MEMBERSHIP_COLUMNS, STANDING_COLUMNS, columns_of

if TYPE_CHECKING:
    from adapter.catalog import Catalog
    from adapter.clock import Millis

_CHANGE_COLUMNS = tuple(field.name for field in fields(TierChange))


def places_of(connection: Connection, catalog: Catalog, whose: tuple[int, int], now: Millis) -> list[Place]:
    """Return where a member (env, id) stands in each tier group of the programs that the member takes part in."""
    work = WorkingSet(catalog, now, lambda: 0)
    _load(connection, work, whose)
    found = []
    for env, name in sorted(catalog.programs):
        key = (*whose, name)
        if env != whose[0] or not _takes_part(work, key):
            continue
        program = catalog.version_at(env, name, now).program
        review_tiers(work, key, program, Cause("time.elapsed", now))
        found += [place_in(ladder) for ladder in ladders_of(work, membership_of(work, key), program)]
    return found


def tier_now(
    connection: Connection, catalog: Catalog, whose: tuple[int, int], program: str, now: Millis
) -> str | None:
    """Return a member's tier in the first group of a program; None where there is none."""
    groups = catalog.version_at(whose[0], program, now).program.tier_groups
    places = places_of(connection, catalog, whose, now) if groups else []
    mine = (one.tier for one in places if (one.program, one.group) == (program, groups[0].name))
    return next(mine, None)


def _takes_part(work: WorkingSet, key: tuple[int, int, str]) -> bool:
    """Return whether a member has a membership, or points from before the program asked for one."""
    env, _, name = key
    if not work.catalog.keeps_standing(env, name, work.now):
        return False
    return work.memberships.get(key) is not None or any(
        work.catalog.definitions[env, balance.definition].program == name
        for balance in work.balances.values()
    )


def _load(connection: Connection, work: WorkingSet, whose: tuple[int, int]) -> None:
    key, own = ("env", "member"), [whose]
    for row in select_by_keys(connection, t.members, ("env", "id"), own, columns=MEMBER_COLUMNS):
        work.members.load(whose, Member(*row))
    for row in select_by_keys(connection, t.memberships, key, own, columns=MEMBERSHIP_COLUMNS):
        membership = Membership(*row)
        work.memberships.load(membership.key, membership)
    for row in select_by_keys(connection, t.standings, key, own, columns=STANDING_COLUMNS):
        standing = Standing(*row)
        work.standings.load(standing.key, standing)
    for row in select_by_keys(connection, t.measures, key, own):
        work.measure(*whose, row.definition, row.unit)[row.day] = row.amount
    _load_balances(connection, work, whose)


def _load_balances(connection: Connection, work: WorkingSet, whose: tuple[int, int]) -> None:
    """Load the balances that measures are of, as of now; what time has posted counts as posted today."""
    env, member = whose
    columns = t.balances.c
    query = select(columns.definition).where(columns.env == env, columns.member == member)
    for definition in connection.execute(query).scalars().all():
        stored = balance_row(connection, env, member, definition)
        balance, _ = balance_now(connection, env, member, definition, work.now)
        work.balances.load(balance.key, balance)
        program_at = partial(work.program_of, env, definition)
        change = Change(balance, Cause("time.elapsed", work.now), work.now, program_at)
        change.earned = stored.earned
        count_posted(work, change)


def list_tier_changes(
    connection: Connection, whose: tuple[int, int], *, limit: int, cursor: str | None
) -> Page[TierChange]:
    """Return a page of the history of a member's tiers, newest first."""
    changes = t.tier_changes.c
    query = select(*columns_of(t.tier_changes, _CHANGE_COLUMNS)).where(
        changes.env == whose[0], changes.member == whose[1]
    )
    if cursor is not None:
        query = query.where(changes.id < decode_cursor(cursor, int)[0])
    rows = connection.execute(query.order_by(changes.id.desc()).limit(limit + 1))
    return page_of([TierChange(*row) for row in rows], limit, lambda one: (one.id,))
