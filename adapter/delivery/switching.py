"""Turning endpoints off and on, and what becomes of their deliveries: held, never lost.

Every change of an endpoint's state raises the configuration's version in the same commit, so that each
process that fans messages out or sends them notices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, update

from adapter.clock import Millis, iso
from adapter.delivery.health import MANUAL
from adapter.errors import NotFound
from adapter.ids import new_id, show
from adapter.messages import MessageType, render
from adapter.store import tables as t
from adapter.store.bulk import bulk_insert
from adapter.store.configuration import load_catalog, raise_version
from adapter.store.rows import DELIVERY_COLUMNS
from adapter.store.worded import worded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.catalog import Endpoint


def disable(connection: Connection, env: int, endpoint: int, *, now: Millis, reason: str = MANUAL) -> None:
    """Stop sending by a person's decision; it is never tried again by itself. Raises `NotFound`."""
    changed = connection.execute(
        update(t.endpoints)
        .where(t.endpoints.c.env == env, t.endpoints.c.id == endpoint)
        .values(state="disabled", disabled_reason=reason, probe_at=None, updated_at=now)
    )
    if not changed.rowcount:
        raise NotFound(f"there is no endpoint {show('end', endpoint)}", field="endpoint")
    hold(connection, env, endpoint, now)
    raise_version(connection)


def enable(connection: Connection, env: int, endpoint: int, *, now: Millis, release_held: bool = True) -> int:
    """Send again, by default also what was held meanwhile; return how many that is. Raises `NotFound`."""
    changed = connection.execute(
        update(t.endpoints)
        .where(t.endpoints.c.env == env, t.endpoints.c.id == endpoint)
        .values(
            state="enabled",
            disabled_reason=None,
            failing_since=None,
            failures=0,
            probe_at=None,
            updated_at=now,
        )
    )
    if not changed.rowcount:
        raise NotFound(f"there is no endpoint {show('end', endpoint)}", field="endpoint")
    raise_version(connection)
    return release(connection, env, endpoint, now) if release_held else 0


def hold(connection: Connection, env: int, endpoint: int, now: Millis) -> int:
    """Hold what is due for an endpoint; a replay's deliveries go back to wait for their turn."""
    values = {"env": env, "endpoint": endpoint, "now": now}
    connection.execute(
        worded(
            "UPDATE replay_items SET state = 'waiting' WHERE env = :env AND state = 'queued' AND EXISTS"
            " (SELECT 1 FROM deliveries AS d WHERE d.env = replay_items.env AND d.id = replay_items.delivery"
            "  AND d.endpoint = :endpoint AND d.state = 'due' AND d.replay = replay_items.replay)"
        ),
        {"env": env, "endpoint": endpoint},
    )
    held = connection.execute(
        worded(
            "UPDATE deliveries SET state = 'held', replay = NULL, updated_at = :now"
            " WHERE env = :env AND endpoint = :endpoint AND state = 'due'"
        ),
        values,
    )
    return held.rowcount


def release(connection: Connection, env: int, endpoint: int, now: Millis) -> int:
    """Make due what was held, from the beginning of the schedule; return how many."""
    released = connection.execute(
        worded(
            "UPDATE deliveries SET state = 'due', step = 0, next_attempt_at = :now, updated_at = :now"
            " WHERE env = :env AND endpoint = :endpoint AND state = 'held'"
        ),
        {"env": env, "endpoint": endpoint, "now": now},
    )
    return released.rowcount


def announce_disabled(connection: Connection, env: int, endpoint: int, *, now: Millis, **facts: Any) -> None:
    """Tell the environment's other endpoints, in this commit, that one was disabled, and why."""
    data = {"endpoint": show("end", endpoint), **facts}
    if isinstance(facts.get("failing_since"), int):
        data["failing_since"] = iso(facts["failing_since"])
    others = [each for each in load_catalog(connection).endpoints_of.get(env, ()) if each.id != endpoint]
    send_message(connection, env, MessageType.ENDPOINT_DISABLED, data, to=others, now=now)


def send_message(
    connection: Connection,
    env: int,
    message_type: str,
    data: dict[str, Any],
    *,
    to: Iterable[Endpoint],
    now: Millis,
) -> int:
    """Insert a message of delivery's own, with its deliveries to those that want it; return its id."""
    message = new_id(now)
    row = {
        "env": env,
        "id": message,
        "type": message_type,
        "created_at": now,
        "body": render(message_type, now, data),
    }
    bulk_insert(connection, t.messages, [row], tuple(row))
    wanting = [each for each in to if each.wants(message_type)]
    bulk_insert(
        connection, t.deliveries, [new_delivery(each, message, now) for each in wanting], DELIVERY_COLUMNS
    )
    return message


def new_delivery(endpoint: Endpoint, message: int, now: Millis, member: int | None = None) -> dict[str, Any]:
    """Return the row of a new delivery: due at once, or held while its endpoint is disabled."""
    return {
        "env": endpoint.env,
        "id": new_id(now),
        "endpoint": endpoint.id,
        "message": message,
        "member": member,
        "state": "due" if endpoint.state == "enabled" else "held",
        "attempts": 0,
        "step": 0,
        "next_attempt_at": now,
        "fence": 0,
        "created_at": now,
        "updated_at": now,
    }
