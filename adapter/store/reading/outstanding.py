"""Sums over the whole book for reports: what is outstanding by expiry, and what went where in which month.

Both are read one range of members at a time, along the primary keys, and added up here; so neither a statement nor
memory grows with the book. Instants come out of the database in quarters of an hour, which is as fine as time zones
are, and become months of the program's time zone here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from adapter.book.state import Account
from adapter.clock import to_datetime
from adapter.store import tables as t
from adapter.store.allocated import PLACE
from adapter.store.reading.holders import Range, ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter.clock import Millis

QUARTER_MS = 900_000
NEVER = "never"
PARTS = ("pending", "available", "reserved")


@dataclass(slots=True)
class Sums:
    """What one definition's points add up to, in smallest units."""

    expiring: dict[str, Counter[str]] = field(default_factory=dict)  # by month of expiry, or `never`: by part
    undecided: int = 0  # pending, and a fact is awaited before their expiry is known
    lapsed: int = 0  # available in the book, but over: the sweep has not come by
    flows: dict[str, Counter[str]] = field(default_factory=dict)  # by month of posting: net into each account

    def total(self, part: str) -> int:
        """Return what is outstanding of a part, whenever it expires."""
        held = sum(parts[part] for parts in self.expiring.values())
        return held + self.undecided if part == "pending" else held

    def account(self, account: Account) -> int:
        """Return the net of everything that was posted to an account; `owed` is kept from the other side."""
        net = sum(month[account] for month in self.flows.values())
        return -net if account is Account.OWED else net


def add_up(
    connection: Connection,
    env: int,
    zones: Mapping[int, str],
    *,
    now: Millis,
    as_of: Millis | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> dict[int, Sums]:
    """Return the sums of each definition in `zones`, which gives the time zone of its months.

    Without `as_of` the lots are read as they are; with it they are made again from what was posted until then
    (inclusive), each with the expiry that is known of it today.
    """
    found = {number: Sums() for number in zones}
    for part in ranges(connection, env):
        for number, at, over, *amounts in connection.execute(_lots(env, part, now, as_of)):
            if number in found:
                _add_lots(found[number], zones[number], (at, bool(over)), [int(one) for one in amounts])
        for number, at, origin, target, amount in connection.execute(_flows(env, part, as_of)):
            if number in found:
                month = found[number].flows.setdefault(month_of(int(at), zones[number]), Counter())
                month[origin] -= int(amount)
                month[target] += int(amount)
        progress(1)
    return found


def _add_lots(sums: Sums, zone: str, when: tuple[int | None, bool], amounts: list[int]) -> None:
    at, over = when
    pending, available, reserved = amounts
    if at is None:
        sums.undecided += pending
        pending = 0
    if over:
        sums.lapsed += available
        available = 0
    if not (pending or available or reserved):
        return
    month = sums.expiring.setdefault(NEVER if at is None else month_of(at, zone), Counter())
    month.update(pending=pending, available=available, reserved=reserved)


@lru_cache(maxsize=65_536)
def month_of(quarter: int, zone: str) -> str:
    """Return the month of a quarter of an hour since 1970: `2026-11`."""
    return f"{to_datetime(quarter * QUARTER_MS).astimezone(ZoneInfo(zone)):%Y-%m}"


def _within(table: Any, env: int, members: Range) -> ColumnElement[bool]:
    after, upto = members
    return and_(table.c.env == env, table.c.member > after, table.c.member <= upto)


def _quarter(at: ColumnElement[int]) -> ColumnElement[int]:
    return at // literal_column(str(QUARTER_MS), Integer)  # no parameter: PostgreSQL groups by equal text


def _net(table: Any, account: str, amount: ColumnElement[int]) -> ColumnElement[int]:
    moved = case((table.c.to_account == account, amount), (table.c.from_account == account, -amount), else_=0)
    return func.sum(moved)


_OWNER = ("env", "member", "definition")


def _ends() -> ColumnElement[int]:
    """Return when a lot's points end: by themselves, or before that because their member does nothing."""
    lots, idle_at = t.lots.c, t.balances.c.idle_at
    sooner = or_(lots.expires_at.is_(None), lots.expires_at > idle_at)
    return case((and_(idle_at.is_not(None), lots.available > 0, sooner), idle_at), else_=lots.expires_at)


def _lots(env: int, members: Range, now: Millis, as_of: Millis | None) -> Any:
    """Select (definition, expiry in quarters, whether over, pending, available, reserved)."""
    lots, balances = t.lots, t.balances
    ends = _ends()
    over = case((ends <= literal_column(str(now if as_of is None else as_of), BigInteger), 1), else_=0)
    keys = (lots.c.definition, _quarter(ends), over)
    whose = and_(*(balances.c[name] == lots.c[name] for name in _OWNER))
    if as_of is None:
        query = select(*keys, *(func.sum(lots.c[part]) for part in PARTS)).select_from(lots)
        return query.join(balances, whose).where(_within(lots, env, members)).group_by(*keys)
    given, moved = t.allocations, t.transfers
    named = [key.label(name) for key, name in zip(keys, ("definition", "quarter", "over"), strict=True)]
    of_transfer = and_(*(moved.c[name] == given.c[name] for name in PLACE))

    def made(names: Any, amount: ColumnElement[int], origin: Any) -> Any:
        """Make the lots again that a table names: they are the sums of what it says they gave and took."""
        theirs = and_(*(lots.c[name] == names.c[name] for name in _OWNER), lots.c.id == names.c.lot)
        return (
            select(*named, *(_net(moved, part, amount).label(part) for part in PARTS))
            .select_from(origin)
            .join(lots, theirs)
            .join(balances, whose)
            .where(_within(names, env, members), moved.c.posted_at <= as_of)
            .group_by(*keys)
        )

    apart = made(given, given.c.amount, given.join(moved, of_transfer))
    both = union_all(made(moved, moved.c.amount, moved), apart).subquery("both").c
    same = (both.definition, both.quarter, both.over)
    return select(*same, *(func.sum(both[part]) for part in PARTS)).group_by(*same)


def _flows(env: int, members: Range, as_of: Millis | None) -> Any:
    """Select (definition, posting in quarters, from, to, amount)."""
    moved = t.transfers
    keys = (moved.c.definition, _quarter(moved.c.posted_at), moved.c.from_account, moved.c.to_account)
    query = select(*keys, func.sum(moved.c.amount)).where(_within(moved, env, members)).group_by(*keys)
    return query if as_of is None else query.where(moved.c.posted_at <= as_of)
