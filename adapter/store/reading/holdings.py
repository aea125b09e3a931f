"""Members with the lots that they can use, in the order of their ids, few at a time."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from adapter.book.state import Balance, Lot
from adapter.store import tables as t
from adapter.store.reading.balances import catch_up
from adapter.store.reading.members import MemberRow, members_after
from adapter.store.rows import BALANCE_COLUMNS, LOT_COLUMNS, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.clock import Millis

CHUNK = 500
Held = tuple[MemberRow, list[Lot], list[Balance]]
"""A member, the lots with usable points in the order of their ends, and the balances; all as of now."""


def holdings(connection: Connection, env: int, now: Millis) -> Iterator[Held]:
    """Yield every active member with what they have, whether or not the sweep has come by."""
    after = 0
    while members := members_after(connection, env, after, CHUNK):
        numbers = [row.id for row in members]
        lots, balances = _lots(connection, env, numbers), _balances(connection, env, numbers)
        for row in members:
            theirs = {lot.id: lot for lot in lots[row.id]}
            for balance in balances[row.id]:
                if balance.next_due_at is not None and balance.next_due_at <= now:
                    theirs |= {lot.id: lot for lot in catch_up(connection, balance, now)}
            usable = [lot for lot in theirs.values() if lot.available and lot.live(now)]
            yield row, sorted(usable, key=lambda lot: (lot.definition, lot.id)), balances[row.id]
        after = members[-1].id


def _lots(connection: Connection, env: int, members: list[int]) -> dict[int, list[Lot]]:
    lots = t.lots.c
    found: dict[int, list[Lot]] = defaultdict(list)
    query = select(*columns_of(t.lots, LOT_COLUMNS)).where(
        lots.env == env, lots.member.in_(members), lots.available > 0
    )
    for row in connection.execute(query):
        found[row.member].append(Lot(*row))
    return found


def _balances(connection: Connection, env: int, members: list[int]) -> dict[int, list[Balance]]:
    columns = t.balances.c
    found: dict[int, list[Balance]] = defaultdict(list)
    query = select(*columns_of(t.balances, BALANCE_COLUMNS)).where(
        columns.env == env, columns.member.in_(members)
    )
    for row in connection.execute(query.order_by(columns.member, columns.definition)):
        found[row.member].append(Balance(*row))
    return found
