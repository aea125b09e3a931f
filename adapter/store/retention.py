"""Retention: what is no longer kept, chosen by age and state, and removed a few rows at a time.

A message goes with its deliveries and attempts as one: when every endpoint has taken it, or its schedule was used up, long
enough ago. It stays while one of its deliveries is due, under way or held, or has a place in a replay that is not finished.
Of an event only the headers and the body go, and never those of one that is parked or rejected: its key stays for ever, so
that a webhook that comes again has no second effect, and so do the facts that were in it.

`choose` says what would go among the next few rows, `remove` does it; both look along a primary key, so a batch costs the
same however long the table is. How much was removed is counted for good in `removals`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Table, bindparam, delete, select, text

from adapter.ids import first_id, made_at
from adapter.store import tables as t
from adapter.store.bulk import rows_as
from adapter.store.locks import lock_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from adapter.clock import Millis

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long things are kept, in days; 0: for ever."""

    messages_days: int = 30  # after every endpoint has taken it
    dead_letters_days: int = 90  # after its last attempt; never sooner than what was taken
    events_days: int = 0  # headers and bodies
    sessions_days: int = 30  # after their end
    batch: int = 500  # most rows that are removed in one commit
    interval_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """The next rows of one environment to look at: after an id, at most so many, with the ages of this moment."""

    env: int
    after: int
    now: Millis
    settings: RetentionSettings

    def before(self, days: int) -> Millis:
        """Return the instant before which something is older than that; 0 days: nothing is."""
        return self.now - days * DAY_MS if days else 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """What may go of a stretch: ids, rows by table, bytes; and the last id that was looked at, none at the end."""

    ids: tuple[int, ...]
    rows: Counter[str]
    size: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that are looked through in the order of their ids."""

    table: Table
    choose: Callable[[Connection, Stretch], Chosen]
    remove: Callable[[Connection, Stretch, Chosen], None]
    days: Callable[[RetentionSettings], int]
    resumes: bool  # what it passed by once is not looked at again by itself


# --- messages ---------------------------------------------------------------------------------------------------------

_NEEDED = (
    "NOT ((d.state = 'delivered' AND d.updated_at < :taken OR d.state = 'dead' AND d.updated_at < :dead)"
    # CROSS JOIN: SQLite then goes from the few replays to the item, and not through all items
    " AND NOT EXISTS (SELECT 1 FROM replays AS p CROSS JOIN replay_items AS i"
    "  WHERE p.env = d.env AND p.finished_at IS NULL"
    "  AND i.env = p.env AND i.replay = p.id AND i.delivery = d.id))"
)
_MESSAGES = text(
    "SELECT w.id, w.size, count(d.id) AS deliveries, coalesce(sum(d.attempts), 0) AS attempts,"  # noqa: S608 - names of ours
    f" count(CASE WHEN {_NEEDED} THEN 1 END) AS needed"
    " FROM (SELECT m.env, m.id, length(m.body) AS size FROM messages AS m"
    "  WHERE m.env = :env AND m.id > :after AND m.id < :before"
    "  AND NOT EXISTS (SELECT 1 FROM publications AS u WHERE u.env = m.env AND u.message = m.id)"  # the stream lacks it
    "  ORDER BY m.id LIMIT :most) AS w"
    " LEFT JOIN deliveries AS d ON d.env = w.env AND d.message = w.id"
    " GROUP BY w.id, w.size ORDER BY w.id"
)


def choose_messages(connection: Connection, stretch: Stretch) -> Chosen:
    """Choose messages, the oldest first: only so many that their deliveries and attempts fill a batch too."""
    settings = stretch.settings
    taken = stretch.before(settings.messages_days)
    dead = stretch.before(settings.dead_letters_days)
    given = {**_window(stretch, taken), "taken": taken, "dead": dead}
    found = connection.execute(_MESSAGES, given).all()
    ids: list[int] = []
    rows: Counter[str] = Counter()
    size = 0
    last: int | None = None
    for row in found:
        more = 1 + row.deliveries + row.attempts
        if not row.needed and ids and rows.total() + more > settings.batch:
            return Chosen(tuple(ids), rows, size, last)
        if not row.needed:
            ids.append(row.id)
            rows.update(messages=1, deliveries=row.deliveries, attempts=int(row.attempts))
            size += row.size
        last = row.id
    return Chosen(tuple(ids), rows, size, last if len(found) == settings.batch else None)


def remove_messages(connection: Connection, stretch: Stretch, chosen: Chosen) -> None:
    """Remove messages with their deliveries and attempts."""
    chosen_ids = f"SELECT k.id FROM {rows_as(connection, 'k', ('id',))}"  # noqa: S608 - names of ours
    theirs = f"SELECT d.id FROM deliveries AS d WHERE d.env = :env AND d.message IN ({chosen_ids})"  # noqa: S608 - names of ours
    for table, column, which in (
        ("attempts", "delivery", theirs),
        ("deliveries", "message", chosen_ids),
        ("messages", "id", chosen_ids),
    ):
        statement = text(f"DELETE FROM {table} WHERE env = :env AND {column} IN ({which})")  # noqa: S608 - names of ours
        connection.execute(statement, _listed(stretch, chosen))


# --- the bytes of events ----------------------------------------------------------------------------------------------

_EVENTS = text(
    "SELECT e.id, length(e.body) + length(e.headers) AS size, CASE WHEN e.state IN ('applied', 'ignored')"
    " AND e.emptied_at IS NULL AND e.received_at < :cutoff AND e.posted_at < :cutoff THEN 1 ELSE 0 END AS over"
    " FROM events AS e WHERE e.env = :env AND e.id > :after AND e.id < :before ORDER BY e.id LIMIT :most"
)


def choose_events(connection: Connection, stretch: Stretch) -> Chosen:
    """Choose events of which the bytes may go."""
    cutoff = stretch.before(stretch.settings.events_days)
    found = connection.execute(_EVENTS, {**_window(stretch, cutoff), "cutoff": cutoff}).all()
    over = [row for row in found if row.over]
    last = found[-1].id if len(found) == stretch.settings.batch else None
    size = sum(row.size for row in over)
    return Chosen(tuple(row.id for row in over), Counter(events=len(over)), size, last)


def empty_events(connection: Connection, stretch: Stretch, chosen: Chosen) -> None:
    """Remove the headers and the bodies of events; what else is known of them stays."""
    listed = rows_as(connection, "k", ("id",))
    statement = text(
        "UPDATE events SET headers = '{}', body = :nothing, emptied_at = :now"  # noqa: S608 - names of ours
        f" WHERE env = :env AND id IN (SELECT k.id FROM {listed})"
    )
    connection.execute(statement, {**_listed(stretch, chosen), "nothing": b"", "now": stretch.now})


KINDS = (
    Kind(t.messages, choose_messages, remove_messages, lambda settings: settings.messages_days, False),
    Kind(t.events, choose_events, empty_events, lambda settings: settings.events_days, True),
)


def remove(connection: Connection, kind: Kind, stretch: Stretch) -> Chosen:
    """Choose again in this unit of work, where nobody can begin a replay of it, remove that, and count it."""
    hold_replays(connection, stretch.env)
    chosen = kind.choose(connection, stretch)
    if chosen.ids:
        kind.remove(connection, stretch, chosen)
        count_removed(connection, stretch.env, chosen.rows, made_at(chosen.ids[-1]) + 1)
    return chosen


def hold_replays(connection: Connection, env: int) -> None:
    """Hold, until the commit, whoever is about to choose what to send again, or to remove what was sent."""
    lock_names(connection, [("retention", env)])


def _window(stretch: Stretch, before: Millis) -> dict[str, Any]:
    return {
        "env": stretch.env,
        "after": stretch.after,
        "before": first_id(before),
        "most": stretch.settings.batch,
    }


def _listed(stretch: Stretch, chosen: Chosen) -> dict[str, Any]:
    return {"env": stretch.env, "rows": orjson.dumps([{"id": one} for one in chosen.ids]).decode()}


# --- what has an end of its own ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ended:
    """Rows that say themselves when they end, by an index: nothing else is asked of them."""

    table: Table
    key: tuple[str, str]
    ends: str
    size: str
    days: Callable[[RetentionSettings], int | None]  # kept so long after their end; None: not at all

    def before(self, settings: RetentionSettings, now: Millis) -> Millis:
        """Return the instant up to which what has ended goes."""
        days = self.days(settings)
        return now if days is None else now - days * DAY_MS if days else 0

    def measure(self, connection: Connection, before: Millis) -> Iterable[tuple[int, int, int]]:
        """Return how many rows of which environment would go, and their bytes: (env, rows, bytes)."""
        statement = text(
            f"SELECT env, count(*), sum({self.size}) FROM {self.table.name} WHERE {self.ends} <= :before GROUP BY env"  # noqa: S608 - names of ours
        )
        return [(env, rows, size) for env, rows, size in connection.execute(statement, {"before": before})]

    def remove(self, connection: Connection, before: Millis, most: int) -> int:
        """Remove those that ended first, but for what another removes already; return how many."""
        columns = [self.table.c[name] for name in self.key]
        ends = self.table.c[self.ends]
        over = select(*columns).where(ends <= before).order_by(ends).limit(most)
        gone = [tuple(row) for row in connection.execute(over.with_for_update(skip_locked=True))]
        if gone:
            mine = [column == bindparam(f"key_{column.name}") for column in columns]
            values = [dict(zip((f"key_{name}" for name in self.key), row, strict=True)) for row in gone]
            connection.execute(delete(self.table).where(*mine), values)
        for env, rows in Counter(row[0] for row in gone).items():
            count_removed(connection, env, Counter({self.table.name: rows}), before)
        return len(gone)


ENDED = (
    Ended(t.idempotency_keys, ("env", "key"), "expires_at", "length(answer)", lambda _settings: None),
    Ended(t.sessions, ("env", "name"), "ends_at", "length(name)", lambda settings: settings.sessions_days),
)


# --- what was removed -------------------------------------------------------------------------------------------------

_COUNT = text(
    "INSERT INTO removals (env, name, removed, until) VALUES (:env, :name, :removed, :until)"
    " ON CONFLICT (env, name) DO UPDATE SET removed = removals.removed + excluded.removed,"
    " until = CASE WHEN excluded.until > removals.until THEN excluded.until ELSE removals.until END"
)


def count_removed(connection: Connection, env: int, rows: Counter[str], until: Millis) -> None:
    """Count rows that were removed, all of them made before an instant."""
    values: Sequence[dict[str, Any]] = [
        {"env": env, "name": name, "removed": removed, "until": until}
        for name, removed in sorted(rows.items())
        if removed
    ]
    if values:
        connection.execute(_COUNT, values)
