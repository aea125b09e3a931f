"""What was redeemed of balances since an instant, and which redemptions lock them: each one look along an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.limiting import COUNTED
from adapter.book.state import Redemption, RedemptionState
from adapter.store import tables as t
from adapter.store.bulk import by_keys, for_each, listed_keys, mark
from adapter.store.pipeline import Asking, Query
from adapter.store.rows import REDEMPTION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection

    from adapter.clock import Millis

BalanceKey = tuple[int, int, int]
_KEY = ("env", "member", "definition")
_SETTLED = ", ".join(f"'{state}'" for state in COUNTED if state != RedemptionState.PENDING)


def redeemed_since(
    connection: Connection, begun: Mapping[BalanceKey, Millis], now: Millis
) -> Asking[dict[BalanceKey, int]]:
    """Ask how many points the redemptions of each balance count that were begun at or after its instant."""
    if not begun:
        return {}
    keys = sorted((*key, at) for key, at in begun.items())
    listed, values = listed_keys(connection, t.redemptions, (*_KEY, "created_at"), keys)
    counted = (
        "t.env = k.env AND t.member = k.member AND t.definition = k.definition "
        f"AND t.created_at >= k.created_at AND (t.state IN ({_SETTLED}) "
        f"OR (t.state = 'pending' AND (t.expires_at IS NULL OR t.expires_at > {mark(connection)})))"
    )
    found = for_each(connection, listed, t.redemptions, counted)
    statement = (
        f"SELECT t.env, t.member, t.definition, sum(t.cost) {found} GROUP BY t.env, t.member, t.definition"
    )
    rows = yield Query(statement, (*values, now))
    return {(env, member, definition): int(amount) for env, member, definition, amount in rows}


def locking(connection: Connection, keys: Collection[BalanceKey], now: Millis) -> Asking[list[Redemption]]:
    """Ask for the redemptions whose lock of these balances has time left; `lock_of` says which of them keep it."""
    where = ("t.locks_until IS NOT NULL AND t.locks_until > ?", now)
    rows = yield by_keys(connection, t.redemptions, _KEY, keys, columns=REDEMPTION_COLUMNS, where=where)
    return [Redemption(*row) for row in rows]
