"""Sessions: a caller's own id that stands for a member for a while, so that a till names them once.

A session changes nothing in the book. It is kept a while after its end (`retention.py`), so that its
end can be told.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.clock import Millis


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
