"""Taking deliveries that are due: a lease and a fence, in one short unit of work.

A claim is a lease until an instant beyond the request's own timeout; a claimed delivery carries that instant
as its `next_attempt_at`, so one range of one index finds what is due and what a crashed dispatcher left
behind. Each claim raises the delivery's fence, and only the holder of the newest fence may record an outcome.

Candidates come per endpoint, oldest first, at most as many as the endpoint has room for (`slots.py`). For an
ordered endpoint a delivery waits while the member's previous one is unfinished: it is put off to when that
one is tried again, so that a long queue behind one failure costs nothing to look at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from adapter.store.bulk import rows_as
from adapter.store.worded import worded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from adapter.clock import Millis
    from adapter.delivery.slots import Key, Ticket

FIELDS = """d.env, d.id, d.endpoint, d.message, d.member, d.attempts, d.step, d.fence, d.replay,
             d.next_attempt_at, m.body"""
_DUE = "i.state IN ('due', 'claimed') AND i.next_attempt_at <= :now"  # as the partial index has it


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours until `lease_until`, with what an attempt needs."""

    env: int
    id: int
    endpoint: int
    message: int
    member: int | None
    attempts: int
    step: int
    fence: int
    replay: int | None
    due_at: Millis
    lease_until: Millis
    body: bytes = field(repr=False)

    @property
    def key(self) -> Key:
        return self.env, self.endpoint

    @property
    def ticket(self) -> Ticket:
        return self.id, self.fence


def asked_for(keys: Iterable[Key]) -> str:
    """Write endpoints as `waiting` takes them."""
    return orjson.dumps([{"env": env, "endpoint": endpoint} for env, endpoint in keys]).decode()


def waiting(connection: Connection, asked: str, now: Millis) -> list[Key]:
    """Return which of the endpoints have something due; reads only."""
    wanted = rows_as(connection, "w", ("env", "endpoint"))
    statement = worded(
        f"SELECT w.env, w.endpoint FROM {wanted} WHERE EXISTS (SELECT 1 FROM deliveries AS i"  # noqa: S608 - names of ours
        f" WHERE i.env = w.env AND i.endpoint = w.endpoint AND {_DUE})"
    )
    return [(row.env, row.endpoint) for row in connection.execute(statement, {"rows": asked, "now": now})]


def candidates(connection: Connection, rooms: Mapping[Key, int], now: Millis) -> list[Any]:
    """Return the oldest due deliveries of each endpoint, at most its room, locked until the commit."""
    if connection.dialect.name == "sqlite":  # one LIMIT for all: so it is asked once for each size of room
        groups = [{key: room for key, room in rooms.items() if room == size} for size in set(rooms.values())]
    else:
        groups = [dict(rooms)] if rooms else []
    return [row for group in groups for row in _oldest(connection, group, now)]


def _oldest(connection: Connection, rooms: Mapping[Key, int], now: Millis) -> Sequence[Any]:
    wanted = [{"env": env, "endpoint": endpoint, "room": room} for (env, endpoint), room in rooms.items()]
    values = {"rows": orjson.dumps(wanted).decode(), "now": now, "most": max(rooms.values())}
    return connection.execute(worded(_select(connection)), values).all()


def _select(connection: Connection) -> str:
    wanted = rows_as(connection, "w", ("env", "endpoint", "room"))
    same = f"i.env = w.env AND i.endpoint = w.endpoint AND {_DUE} ORDER BY i.next_attempt_at, i.id"
    if connection.dialect.name == "sqlite":  # cannot join laterally, and its writer is alone anyway
        due = f"deliveries AS d ON d.rowid IN (SELECT i.rowid FROM deliveries AS i WHERE {same} LIMIT :most)"  # noqa: S608 - names of ours
    else:
        due = (
            f"LATERAL (SELECT * FROM deliveries AS i WHERE {same} LIMIT least(w.room, :most)"  # noqa: S608 - names of ours
            " FOR UPDATE SKIP LOCKED) AS d ON true"
        )
    return (
        f"SELECT {FIELDS} FROM {wanted} JOIN {due}"  # noqa: S608 - names of ours
        " JOIN messages AS m ON m.env = d.env AND m.id = d.message ORDER BY d.next_attempt_at, d.id"
    )


