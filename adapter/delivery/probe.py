"""Trying a disabled endpoint again by itself, with one of the deliveries that are held for it.

Only endpoints that were disabled for failing have a `probe_at`. While a probe is under way it is moved past
the probe's lease, so that there is never more than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter.delivery.claim import FIELDS, Claimed, claim
from adapter.store.bulk import rows_as
from adapter.store.locks import lock_of
from adapter.store.worded import worded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from adapter.clock import Millis
    from adapter.delivery.slots import Key


def due(connection: Connection, now: Millis) -> list[Key]:
    """Return the disabled endpoints whose time to be tried again has come; reads only."""
    rows = connection.execute(
        worded(
            "SELECT env, id FROM endpoints WHERE state = 'disabled' AND probe_at <= :now ORDER BY env, id"
        ),
        {"now": now},
    )
    return [(row.env, row.id) for row in rows]


def claim_probes(connection: Connection, leases: Mapping[Key, Millis], now: Millis) -> list[Claimed]:
    """Claim the oldest held delivery of each of these endpoints that is still to be tried.

    A delivery whose claim ran out counts as held: nobody else claims for a disabled endpoint.
    """
    if not leases:
        return []
    wanted = rows_as(connection, "w", ("env", "endpoint"))
    statement = worded(
        f"SELECT {FIELDS} FROM {wanted}"  # noqa: S608 - names of ours
        " JOIN endpoints AS e ON e.env = w.env AND e.id = w.endpoint"
        " JOIN deliveries AS d ON d.env = e.env AND d.id = (SELECT min(h.id) FROM deliveries AS h"
        "  WHERE h.env = e.env AND h.endpoint = e.id"
        "  AND (h.state = 'held' OR (h.state = 'claimed' AND h.next_attempt_at <= :now)))"
        " JOIN messages AS m ON m.env = d.env AND m.id = d.message"
        f" WHERE e.state = 'disabled' AND e.probe_at <= :now{lock_of(connection, 'e', 'd')}"
    )
    asked = orjson.dumps([{"env": env, "endpoint": endpoint} for env, endpoint in leases]).decode()
    rows: list[Any] = list(connection.execute(statement, {"rows": asked, "now": now}))
    if rows:
        connection.execute(
            worded("UPDATE endpoints SET probe_at = :lease WHERE env = :env AND id = :id"),
            [{"env": r.env, "id": r.endpoint, "lease": leases[r.env, r.endpoint]} for r in rows],
        )
    return claim(connection, rows, leases, now)
