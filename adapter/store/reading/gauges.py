"""Figures about the whole database for the metrics: only what an index answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from adapter.store import tables as t
from adapter.store.reading.kept import removed_rows
from adapter.store.reading.lags import Lags, read_lags

if TYPE_CHECKING:
    from adapter.clock import Millis

Label = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gauges:
    """What waits, by label values. Delivered messages are not counted here: they only ever grow."""

    deliveries: dict[Label, int]  # (tenant, mode, state)
    oldest_due_s: float  # how long the delivery that is due longest has waited
    events: dict[Label, int]  # (tenant, mode, state), all but the applied
    orders_without_member: dict[Label, int]  # (tenant, mode)
    balances: dict[
        Label, int
    ]  # (tenant, mode, program, definition, account): sums over all members, smallest units
    members: dict[Label, int]  # (tenant, mode)
    removed: dict[Label, int]  # (tenant, mode, table): rows that retention removed, ever
    lags: Lags


def read_gauges(connection: Connection, now: Millis) -> Gauges:
    """Read all figures."""
    named = {row.id: (row.tenant, row.mode) for row in connection.execute(select(t.environments))}
    oldest = connection.execute(
        select(func.min(t.deliveries.c.next_attempt_at)).where(t.deliveries.c.state.in_(("due", "claimed"))),
    ).scalar_one()
    return Gauges(
        deliveries=_deliveries(connection, named),
        oldest_due_s=0.0 if oldest is None else max(now - int(oldest), 0) / 1000,
        events=_events(connection, named),
        orders_without_member=_parked(connection, named),
        balances=_balances(connection, named),
        members=_members(connection, named),
        removed={(*named[env], name): rows for (env, name), rows in removed_rows(connection).items()},
        lags=read_lags(connection, named, now),
    )


Named = dict[int, tuple[str, str]]


def _deliveries(connection: Connection, named: Named) -> dict[Label, int]:
    """Count what is under way and what is dead, each by its partial index."""
    columns = t.deliveries.c
    found: dict[Label, int] = {}
    for states in (("due", "claimed"), ("dead", "held")):
        query = select(columns.env, columns.state, func.count()).where(columns.state.in_(states))
        for env, state, count in connection.execute(query.group_by(columns.env, columns.state)):
            found[*named[env], state] = count
    return found


def _events(connection: Connection, named: Named) -> dict[Label, int]:
    columns = t.events.c
    query = select(columns.env, columns.state, func.count()).where(columns.state != "applied")
    rows = connection.execute(query.group_by(columns.env, columns.state))
    return {(*named[env], state): count for env, state, count in rows}


def _parked(connection: Connection, named: Named) -> dict[Label, int]:
    columns = t.orders.c
    found: dict[Label, int] = {}
    for env, label in named.items():
        query = select(func.count()).select_from(t.orders).where(columns.env == env, columns.member.is_(None))
        found[label] = connection.execute(query).scalar_one()
    return found


def _balances(connection: Connection, named: Named) -> dict[Label, int]:
    """Return sums that each have one unit; what one definition counts is not to be added to another's."""
    columns, defined = t.balances.c, t.definitions.c
    accounts = ("pending", "available", "reserved", "owed")
    sums = (func.sum(columns[account]) for account in accounts)
    query = select(columns.env, columns.definition, *sums).group_by(columns.env, columns.definition)
    units = {
        (row.env, row.id): (row.program, row.name)
        for row in connection.execute(select(defined.env, defined.id, defined.program, defined.name))
    }
    return {
        (*named[row[0]], *units[row[0], row[1]], account): int(amount)
        for row in connection.execute(query)
        for account, amount in zip(accounts, row[2:], strict=True)
    }


def _members(connection: Connection, named: Named) -> dict[Label, int]:
    columns = t.members.c
    query = select(columns.env, func.count()).where(columns.state == "active").group_by(columns.env)
    return {named[env]: count for env, count in connection.execute(query)}
