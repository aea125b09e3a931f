"""What the broker of the event stream does not have yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.clock import Millis


@dataclass(frozen=True, slots=True)
class Unpublished:
    """How many messages wait, and since when the oldest of them does."""

    count: int
    oldest_at: Millis


def unpublished(connection: Connection) -> dict[int, Unpublished]:
    """Return what waits, by environment; nothing for those where nothing does."""
    wait, message = t.publications.c, t.messages.c
    query = select(wait.env, func.count(), func.min(wait.message)).group_by(wait.env)
    found = {}
    for env, count, first in connection.execute(query).all():
        since = select(message.created_at).where(message.env == env, message.id == first)
        found[env] = Unpublished(count, connection.execute(since).scalar_one())
    return found


def last_published_at(connection: Connection) -> Millis | None:
    """Return when the broker last acknowledged something; None where it never did."""
    last: Millis | None = connection.execute(select(func.max(t.streams.c.published_at))).scalar_one()
    return last