def put_off_blocked(connection: Connection, rows: Sequence[Any], now: Millis) -> set[tuple[int, int]]:
    """Put off those whose member's previous delivery is unfinished; return their (env, id)."""
    wanted = rows_as(connection, "c", ("env", "endpoint", "member", "message", "id"))
    before = neighbour(
        env="c.env", endpoint="c.endpoint", member="c.member", message="c.message", later=False
    )
    # MATERIALIZED: each previous message is looked for once, not once for each delivery that it may belong to
    statement = worded(
        f"WITH b AS MATERIALIZED (SELECT c.env, c.id, c.endpoint, {before} AS before FROM {wanted})"  # noqa: S608 - names of ours
        " SELECT b.env, b.id, p.next_attempt_at FROM b"
        " JOIN deliveries AS p ON p.env = b.env AND p.endpoint = b.endpoint AND p.message = b.before"
        " WHERE p.state IN ('due', 'claimed')"
    )
    asked = [
        {"env": r.env, "endpoint": r.endpoint, "member": r.member, "message": r.message, "id": r.id}
        for r in rows
        if r.member is not None
    ]
    if not asked:
        return set()
    blocked = connection.execute(statement, {"rows": orjson.dumps(asked).decode()}).all()
    if blocked:
        connection.execute(
            worded(
                "UPDATE deliveries SET state = 'due', lease_until = NULL, next_attempt_at = :at"
                " WHERE env = :env AND id = :id"
            ),
            [{"env": r.env, "id": r.id, "at": max(r.next_attempt_at, now) + 1} for r in blocked],
        )
    return {(row.env, row.id) for row in blocked}


def neighbour(*, env: str, endpoint: str, member: str, message: str, later: bool) -> str:
    """Return the subquery for the message of a member before (or after) another one, of those an endpoint is to get.

    OFFSET 0 keeps PostgreSQL from joining there: before it has ever looked at the tables it takes them for empty, and
    goes through all that the endpoint ever got for every message of the member.
    """
    than, turn = (">", "") if later else ("<", " DESC")
    return (
        f"(SELECT m.id FROM messages AS m WHERE m.env = {env} AND m.member = {member} AND m.id {than} {message}"  # noqa: S608 - names of ours
        f" AND EXISTS (SELECT 1 FROM deliveries AS q WHERE q.env = {env} AND q.endpoint = {endpoint}"
        f" AND q.message = m.id LIMIT 1 OFFSET 0) ORDER BY m.id{turn} LIMIT 1)"
    )


def claim(
    connection: Connection, rows: Sequence[Any], leases: Mapping[Key, Millis], now: Millis
) -> list[Claimed]:
    """Make locked candidates ours until `leases[(env, endpoint)]`."""
    if not rows:
        return []
    taken = rows_as(connection, "c", ("env", "id", "lease"))
    asked = [{"env": r.env, "id": r.id, "lease": leases[r.env, r.endpoint]} for r in rows]
    connection.execute(
        worded(
            "UPDATE deliveries SET state = 'claimed', lease_until = c.lease, next_attempt_at = c.lease,"  # noqa: S608 - names of ours
            f" fence = fence + 1, updated_at = :now FROM {taken}"
            " WHERE deliveries.env = c.env AND deliveries.id = c.id"
        ),
        {"rows": orjson.dumps(asked).decode(), "now": now},
    )
    return [
        Claimed(
            env=r.env,
            id=r.id,
            endpoint=r.endpoint,
            message=r.message,
            member=r.member,
            attempts=r.attempts,
            step=r.step,
            fence=r.fence + 1,
            replay=r.replay,
            due_at=r.next_attempt_at,
            lease_until=leases[r.env, r.endpoint],
            body=bytes(r.body),
        )
        for r in rows
    ]


def give_back(connection: Connection, unsent: Sequence[Claimed], now: Millis) -> None:
    """Make what was claimed and not sent due again, as it was before; that of a disabled endpoint is held."""
    if not unsent:
        return
    back = rows_as(connection, "c", ("env", "id", "fence", "at"))
    rows = [{"env": each.env, "id": each.id, "fence": each.fence, "at": each.due_at} for each in unsent]
    connection.execute(
        worded(
            "UPDATE deliveries SET state = CASE WHEN EXISTS (SELECT 1 FROM endpoints AS e WHERE e.env = deliveries.env"  # noqa: S608 - names of ours
            " AND e.id = deliveries.endpoint AND e.state = 'enabled') THEN 'due' ELSE 'held' END,"
            f" lease_until = NULL, next_attempt_at = c.at, updated_at = :now FROM {back}"
            " WHERE deliveries.env = c.env AND deliveries.id = c.id AND deliveries.fence = c.fence"
            " AND deliveries.state = 'claimed'"
        ),
        {"rows": orjson.dumps(sorted(rows, key=lambda row: (row["env"], row["id"]))).decode(), "now": now},
    )
