"""Which lots gave or took how much of transfers.

Most transfers touch one lot and name it themselves; those of several have `allocations`, rows of their own.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from adapter.book.state import Allocation
from adapter.store.bulk import select_by_keys
from adapter.store.tables import allocations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

Place = tuple[int, int, int, int, int]
"""The key of a transfer."""

PLACE = ("env", "member", "definition", "sequence", "n")
ASKED = (*PLACE, "amount", "lot", "lot_expires_at")
"""The columns of transfers that are asked about."""


def allocated(connection: Connection, transfers: Iterable[Any]) -> dict[Place, list[Allocation]]:
    """Return, by transfer, what each of its lots gave or took, the first lots first. The rows have what is `ASKED`."""
    rows = list(transfers)
    apart = {place_of(row) for row in rows if row.lot is None}
    return by_transfer(rows, select_by_keys(connection, allocations, PLACE, apart))


def by_transfer(transfers: Iterable[Any], apart: Iterable[Any]) -> dict[Place, list[Allocation]]:
    """Return the same of rows of `transfers` and rows of `allocations`."""
    found: dict[Place, list[Allocation]] = defaultdict(list)
    for row in transfers:
        if row.lot is not None:
            found[place_of(row)].append(Allocation(*place_of(row), row.lot, row.amount, row.lot_expires_at))
    for row in apart:
        found[place_of(row)].append(Allocation(*place_of(row), row.lot, row.amount, row.expires_at))
    for parts in found.values():
        parts.sort(key=lambda one: one.lot)
    return found


def place_of(row: Any) -> Place:
    """Return the key of a transfer, of its row or of that of one of its allocations."""
    return (row.env, row.member, row.definition, row.sequence, row.n)
