"""What went out, to be read: deliveries with their attempts, messages, all ready for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Select, func, select

from adapter.clock import Millis, iso
from adapter.errors import NotFound, Refused
from adapter.ids import show
from adapter.store import tables as t
from adapter.store.reading.kept import check_kept

STATES = ("due", "claimed", "delivered", "dead", "held")
LIMIT_MOST = 1000
View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Everything given must hold; `since` and `until` look at when the delivery was made."""

    endpoint: int | None = None
    state: str | None = None
    since: Millis | None = None
    until: Millis | None = None
    member: int | None = None
    message: int | None = None
    type: str | None = None  # of the message
    before: int | None = None  # the id that the last page ended with
    limit: int = 100


def deliveries(connection: Connection, env: int, wanted: DeliveryFilter) -> list[View]:
    """Return deliveries, the newest first. Raises `Refused` for a state that does not exist."""
    if wanted.state is not None and wanted.state not in STATES:
        raise Refused(f"state: it must be one of {', '.join(STATES)}", code="state_unknown", field="state")
    d = t.deliveries.c
    query = _joined().where(d.env == env).order_by(d.id.desc()).limit(min(max(wanted.limit, 1), LIMIT_MOST))
    for column, value in (
        (d.endpoint, wanted.endpoint),
        (d.state, wanted.state),
        (d.member, wanted.member),
        (d.message, wanted.message),
        (t.messages.c.type, wanted.type),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(d.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(d.created_at < wanted.until)
    if wanted.before is not None:
        query = query.where(d.id < wanted.before)
    return [_delivery(row) for row in connection.execute(query)]


def delivery(connection: Connection, env: int, id_: int) -> View:
    """Return one delivery with all its attempts and its message. Raises `NotFound`, also as `Gone`."""
    row = connection.execute(_joined().where(t.deliveries.c.env == env, t.deliveries.c.id == id_)).first()
    if row is None:
        check_kept(connection, env, t.deliveries, show("dlv", id_))
        raise NotFound(f"there is no delivery {show('dlv', id_)}", field="delivery")
    body = connection.execute(
        select(t.messages.c.body).where(t.messages.c.env == env, t.messages.c.id == row.message)
    ).scalar_one()
    return {**_delivery(row), "body": orjson.loads(body), "attempts": attempts(connection, env, id_)}


def attempts(connection: Connection, env: int, delivery_id: int) -> list[View]:
    """Return the requests that were made for a delivery, the first one first."""
    a = t.attempts.c
    rows = connection.execute(
        select(t.attempts).where(a.env == env, a.delivery == delivery_id).order_by(a.number)
    )
    return [
        {
            "number": row.number,
            "started_at": iso(row.started_at),
            "duration_ms": row.duration_ms,
            "status": row.status,
            "error": row.error,
            "response": row.response,
        }
        for row in rows
    ]


def counts(connection: Connection, env: int | None = None) -> dict[str, int]:
    """Return how many deliveries are in each state that is not an end in itself: due, claimed, dead, held."""
    d = t.deliveries.c
    query = (
        select(d.state, func.count()).where(d.state.in_(("due", "claimed", "dead", "held"))).group_by(d.state)
    )
    found = connection.execute(query if env is None else query.where(d.env == env))
    return dict.fromkeys(("due", "claimed", "dead", "held"), 0) | {row[0]: row[1] for row in found}


def _joined() -> Select[Any]:
    d, m, e = t.deliveries.c, t.messages.c, t.endpoints.c
    return (
        select(t.deliveries, m.type, m.sequence, e.url)
        .join(t.messages, (m.env == d.env) & (m.id == d.message))
        .join(t.endpoints, (e.env == d.env) & (e.id == d.endpoint), isouter=True)
    )


def _delivery(row: Any) -> View:
    return {
        "id": show("dlv", row.id),
        "endpoint": show("end", row.endpoint),
        "url": row.url,
        "message": show("msg", row.message),
        "type": row.type,
        "member": None if row.member is None else show("mem", row.member),
        "sequence": row.sequence,
        "state": row.state,
        "attempt_count": row.attempts,
        "next_attempt_at": iso(row.next_attempt_at) if row.state == "due" else None,
        "replay": None if row.replay is None else show("rpl", row.replay),
        "last_status": row.last_status,
        "last_error": row.last_error,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }
