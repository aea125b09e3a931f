"""How far the work is behind, for the metrics: each figure is the first entry of an index, or a few of the newest rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, func, select

from adapter.store import tables as t
from adapter.store.reading.publications import unpublished

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.clock import Millis

NEWEST_EVENTS = 100
NEWEST_CREDITS = 1000
RECENT_MS = 300_000
SET_ASIDE = ("parked", "rejected")

Label = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lags:
    """Seconds and counts, by label values; (tenant, mode) come first."""

    sweep_s: float  # since time should have changed the balance that is due longest
    book_s: dict[Label, float]  # from an event's receipt to its commit, the most of the last five minutes'
    set_aside_s: dict[Label, float]  # (…, state): age of the oldest event that is parked or rejected
    credit_s: dict[Label, float]  # mean time until credited points could be used, of the newest credits
    endpoints: dict[Label, int]  # (…, state)
    unpublished: dict[Label, int]  # messages that the event stream's broker does not have yet
    unpublished_s: float  # age of the oldest of them


def read_lags(connection: Connection, named: Mapping[int, Label], now: Millis) -> Lags:
    """Read all figures of these environments."""
    waits = unpublished(connection)
    return Lags(
        sweep_s=max(
            _seconds(now, _first_due(connection, table, now)) for table in (t.balances, t.memberships)
        ),
        book_s={label: _book_lag(connection, env, now) for env, label in named.items()},
        set_aside_s={
            (*label, state): _oldest(connection, env, state, now)
            for env, label in named.items()
            for state in SET_ASIDE
        },
        credit_s=_means(connection, named),
        endpoints=_endpoints(connection, named),
        unpublished={named[env]: one.count for env, one in waits.items()},
        unpublished_s=max((_seconds(now, one.oldest_at) for one in waits.values()), default=0.0),
    )


def _first_due(connection: Connection, table: Any, now: Millis) -> Millis | None:
    due = table.c.next_due_at
    first: Millis | None = connection.execute(select(func.min(due)).where(due <= now)).scalar_one()
    return first


def _seconds(now: Millis, since: Millis | None) -> float:
    return 0.0 if since is None else max(now - int(since), 0) / 1000


def _book_lag(connection: Connection, env: int, now: Millis) -> float:
    """Events that are taken in again keep when they came, so only those that came lately say how it goes."""
    newest = _newest(t.events, env, NEWEST_EVENTS, t.events.c.received_at, t.events.c.posted_at).subquery()
    lag = func.max(newest.c.posted_at - newest.c.received_at)
    found = connection.execute(select(lag).where(newest.c.received_at > now - RECENT_MS)).scalar_one()
    return max(int(found or 0), 0) / 1000


def _newest(table: Any, env: int, number: int, *columns: Any) -> Select[Any]:
    return select(*columns).where(table.c.env == env).order_by(table.c.id.desc()).limit(number)


def _oldest(connection: Connection, env: int, state: str, now: Millis) -> float:
    events = t.events.c
    query = select(events.received_at).where(
        events.env == env, events.state == state, events.state != "applied"
    )
    return _seconds(now, connection.execute(query.order_by(events.id).limit(1)).scalar_one_or_none())


def _means(connection: Connection, named: Mapping[int, Label]) -> dict[Label, float]:
    """Return the mean of (usable - created); an environment without such a credit has none.

    Credits of orders are complete once they can be used; others may wait after that, and say until when.
    """
    found: dict[Label, float] = {}
    rows = t.transactions.c
    for env, label in named.items():
        newest = _newest(
            t.transactions,
            env,
            NEWEST_CREDITS,
            rows.kind,
            rows.state,
            rows.created_at,
            func.coalesce(rows.available_at, rows.completed_at).label("usable_at"),
        ).subquery()
        waited = newest.c.usable_at - newest.c.created_at
        query = select(func.sum(waited), func.count(waited)).where(
            newest.c.kind == "credit", newest.c.state == "completed"
        )
        total, number = connection.execute(query).one()
        if number:
            found[label] = int(total) / number / 1000
    return found


def _endpoints(connection: Connection, named: Mapping[int, Label]) -> dict[Label, int]:
    """Return how many are in each state, zero included, so that an alert sees one come and go."""
    found = {(*label, state): 0 for label in named.values() for state in ("enabled", "disabled")}
    columns = t.endpoints.c
    for env, state, number in connection.execute(
        select(columns.env, columns.state, func.count()).group_by(columns.env, columns.state)
    ):
        found[*named[env], state] = number
    return found
