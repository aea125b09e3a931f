"""What time changes of a balance, and when it does so next: looked up along the indexes, however long its history is.

A lot is due where its available points end, which `ix_lots_open` knows, or before that, which `ix_lots_due_early` knows:
of most lots time changes nothing but their end, so one index has both their turn and their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.state import Lot
from adapter.store.bulk import listed_keys, mark
from adapter.store.pipeline import Asking, Query
from adapter.store.rows import LOT_COLUMNS
from adapter.store.tables import LOTS_DUE_EARLY, lots

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from adapter.clock import Millis

BalanceKey = tuple[int, int, int]
_KEY = ("env", "member", "definition")
_COLUMNS = ", ".join(f't."{name}"' for name in LOT_COLUMNS)
_OF_KEY = "n.env = k.env AND n.member = k.member AND n.definition = k.definition"
_ENDING = f"lots n WHERE {_OF_KEY} AND n.available > 0 AND n.expires_at"
_EARLY = f"lots n WHERE {_OF_KEY} AND {LOTS_DUE_EARLY} AND n.due_at"


def due_lots(connection: Connection, keys: Collection[BalanceKey], now: Millis) -> Asking[list[Lot]]:
    """Ask for the lots of these balances that time has changed by `now`; return them in the order in which it did."""
    rows = yield due_by(connection, keys, now)
    found = {lot.key: lot for lot in (Lot(*row) for row in rows)}
    return sorted(found.values(), key=lambda lot: (lot.due_at or 0, lot.id))


def due_by(connection: Connection, keys: Collection[BalanceKey], now: Millis) -> Query | None:
    """Return what asks for the lots of these balances that time has changed by `now`, in any order, some twice."""
    if not keys:
        return None
    listed, values = listed_keys(connection, lots, _KEY, sorted(keys))
    sqlite = connection.dialect.name == "sqlite"
    return Query((_SQLITE if sqlite else _POSTGRESQL).format(listed=listed), (*values, now, now))


_SQLITE = (
    f"SELECT {_COLUMNS} FROM {{listed}} CROSS JOIN lots t WHERE t.env = k.env AND t.member = k.member "  # noqa: S608 - names of ours
    f"AND t.definition = k.definition AND t.id IN (SELECT n.id FROM {_ENDING} <= ? "
    f"UNION ALL SELECT n.id FROM {_EARLY} <= ?)"
)
_POSTGRESQL = (
    f"SELECT {_COLUMNS} FROM {{listed}} CROSS JOIN LATERAL "  # noqa: S608 - names of ours
    f"(SELECT n.* FROM {_ENDING} <= %s UNION ALL SELECT n.* FROM {_EARLY} <= %s) t"
)
# Each instant is a scalar of its own. As a condition on the rows, a server without statistics would look at all of a
# member's rows, and ask for the instant at each of them.
_FIRST_AFTER = (
    "SELECT k.env, k.member, k.definition, "  # noqa: S608 - names of ours
    f"(SELECT min(n.expires_at) FROM {_ENDING} > {{now}}) AS ends, "
    f"(SELECT min(n.due_at) FROM {_EARLY} > {{now}}) AS early, "
    f"(SELECT min(n.due_at) FROM transactions n WHERE {_OF_KEY} AND n.due_at > {{now}}) AS late FROM {{listed}}"
)


def first_after(
    connection: Connection, keys: Collection[BalanceKey], now: Millis
) -> Asking[dict[BalanceKey, Millis]]:
    """Ask when a lot or a pending transaction of these balances first changes by time alone after `now`; by balance."""
    if not keys:
        return {}
    listed, values = listed_keys(connection, lots, _KEY, keys)
    found = {}
    rows = yield Query(_FIRST_AFTER.format(listed=listed, now=mark(connection)), (now, now, now, *values))
    for env, member, definition, *instants in rows:
        coming = [at for at in instants if at is not None]
        if coming:
            found[env, member, definition] = min(coming)
    return found
