"""Everyone who holds points, in ranges of members: what lets a report read a large book piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Iterator

RANGE = 1000

Range = tuple[int, int]
"""Members above the first and up to the second."""


def ranges(connection: Connection, env: int, size: int = RANGE) -> Iterator[Range]:
    """Yield ranges that together cover every member with a balance, each of at most `size` of them."""
    columns = t.balances.c
    after = -1
    while True:
        query = select(columns.member).where(columns.env == env, columns.member > after).distinct()
        page = list(connection.execute(query.order_by(columns.member).limit(size)).scalars())
        if page:
            yield after, page[-1]
            after = page[-1]
        if len(page) < size:
            return
