"""When time will next change something of a balance: looked up along the indexes, however long its history is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.store.bulk import listed_keys, mark
from adapter.store.tables import lots

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from adapter.clock import Millis

BalanceKey = tuple[int, int, int]
_KEY = ("env", "member", "definition")
_OF_KEY = "n.env = k.env AND n.member = k.member AND n.definition = k.definition"
# Each instant is a scalar of its own. As a condition on the rows, a server without statistics would look at all of a
# member's rows, and ask for the instant at each of them.
_FIRST_AFTER = (
    f"SELECT k.env, k.member, k.definition, "  # noqa: S608 - names of ours
    f"(SELECT min(n.due_at) FROM lots n WHERE {_OF_KEY} AND n.due_at > {{now}}), "
    f"(SELECT min(n.due_at) FROM transactions n WHERE {_OF_KEY} AND n.due_at > {{now}}) FROM {{listed}}"
)


def first_after(
    connection: Connection, keys: Collection[BalanceKey], now: Millis
) -> dict[BalanceKey, Millis]:
    """Return, by balance, the first instant after `now` at which a lot or a pending transaction changes by time alone."""
    if not keys:
        return {}
    listed, values = listed_keys(connection, lots, _KEY, keys)
    found = {}
    statement = _FIRST_AFTER.format(listed=listed, now=mark(connection))
    for env, member, definition, *instants in connection.exec_driver_sql(statement, (now, now, *values)):
        coming = [at for at in instants if at is not None]
        if coming:
            found[env, member, definition] = min(coming)
    return found
