"""Balances of many members at once: a fixed number of queries, however many are asked for.

Only a balance that time has caught up with, and that the sweep has not come by yet, is read once more by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from adapter.book.state import Balance
from adapter.errors import AdapterError
from adapter.store import tables as t
from adapter.store.reading.balances import Expiring, balance_now, expiring, if_idle
from adapter.store.reading.definitions import definition_meant
from adapter.store.reading.members import find_members
from adapter.store.rows import BALANCE_COLUMNS, columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.catalog import Catalog, Definition
    from adapter.clock import Millis

_COLUMNS = columns_of(t.balances, BALANCE_COLUMNS)
Account = tuple[int, int]
"""Whose, and of which definition."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member's balance as of now."""

    definition: Definition
    balance: Balance
    expiring: Expiring | None  # None where nobody asked for it


class Roster:
    """What is known of the members that somebody asked for together, by the names by which they asked."""

    def __init__(
        self, connection: Connection, catalog: Catalog, env: int, *, now: Millis, horizon: Millis
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._env = env
        self._now = now
        self._horizon = horizon
        self._members: dict[str, int | AdapterError] = {}
        self._balances: dict[Account, Balance] = {}
        self._ends: dict[Account, Expiring] = {}

    def read(self, references: Sequence[str]) -> None:
        """Read what there is of these members."""
        self._members = find_members(self._connection, self._env, references)
        found = sorted({one for one in self._members.values() if isinstance(one, int)})
        columns = t.balances.c
        query = select(*_COLUMNS).where(columns.env == self._env, columns.member.in_(found))
        for row in self._connection.execute(query):
            balance = Balance(*row)
            self._balances[balance.member, balance.definition] = balance
        self._ends = self._expiring(t.lots.c.member.in_(found))

    def entry(self, reference: str, *, program: str | None = None, name: str | None = None) -> Entry:
        """Return a member's balance. Raises what asking for it alone would raise."""
        member = self._members[reference]
        if isinstance(member, AdapterError):
            raise member
        definition = definition_meant(
            self._catalog, self._env, lambda: self._held_by(member), program=program, name=name
        )
        key = (member, definition.id)
        balance = self._balances.get(key, Balance(self._env, *key))
        if balance.next_due_at is not None and balance.next_due_at <= self._now:
            return self._caught_up(member, definition)
        ends = if_idle(self._ends.get(key, Expiring(0, None)), balance, self._horizon)
        return Entry(definition, balance, ends)

    def _caught_up(self, member: int, definition: Definition) -> Entry:
        balance, passed = balance_now(self._connection, self._env, member, definition.id, self._now)
        ends = expiring(self._connection, balance, passed, self._now, self._horizon)
        return Entry(definition, balance, ends)

    def _held_by(self, member: int) -> set[int]:
        return {definition for whose, definition in self._balances if whose == member}

    def _expiring(self, theirs: ColumnElement[bool]) -> dict[Account, Expiring]:
        lots = t.lots.c
        soon: Any = func.sum(lots.available).filter(lots.expires_at < self._horizon)
        query = (
            select(lots.member, lots.definition, func.coalesce(soon, 0), func.min(lots.expires_at))
            .where(lots.env == self._env, theirs, lots.available > 0, lots.expires_at > self._now)
            .where(or_(lots.due_at.is_(None), lots.due_at > self._now))
            .group_by(lots.member, lots.definition)
        )
        return {
            (row.member, row.definition): Expiring(int(row[2]), int(row[3]))
            for row in self._connection.execute(query)
        }
