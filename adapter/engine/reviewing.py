"""Where members stand, as two books are compared and as one is audited."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from adapter import ids
from adapter.book.counting import POINTS, amount_of
from adapter.book.membership import Membership, Standing, read_kept
from adapter.book.state import Balance
from adapter.book.working import WorkingSet
from adapter.clock import LATEST
from adapter.commands import Review
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.configuration import load_catalog
from adapter.store.rows import BALANCE_COLUMNS, MEMBERSHIP_COLUMNS, STANDING_COLUMNS, columns_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sqlalchemy import Column, Connection, Engine

    from adapter.catalog import Catalog
    from adapter.clock import Millis

Who = tuple[int, int]
"""(env, member)."""


def stale_members(engine: Engine, now: Millis) -> list[Review]:
    """Return commands for the members who were last reviewed by another version of their program."""
    m = t.memberships.c
    with engine.connect() as connection:
        catalog = load_catalog(connection)
        rows = connection.execute(select(m.env, m.member, m.program, m.version)).all()
    return [
        Review(env=row.env, member=row.member, program=row.program)
        for row in rows
        if row.version != catalog.version_at(row.env, row.program, now).version
    ]


def last_review(connection: Connection) -> Millis:
    """Return how far time has passed for any tier."""
    found = connection.execute(
        select(func.max(t.standings.c.reviewed_at), func.max(t.standings.c.since))
    ).one()
    return max(found[0] or 0, found[1] or 0)


def late_members(connection: Connection, until: Millis) -> set[Who]:
    """Return the members whose tiers the sweep had yet to look at: they are behind by right."""
    return _due(connection, t.memberships.c.next_due_at, until) | _due(
        connection, t.balances.c.next_due_at, until
    )


def late_birthdays(connection: Connection, until: Millis) -> set[Who]:
    """Return the members whose birthday the sweep had yet to credit."""
    return _due(connection, t.memberships.c.birthday_at, until)


def _due(connection: Connection, column: Column[Any], until: Millis) -> set[Who]:
    query = select(column.table.c.env, column.table.c.member).where(column <= until)
    return {(row.env, row.member) for row in connection.execute(query)}


def tiers_by_name(
    connection: Connection, called: Mapping[Who, tuple[str, ...]], late: Collection[tuple[str, ...]]
) -> dict[tuple[Any, ...], Any]:
    """Return the tiers that members are on, by what their shops call them; nothing of those who are late."""
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in connection.execute(select(t.standings)):
        whose = called.get((row.env, row.member), ("erased member",))
        if whose not in late:
            key = ("environment", row.env, whose, row.program, row.tier_group)
            found[key].append((row.tier, row.assigned_until))
    return {key: sorted(rows, key=str) for key, rows in found.items()}


def standing_kept(text: str | None) -> Any:
    """Return what an order keeps of its member's standing, without the ids of members."""
    kept = read_kept(text)
    return None if kept is None else (kept.stood, kept.counted)


# --- audit ------------------------------------------------------------------------------------------------------------

CHUNK = 500
_MEMBER = ("env", "member")


def check_standing(connection: Connection, catalog: Catalog) -> Iterator[str]:
    """Find tiers that are not where their history ended or where their measure is, and measures of no orders."""
    m = t.memberships.c
    rows = connection.execute(
        select(*columns_of(t.memberships, MEMBERSHIP_COLUMNS)).order_by(m.env, m.member, m.program)
    ).all()
    for start in range(0, len(rows), CHUNK):
        memberships = [Membership(*row) for row in rows[start : start + CHUNK]]
        keys = sorted({(one.env, one.member) for one in memberships})
        work = _work_of(connection, catalog, memberships, keys)
        yield from _check_histories(connection, keys)
        yield from _check_counts(connection, keys)
        for standing in list(work.standings.values()):
            yield from _check_tier(work, standing)


def _name(env: int, member: int) -> str:
    return f"member {ids.show('mem', member)} (environment {env})"


