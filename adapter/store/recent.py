"""What happened to a balance lately and what happens next, found without looking at its whole history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.shortage import RECENT_CHANGES, RECENT_MS
from adapter.book.state import Transfer
from adapter.store import tables as t
from adapter.store.bulk import for_each, listed_keys, mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

    from adapter.clock import Millis

BalanceKey = tuple[int, int, int]
_KEY = ("env", "member", "definition")
_SAME = "{0}.env = k.env AND {0}.member = k.member AND {0}.definition = k.definition"
_COLUMNS = ", ".join(f't."{column.name}"' for column in t.transfers.columns)
DUE_AT_MOST = 32
"""How many of the next due lots are looked at for the first that posts."""


def spent_and_expired(
    connection: Connection, sequences: Mapping[BalanceKey, int], now: Millis
) -> Iterator[Transfer]:
    """Return the recent transfers to and from `redeemed` and `expired`; `sequences` are those of the balances."""
    floors = sorted((*key, sequence - RECENT_CHANGES) for key, sequence in sequences.items())
    listed, values = listed_keys(connection, t.transfers, (*_KEY, "sequence"), floors)
    lately = (
        f"{_SAME.format('t')} AND t.sequence > k.sequence AND t.posted_at > {mark(connection)} "
        "AND (t.to_account IN ('redeemed', 'expired') OR t.from_account IN ('redeemed', 'expired'))"
    )
    found = for_each(connection, listed, t.transfers, lately)
    for row in connection.exec_driver_sql(f"SELECT {_COLUMNS} {found}", (*values, now - RECENT_MS)):
        yield Transfer(*row)


def next_posts(
    connection: Connection, keys: Mapping[BalanceKey, int], now: Millis
) -> dict[BalanceKey, tuple[Millis, int]]:
    """Return, by balance, when pending points post next by time alone, and how many."""
    listed, values = listed_keys(connection, t.lots, _KEY, sorted(keys))
    early = f"{_SAME.format('n')} AND {t.LOTS_DUE_EARLY}"
    due = f"{early} AND n.due_at > {mark(connection)} ORDER BY n.due_at LIMIT {DUE_AT_MOST}"
    if connection.dialect.name == "sqlite":
        lots = f"lots t WHERE {_SAME.format('t')} AND t.id IN (SELECT n.id FROM lots n WHERE {due})"  # noqa: S608 - ours
    else:
        lots = f"LATERAL (SELECT n.* FROM lots n WHERE {due}) t WHERE true"  # noqa: S608 - ours
    statement = (
        f"SELECT t.env, t.member, t.definition, t.available_at, t.due_amount FROM {listed} CROSS JOIN {lots}"  # noqa: S608 - ours
    )
    found: dict[BalanceKey, tuple[Millis, int]] = {}
    for *key, at, amount in connection.exec_driver_sql(
        f"{statement} AND t.pending > 0 AND t.available_at = t.due_at", (*values, now)
    ):
        whose = (key[0], key[1], key[2])
        first, sum_then = found.get(whose, (at, 0))
        if at <= first:
            found[whose] = (at, amount + (sum_then if at == first else 0))
    return found
