"""What a person should look at in one environment, counted up to a bound: each figure is the beginning of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.clock import Millis

MOST = 1000
"""Counts go up to one more than this, which says that there are more."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries that have no answer yet."""

    due: int  # those that a request is under way for as well
    dead: int
    held: int
    due_since: (
        Millis | None
    )  # when the one that is due longest was to be sent; the future: when the next one is


@dataclass(frozen=True, slots=True)
class SetAside:
    """Events that have no effect, and when the oldest of them came."""

    number: int
    since: Millis | None


def read_waiting(connection: Connection, env: int) -> Waiting:
    """Count the deliveries of an environment."""
    columns = t.deliveries.c
    counted = {
        name: _counted(connection, and_(columns.env == env, columns.state.in_(states)), t.deliveries)
        for name, states in {"due": ("due", "claimed"), "dead": ("dead",), "held": ("held",)}.items()
    }
    of_endpoint = (
        select(columns.next_attempt_at)
        .where(
            columns.env == env, columns.endpoint == t.endpoints.c.id, columns.state.in_(("due", "claimed"))
        )
        .order_by(columns.next_attempt_at)
        .limit(1)
        .correlate(t.endpoints)
        .scalar_subquery()
    )
    first = select(of_endpoint.label("at")).where(t.endpoints.c.env == env).subquery()
    return Waiting(**counted, due_since=connection.execute(select(func.min(first.c.at))).scalar_one())


def count_disabled(connection: Connection, env: int) -> int:
    """Count the endpoints that nothing is sent to."""
    columns = t.endpoints.c
    return _counted(connection, and_(columns.env == env, columns.state == "disabled"), t.endpoints)


def read_set_aside(connection: Connection, env: int, state: str) -> SetAside:
    """Count the events in a state other than `applied`."""
    columns = t.events.c
    such = and_(columns.env == env, columns.state == state, columns.state != "applied")
    oldest = select(columns.received_at).where(such).order_by(columns.id).limit(1)
    return SetAside(_counted(connection, such, t.events), connection.execute(oldest).scalar_one_or_none())


def count_flagged(connection: Connection, env: int) -> int:
    """Count the redemptions that nobody has looked at although somebody should."""
    columns = t.redemptions.c
    such = and_(columns.env == env, columns.flagged.is_not(None), columns.flag_cleared_at.is_(None))
    return _counted(connection, such, t.redemptions)


def _counted(connection: Connection, such: ColumnElement[bool], table: Any) -> int:
    bounded: Select[Any] = select(table.c.id).where(such).limit(MOST + 1)
    return int(connection.execute(select(func.count()).select_from(bounded.subquery())).scalar_one())
