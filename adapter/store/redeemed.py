"""Redemptions as a batch needs them: found by what links orders to them, and the lots that their points came from."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from adapter.book.lots import turn_of
from adapter.book.state import Account, Lot, Transaction
from adapter.store import tables as t
from adapter.store.allocated import ASKED, Place, allocated
from adapter.store.bulk import by_keys, for_each, listed_keys, select_by_keys
from adapter.store.pipeline import Asking, Query
from adapter.store.rows import LOT_COLUMNS, TRANSACTION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import Connection

    from adapter.book.working import Link

_KEY = ("env", "member", "definition")
_TAKES = (Account.RESERVED, Account.REDEEMED)
_TAKEN_FROM = (
    Account.AVAILABLE,
    Account.OWED,
    Account.MOVED,
)  # the last: held by somebody who was merged since
_LINKED_BY = {
    "id": ("env", "id"),
    "code": ("env", "code"),
    "payment": ("env", "payment"),
    "order": ("env", "order_source", "order_ref"),
}
"""By kind of link, the columns that it is looked for in."""


def linked_by(connection: Connection, links: Iterable[Link]) -> Query | None:
    """Return what asks for the redemptions that these links name, each with the balance that it spends from.

    One statement, without a lock: they are read again once their balances are locked.
    """
    by_kind: dict[str, set[tuple[int | str, ...]]] = defaultdict(set)
    for env, kind, name in links:
        key: tuple[int | str, ...] = (int(name),) if kind == "id" else (name,)
        by_kind[kind].add((env, *(name.split(":", 1) if kind == "order" else key)))
    parts: list[str] = []
    values: list[Any] = []
    for kind, keys in sorted(by_kind.items()):
        listed, given = listed_keys(connection, t.redemptions, _LINKED_BY[kind], sorted(keys))
        match = " AND ".join(f"t.{name} = k.{name}" for name in _LINKED_BY[kind])
        found = for_each(connection, listed, t.redemptions, match)
        parts.append(f"SELECT t.env, t.id, t.member, t.definition {found}")
        values += given
    return Query(" UNION ".join(parts), tuple(values)) if parts else None


def completed(connection: Connection, redemptions: Collection[tuple[int, int]]) -> Asking[list[Transaction]]:
    """Ask for the completed transactions of redemptions (env, id); return the first ones first."""
    rows = yield by_keys(
        connection,
        t.transactions,
        ("env", "redemption"),
        redemptions,
        columns=TRANSACTION_COLUMNS,
        where="t.state = 'completed' AND t.redemption IS NOT NULL",
    )
    return sorted((Transaction(*row) for row in rows), key=lambda one: one.id)


def spent(
    connection: Connection, transactions: Collection[Transaction]
) -> dict[int, list[tuple[Lot | None, int]]]:
    """Return, by redemption, the lots that its spent points came from and have not gone back to.

    `transactions` are the completed ones of those redemptions. In the order in which points were taken; without a lot
    are those that were not there, and were owed.
    """
    by_change: dict[tuple[int | None, ...], list[Transaction]] = defaultdict(list)
    for one in transactions:
        by_change[one.change_key].append(one)
    key = (*_KEY, "sequence")
    columns = (*ASKED, "from_account", "to_account", "transaction")
    rows = select_by_keys(connection, t.transfers, key, by_change, columns=columns)
    own = {one.id: one for one in transactions}
    moved = [row for row in rows if row.transaction in own and _of_the_cost(row)]
    parts = _parts(connection, moved)
    sums: dict[int, dict[int | None, int]] = defaultdict(dict)
    lots: dict[int, Lot] = {}
    whose: dict[int, int] = {}
    for row in sorted(moved, key=lambda row: (row.transaction, row.sequence, row.n)):
        sums_of = sums[own[row.transaction].redemption or 0]
        sign = 1 if row.to_account in _TAKES else -1
        touched = parts.get(tuple(row[:5]), [])
        lots |= {lot.id: lot for lot, _ in touched}
        whose |= {lot.id: own[row.transaction].member for lot, _ in touched}
        amounts: dict[int | None, int] = {lot.id: part for lot, part in touched} or {None: row.amount}
        for number, amount in amounts.items():
            known = sign > 0 or number in sums_of  # else the lot was made for what had been owed
            into = number if known else None
            sums_of[into] = sums_of.get(into, 0) + sign * amount
    lots |= _handed_on(connection, [lot for lot in lots.values() if lot.member != whose[lot.id]], whose)
    return {
        number: [(None if lot is None else lots[lot], amount) for lot, amount in sums_of.items() if amount]
        for number, sums_of in sums.items()
    }


def moved(connection: Connection, transactions: Collection[Transaction]) -> dict[int, list[tuple[Lot, int]]]:
    """Return, by transaction, the lots that its points were credited to or taken from, in one change."""
    by_change = {one.change_key for one in transactions}
    own = {one.id: one for one in transactions}
    key = (*_KEY, "sequence")
    rows = select_by_keys(connection, t.transfers, key, by_change, columns=(*ASKED, "transaction"))
    mine = [row for row in rows if row.transaction in own]
    theirs = {tuple(row[:5]): own[row.transaction] for row in mine}
    parts = _parts(connection, mine)
    sums: dict[int, dict[int, int]] = defaultdict(dict)
    lots: dict[int, Lot] = {}
    whose: dict[int, int] = {}
    for place in sorted(parts):
        transaction = theirs[place]
        for lot, amount in parts[place]:
            sums[transaction.id][lot.id] = sums[transaction.id].get(lot.id, 0) + amount
            lots[lot.id], whose[lot.id] = lot, transaction.member
    lots |= _handed_on(connection, [lot for lot in lots.values() if lot.member != whose[lot.id]], whose)
    return {number: [(lots[lot], amount) for lot, amount in of.items()] for number, of in sums.items()}


def _handed_on(connection: Connection, lots: Collection[Lot], whose: Mapping[int, int]) -> dict[int, Lot]:
    """Return the lots of somebody who was merged, as the member has them who goes on in their place."""
    theirs = {lot.id: lot.of(whose[lot.id]) for lot in lots}
    rows = select_by_keys(
        connection, t.lots, (*_KEY, "id"), [one.key for one in theirs.values()], columns=LOT_COLUMNS
    )
    known = {row.id: Lot(*row) for row in rows}
    return theirs | known


def _of_the_cost(row: Any) -> bool:
    """Return whether a transfer took points for a redemption, or gave spent ones back."""
    took = row.from_account in _TAKEN_FROM and row.to_account in _TAKES
    return took or row.from_account == Account.REDEEMED


def _parts(connection: Connection, transfers: Collection[Any]) -> dict[Place, list[tuple[Lot, int]]]:
    """Return the lots of transfers, in the order of their use."""
    given = allocated(connection, transfers)
    wanted = {(one.env, one.member, one.definition, one.lot) for of in given.values() for one in of}
    lots = {
        row.id: Lot(*row)
        for row in select_by_keys(connection, t.lots, (*_KEY, "id"), wanted, columns=LOT_COLUMNS)
    }
    return {
        place: sorted([(lots[one.lot], one.amount) for one in of], key=lambda part: turn_of(part[0]))
        for place, of in given.items()
    }
