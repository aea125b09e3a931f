"""Balances of all the customers that one source knows, in the order and the part of it that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, and_, func, select

from adapter.book.state import Balance
from adapter.store import tables as t
from adapter.store.reading.balances import catch_up
from adapter.store.rows import BALANCE_COLUMNS, columns_of

if TYPE_CHECKING:
    from adapter.clock import Millis

Order = Literal["enrolment", "updated_at", "posted"]


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of the list is asked for, in which order."""

    order: Order
    rising: bool
    limit: int
    offset: int


def balances_of_customers(
    connection: Connection, env: int, source: str, definition: int, part: Part, *, now: Millis
) -> tuple[list[tuple[Balance, Millis]], int]:
    """Return some of these balances as of now, each with when it changed last, and how many customers there are.

    Who never had a point has a balance of zero. The order is that of what is stored: where the sweep is late, so is it.
    """
    members, kept = t.members.c, t.balances.c
    changed_at = func.coalesce(kept.updated_at, members.created_at)
    known = select(t.identities.c.member).where(t.identities.c.env == env, t.identities.c.source == source)
    customers = and_(members.env == env, members.state == "active", members.id.in_(known))
    mine = and_(kept.env == env, kept.member == members.id, kept.definition == definition)
    by = {
        "enrolment": members.id,
        "updated_at": changed_at,
        "posted": func.coalesce(kept.available + kept.reserved, 0),
    }[part.order]
    query = select(members.id, changed_at, *columns_of(t.balances, BALANCE_COLUMNS)).where(customers)
    query = query.select_from(t.members.outerjoin(t.balances, mine)).limit(part.limit).offset(part.offset)
    places = (by, members.id) if part.rising else (by.desc(), members.id.desc())
    found: list[tuple[Balance, Millis]] = []
    for row in connection.execute(query.order_by(*places)).all():
        balance = Balance(*row[2:]) if row[2] is not None else Balance(env, row[0], definition)
        if balance.next_due_at is not None and balance.next_due_at <= now:
            catch_up(connection, balance, now)
        found.append((balance, row[1]))
    number = connection.execute(select(func.count()).select_from(t.members).where(customers)).scalar_one()
    return found, number
