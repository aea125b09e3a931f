"""Where members stand, as two books are compared and as one is audited."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from adapter.commands import Review
from adapter.store import tables as t
from adapter.store.configuration import load_catalog

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Column, Connection, Engine

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
            found[key].append((row.tier, row.since, row.assigned_until))
    return {key: sorted(rows, key=str) for key, rows in found.items()}