def _work_of(
    connection: Connection, catalog: Catalog, memberships: list[Membership], keys: list[Who]
) -> WorkingSet:
    work = WorkingSet(catalog, LATEST, lambda: 0)
    for membership in memberships:
        work.memberships.load(membership.key, membership)
    for row in select_by_keys(connection, t.standings, _MEMBER, keys, columns=STANDING_COLUMNS):
        standing = Standing(*row)
        work.standings.load(standing.key, standing)
    for row in select_by_keys(connection, t.balances, _MEMBER, keys, columns=BALANCE_COLUMNS):
        balance = Balance(*row)
        work.balances.load(balance.key, balance)
    for row in select_by_keys(connection, t.measures, _MEMBER, keys):
        work.measure(row.env, row.member, row.definition, row.unit)[row.day] = row.amount
    return work


def _check_histories(connection: Connection, keys: list[Who]) -> Iterator[str]:
    """Compare each standing with its history: it has no gap, and ends where the member is."""
    lines: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in select_by_keys(connection, t.tier_changes, _MEMBER, keys):
        lines[row.env, row.member, row.program, row.tier_group].append(row)
    for row in select_by_keys(connection, t.standings, _MEMBER, keys):
        history = sorted(lines[row.env, row.member, row.program, row.tier_group], key=lambda line: line.n)
        moved = [None, *(line.to_tier for line in history)]
        name = f"{_name(row.env, row.member)}: tier group {row.tier_group}"
        if [line.n for line in history] != list(range(1, row.changes + 1)):
            yield f"{name} has {row.changes} changes, its history {[line.n for line in history]}"
        elif [line.from_tier for line in history] != moved[:-1] or moved[-1] != row.tier:
            yield f"{name} is {row.tier}, its history says {moved[1:]}"


def _check_counts(connection: Connection, keys: list[Who]) -> Iterator[str]:
    """Compare the measures that orders make with what the orders say they count for."""
    says: Counter[tuple[Any, ...]] = Counter()
    columns = (*_MEMBER, "definition", "standing")
    for row in select_by_keys(
        connection, t.orders, _MEMBER, keys, columns=columns, where="t.standing IS NOT NULL"
    ):
        kept = read_kept(row.standing)
        for unit, day, amount in () if kept is None else kept.counted:
            says[row.env, row.member, row.definition, unit, day] += amount
    for row in select_by_keys(connection, t.measures, _MEMBER, keys):
        if row.unit != POINTS:
            said = says.pop((row.env, row.member, row.definition, row.unit, row.day), 0)
            if said != row.amount:
                yield f"{_name(row.env, row.member)}: counts {row.amount} {row.unit} on {row.day}, its orders {said}"
    for (env, member, _, unit, day), said in says.items():
        if said:
            yield f"{_name(env, member)}: counts nothing of {unit} on {day}, its orders {said}"


def _check_tier(work: WorkingSet, standing: Standing) -> Iterator[str]:
    """Compare a tier that moves in real time with its measure; where time moves it too, only the sweep knows."""
    membership = work.memberships.get(standing.key[:3])
    version = work.catalog.version_at(standing.env, standing.program, LATEST)
    group = next((one for one in version.program.tier_groups if one.name == standing.tier_group), None)
    stale = membership is None or membership.version != version.version
    if group is None or stale or group.rolling or standing.assigned_until is not None:
        return
    definition = work.catalog.measured_in(standing.env, standing.program, group)
    if definition is None:
        return
    amount = amount_of(work, group, (standing.env, standing.member, definition.id), 0)
    reached, here = group.reached(amount, definition.decimals), group.place(standing.tier)
    rule = group.upgrade if here is None or reached > here else group.downgrade
    if reached != here and rule == "real_time":
        said = group.shown(amount, definition.decimals)
        yield (
            f"{_name(standing.env, standing.member)}: tier group {group.name} is {standing.tier}, but {said} reach "
            f"{group.tiers[reached].name}"
        )
