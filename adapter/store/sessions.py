"""Sessions: a caller's own id that stands for a member for a while, so that a till names them once.

A session changes nothing in the book. It is kept a while after its end, so that its end can be told.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.clock import Millis

KEPT_MS = 30 * 86_400_000
FORGET_MOST = 20
"""A request begins one session and forgets at most this many."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session, over from `ends_at` on. Without a member nobody is known in it."""

    env: int
    name: str
    member: int | None
    known_by: str
    begun_at: Millis
    ends_at: Millis


def begin_session(connection: Connection, session: Session) -> Session:
    """Begin a session; where one of its name was begun before, return that one. Of two at once one begins it."""
    _forget(connection, session.begun_at - KEPT_MS)
    try:
        with connection.begin_nested():
            connection.execute(insert(t.sessions).values(asdict(session)))
    except IntegrityError:
        found = find_session(connection, session.env, session.name)
        assert found is not None
        return found
    return session


def find_session(connection: Connection, env: int, name: str) -> Session | None:
    """Return a session of this environment, over or not."""
    columns = t.sessions.c
    row = connection.execute(select(t.sessions).where(columns.env == env, columns.name == name)).one_or_none()
    return None if row is None else Session(*row)


def _forget(connection: Connection, before: Millis) -> None:
    """Forget a few sessions that were over by then, leaving those that another is just forgetting."""
    columns = t.sessions.c
    over = select(columns.env, columns.name).where(columns.ends_at < before).order_by(columns.ends_at)
    chosen = over.limit(FORGET_MOST).with_for_update(skip_locked=True)
    gone = [(row.env, row.name) for row in connection.execute(chosen)]
    if gone:
        connection.execute(delete(t.sessions).where(tuple_(columns.env, columns.name).in_(gone)))
