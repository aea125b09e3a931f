"""What the API's credits and debits of balances come to since an instant: a look along an index of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.store import tables as t
from adapter.store.bulk import for_each, listed_keys, mark
from adapter.store.pipeline import Asking, Query

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from adapter.book.working import Span
    from adapter.clock import Millis

_SPAN = ("env", "member", "definition", "kind", "created_at")


def booked_since(
    connection: Connection, spans: Collection[Span], now: Millis
) -> Asking[dict[Span, tuple[int, int]]]:
    """Ask for each span how many transactions there were that count, and how much they come to. One statement."""
    if not spans:
        return {}
    listed, values = listed_keys(connection, t.transactions, _SPAN, sorted(spans))
    own = ", ".join(f"k.{name}" for name in _SPAN)
    counted = (
        "t.env = k.env AND t.member = k.member AND t.definition = k.definition "
        "AND t.kind = k.kind AND t.created_at >= k.created_at AND t.order_ref IS NULL AND t.redemption IS NULL "
        "AND (t.state = 'completed' OR (t.state = 'pending' "
        f"AND (t.expires_at IS NULL OR t.expires_at > {mark(connection)})))"
    )
    found = for_each(connection, listed, t.transactions, counted)
    statement = f"SELECT {own}, count(*), sum(t.amount) {found} GROUP BY {own}"
    rows = yield Query(statement, (*values, now))
    return {
        (env, member, definition, kind, at): (number, int(amount))
        for env, member, definition, kind, at, number, amount in rows
    }
