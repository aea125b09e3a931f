"""The lots that a balance uses next: the first ones in the order of use, found without looking at all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.lots import in_order_of_use
from adapter.book.state import Lot
from adapter.store.bulk import listed_keys
from adapter.store.pipeline import Asking, Query
from adapter.store.rows import LOT_COLUMNS
from adapter.store.tables import lots

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

BalanceKey = tuple[int, int, int]
_KEY = ("env", "member", "definition")
_COLUMNS = ", ".join(f't."{name}"' for name in LOT_COLUMNS)
_OF_KEY = "n.env = k.env AND n.member = k.member AND n.definition = k.definition AND n.available > 0"


def next_lots(
    connection: Connection, keys: Collection[BalanceKey], limit: int
) -> Asking[dict[BalanceKey, list[Lot]]]:
    """Ask for the first `limit` lots with available points of each balance; return them in the order of use."""
    if not keys:
        return {}
    listed, values = listed_keys(connection, lots, _KEY, keys)
    statement = (_SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL).format(
        listed=listed, limit=int(limit)
    )
    found: dict[BalanceKey, list[Lot]] = {}
    for row in (yield Query(statement, values)):
        lot = Lot(*row)
        found.setdefault(lot.balance_key, []).append(lot)
    return {key: in_order_of_use(some)[:limit] for key, some in found.items()}


_POSTGRESQL = (
    f"SELECT {_COLUMNS} FROM {{listed}} CROSS JOIN LATERAL (SELECT n.* FROM lots n WHERE {_OF_KEY} "  # noqa: S608 - names of ours
    "ORDER BY n.expires_at NULLS LAST, n.id LIMIT {limit}) t"
)
# SQLite sorts NULL first, and follows its index only that way: the lots without an end are looked up apart. There it
# would rather go through all of the member's lots, open or not, if it were not told which index to take.
_SQLITE = (
    f"SELECT {_COLUMNS} FROM {{listed}} CROSS JOIN lots t WHERE t.env = k.env AND t.member = k.member "  # noqa: S608 - names of ours
    "AND t.definition = k.definition AND t.id IN ("
    f"SELECT id FROM (SELECT n.id FROM lots n WHERE {_OF_KEY} AND n.expires_at IS NOT NULL "
    "ORDER BY n.expires_at, n.id LIMIT {limit}) UNION ALL "
    f"SELECT id FROM (SELECT n.id FROM lots n INDEXED BY ix_lots_open WHERE {_OF_KEY} AND n.expires_at IS NULL "
    "ORDER BY n.expires_at, n.id LIMIT {limit}))"
)
