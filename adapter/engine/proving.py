"""Audit's part about redemptions: each agrees with the transactions that it owns, and with what its orders say."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, text, tuple_

from adapter import ids
from adapter.book import facts as order_facts
from adapter.book.links import read_linked, says_of
from adapter.book.state import Redemption, RedemptionState
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.rows import REDEMPTION_COLUMNS, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK = 500


def check_redemptions(connection: Connection) -> Iterator[str]:
    """Yield every violation as one line."""
    key = (t.redemptions.c.env, t.redemptions.c.id)
    query = select(*columns_of(t.redemptions, REDEMPTION_COLUMNS)).order_by(*key).limit(CHUNK)
    chunk: list[Redemption] = []
    while True:
        rest = query.where(tuple_(*key) > (chunk[-1].env, chunk[-1].id)) if chunk else query
        chunk = [Redemption(*row) for row in connection.execute(rest)]
        if not chunk:
            break
        yield from _check_chunk(connection, chunk)
    strays = (
        "SELECT o.env, o.redemption FROM transactions o WHERE o.redemption IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM redemptions r WHERE r.env = o.env AND r.id = o.redemption)"
    )
    for env, number in connection.execute(text(strays)):
        yield f"redemption {ids.show('rdm', number)} (environment {env}): has transactions but is not there"
    twice = "SELECT env, code FROM redemptions WHERE code IS NOT NULL GROUP BY env, code HAVING count(*) > 1"
    for env, code in connection.execute(text(twice)):
        yield f"code {code} (environment {env}): more than one redemption has it"


def _check_chunk(connection: Connection, chunk: Sequence[Redemption]) -> Iterator[str]:
    owned: dict[tuple[int, int], list[Any]] = defaultdict(list)
    keys = {(one.env, one.id) for one in chunk}
    where = "t.redemption IS NOT NULL"
    for row in select_by_keys(connection, t.transactions, ("env", "redemption"), keys, where=where):
        owned[row.env, row.redemption].append(row)
    used = {(one.env, entry.source, entry.ref): None for one in chunk for entry in read_linked(one.linked)}
    columns = ("env", "source", "ref", "facts")
    orders = {
        (row.env, row.source, row.ref): says_of(order_facts.load(row.facts), row.source)
        for row in select_by_keys(connection, t.orders, columns[:3], used, columns=columns)
    }
    for one in chunk:
        name = f"redemption {ids.show('rdm', one.id)} (environment {one.env})"
        for violation in (*_check_one(one, owned[one.env, one.id]), *_check_orders(one, orders)):
            yield f"{name}: {violation}"


def _check_one(one: Redemption, transactions: list[Any]) -> Iterator[str]:
    mine = [row for row in transactions if row.definition == one.definition]
    pending = [row for row in mine if row.state == "pending"]
    sums: Counter[str] = Counter()
    for row in mine:
        if row.state == "completed":
            sums[row.kind] += row.amount
    spent, due = sums["debit"] - sums["credit"], one.cost - one.returned if one.spent else 0
    if spent != due:
        yield f"is {one.state} and should have spent {due}, but its transactions spent {spent}"
    held = [row for row in pending if row.id == one.transaction and row.amount == one.cost]
    waits = one.state == RedemptionState.PENDING
    if len(pending) != waits or len(held) != waits:
        yield f"is {one.state}, but {len(pending)} of its transactions are pending"
    if waits and held and held[0].expires_at != one.expires_at:
        yield f"waits until {one.expires_at}, but its hold until {held[0].expires_at}"
    first = next((row for row in mine if row.id == one.transaction), None)
    if first is None or (first.kind, first.amount, first.member) != ("debit", one.cost, one.member):
        yield f"costs {one.cost}, but its transaction is not a debit of that"
    if (one.code is not None) != (one.kind == "discount"):
        yield f"is a redemption of the kind {one.kind}, and its code is {one.code}"


def _check_orders(one: Redemption, orders: dict[tuple[int, str, str], str]) -> Iterator[str]:
    if one.kind != "discount":
        return
    for entry in read_linked(one.linked):
        says = orders.get((one.env, entry.source, entry.ref), "open")
        if says != entry.says:
            yield f"has heard {entry.says} of order {entry.source}:{entry.ref}, which says {says}"
