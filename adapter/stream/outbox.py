"""Which messages the broker does not have yet, and who brings them there.

A batch that writes messages writes a row of `publications` for each, in the same commit; the row is deleted once the
broker has acknowledged. There is no cursor that could step over anything: on PostgreSQL a message with a smaller id may
become visible after one with a larger id was published (two doors, the slower commit), and it is then simply still there.

Whoever publishes holds a lease of the stream, so that messages go out in the order of their ids. Two that each think they
hold it only repeat what the broker knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, and_, delete, select, text, update

from adapter.store import tables as t
from adapter.store.bulk import rows_as
from adapter.store.configuration import lock_configuration, raise_version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from adapter.clock import Millis


@dataclass(frozen=True, slots=True)
class Lease:
    """Who publishes to a stream, until when, and what for."""

    stream: str
    holder: str = field(repr=False)
    until: Millis


def begin(connection: Connection) -> None:
    """Have every door mark what it writes from now on, whichever process it is in."""
    lock_configuration(connection)
    if not connection.execute(select(t.configuration.c.publishes)).scalar_one():
        connection.execute(update(t.configuration).values(publishes=1))
        raise_version(connection)


def end(connection: Connection) -> int:
    """Have nothing marked any more, and forget what was not published; return how much that was."""
    lock_configuration(connection)
    connection.execute(update(t.configuration).values(publishes=0))
    raise_version(connection)
    connection.execute(delete(t.streams))
    return int(connection.execute(delete(t.publications)).rowcount)


def waiting(connection: Connection, environments: Collection[int], most: int) -> Sequence[Any]:
    """Return messages of these environments to publish, smallest id first, with what their publication needs."""
    wait, message = t.publications.c, t.messages.c
    columns = (message.env, message.id, message.type, message.member, message.sequence)
    query = (
        select(*columns, message.created_at, message.body)
        .join_from(t.publications, t.messages, and_(message.env == wait.env, message.id == wait.message))
        .where(wait.env.in_(environments))
        .order_by(wait.message, wait.env)
        .limit(most)
    )
    return connection.execute(query).all()


def hold(connection: Connection, lease: Lease, now: Millis) -> bool:
    """Take a lease or make it longer; return False where another one holds it."""
    statement = text(
        "INSERT INTO streams (name, holder, lease_until) VALUES (:stream, :holder, :until)"
        " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until"
        " WHERE streams.holder = excluded.holder OR streams.lease_until <= :now"
    )
    named = {"stream": lease.stream, "holder": lease.holder, "until": lease.until, "now": now}
    return connection.execute(statement, named).rowcount == 1


def let_go(connection: Connection, lease: Lease) -> None:
    """Let another one publish at once."""
    held = (t.streams.c.name == lease.stream, t.streams.c.holder == lease.holder)
    connection.execute(update(t.streams).where(*held).values(lease_until=0))


def published(connection: Connection, lease: Lease, rows: Sequence[Any], now: Millis) -> bool:
    """Mark messages as published, and make the lease longer; return False where another one has it by now."""
    told = orjson.dumps([{"env": row.env, "message": row.id} for row in rows]).decode()
    gone = rows_as(connection, "w", ("env", "message"))
    statement = f"DELETE FROM publications WHERE (env, message) IN (SELECT w.env, w.message FROM {gone})"  # noqa: S608 - names of ours
    connection.execute(text(statement), {"rows": told})
    held = (t.streams.c.name == lease.stream, t.streams.c.holder == lease.holder)
    ours = update(t.streams).where(*held).values(published_at=now, lease_until=lease.until)
    return connection.execute(ours).rowcount == 1
