"""Sending again because somebody asked: from a frozen selection, each delivery once, at any moment resumable.

A replay is decided in one commit: which deliveries it is about, and how many. From then on the dispatcher
moves its items, a chunk at a time: *waiting* → *queued* (the delivery is due, from the beginning of its
schedule) → *sent* or *failed*, when the delivery has an end again. All of that is in the database, so a
restart goes on where it stood.

A delivery that another attempt is about to reach is waited for, and then sent again: who asks twice gets it
twice. One that waits for a later retry is taken over and sent now.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from adapter.clock import Millis, iso
from adapter.delivery.switching import new_delivery
from adapter.errors import NotFound, Refused
from adapter.ids import new_id, show
from adapter.messages import MessageType
from adapter.store import tables as t
from adapter.store.bulk import bulk_insert
from adapter.store.configuration import load_catalog
from adapter.store.locks import lock_of
from adapter.store.reading.kept import check_kept
from adapter.store.retention import hold_replays
from adapter.store.rows import DELIVERY_COLUMNS
from adapter.store.worded import worded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from adapter.catalog import Endpoint
    from adapter.delivery.claim import Claimed

STATES = ("due", "claimed", "delivered", "dead", "held")
_ITEM = ("env", "replay", "delivery", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a replay is about. Everything given must hold.

    `since` and `until` look at when the message was made.

    Without a state or a delivery, what is still on its way (due or claimed) is left out. `missing` selects
    instead the messages that the endpoint's filter wants now and that it never got a delivery for.
    """

    delivery: int | None = None
    state: str | None = None
    endpoint: int | None = None
    since: Millis | None = None
    until: Millis | None = None
    type: str | None = None
    member: int | None = None
    missing: bool = False

    def check(self) -> None:
        """Raise `Refused` where it selects nothing that makes sense."""
        if self.state is not None and self.state not in STATES:
            raise _invalid("state", f"it must be one of {', '.join(STATES)}")
        if self.missing and self.endpoint is None:
            raise _invalid("endpoint", "say which endpoint is missing something")
        if self.missing and (self.delivery is not None or self.state is not None):
            raise _invalid("missing", "what was never attempted has no delivery and no state")
        if self == Selection():
            raise _invalid(
                "filter", "say what to send again: a delivery, a state, an endpoint, a time, a type, a member"
            )


def create(connection: Connection, env: int, selection: Selection, *, now: Millis) -> dict[str, Any]:
    """Freeze a selection as a replay and return its progress. Raises `NotFound` and `Refused`."""
    selection.check()
    hold_replays(connection, env)
    chosen = (
        _missing(connection, env, selection, now)
        if selection.missing
        else list(connection.execute(_chosen(selection, env)).scalars())
    )
    if selection.delivery is not None and not chosen:
        check_kept(connection, env, t.deliveries, show("dlv", selection.delivery))
        raise NotFound(f"there is no delivery {show('dlv', selection.delivery)}", field="delivery")
    replay = new_id(now)
    given = {name: value for name, value in asdict(selection).items() if value not in (None, False)}
    connection.execute(
        insert(t.replays).values(
            env=env,
            id=replay,
            filter=orjson.dumps(given).decode(),
            selected=len(chosen),
            created_at=now,
            finished_at=None if chosen else now,
        )
    )
    items = [{"env": env, "replay": replay, "delivery": delivery, "state": "waiting"} for delivery in chosen]
    bulk_insert(connection, t.replay_items, items, _ITEM)
    return progress(connection, env, replay)


def count(connection: Connection, env: int, selection: Selection) -> int:
    """Return how many deliveries a replay of this would be about now. Raises `Refused`.

    What an endpoint is `missing` has no deliveries that could be counted.
    """
    selection.check()
    chosen = _chosen(selection, env).order_by(None).subquery()
    return int(connection.execute(select(func.count()).select_from(chosen)).scalar_one())


def progress(connection: Connection, env: int, replay: int) -> dict[str, Any]:
    """Return how far a replay is: selected = waiting + queued + sent + failed. Raises `NotFound`."""
    row = connection.execute(
        select(t.replays).where(t.replays.c.env == env, t.replays.c.id == replay)
    ).first()
    if row is None:
        raise NotFound(f"there is no replay {show('rpl', replay)}", field="replay")
    counted = connection.execute(
        worded(
            "SELECT state, count(*) AS n FROM replay_items"
            " WHERE env = :env AND replay = :replay GROUP BY state"
        ),
        {"env": env, "replay": replay},
    )
    states = {each.state: each.n for each in counted}
    return {
        "id": show("rpl", replay),
        "selected": row.selected,
        **{state: states.get(state, 0) for state in ("waiting", "queued", "sent", "failed")},
        "filter": _shown_filter(orjson.loads(row.filter)),
        "created_at": iso(row.created_at),
        "finished_at": None if row.finished_at is None else iso(row.finished_at),
    }


def listed(
    connection: Connection, env: int, *, limit: int = 100, before: int | None = None
) -> list[dict[str, Any]]:
    """Return the newest replays with their progress; `before` is the id that the last page ended with."""
    ids = select(t.replays.c.id).where(t.replays.c.env == env).order_by(t.replays.c.id.desc()).limit(limit)
    if before is not None:
        ids = ids.where(t.replays.c.id < before)
    return [progress(connection, env, replay) for replay in connection.execute(ids).scalars().all()]


def unfinished(connection: Connection) -> list[tuple[int, int]]:
    """Return the replays that are not finished, (env, id), the oldest first; reads only."""
    return [(row.env, row.id) for row in connection.execute(_UNFINISHED)]


_UNFINISHED = (
    select(t.replays.c.env, t.replays.c.id).where(t.replays.c.finished_at.is_(None)).order_by(t.replays.c.id)
)


def feed(connection: Connection, env: int, replay: int, *, now: Millis, chunk: int) -> int:
    """Make due what a replay waits for, so that at most `chunk` of it are due at once; return how many."""
    queued = connection.execute(
        worded(
            "SELECT count(*) FROM replay_items WHERE env = :env AND replay = :replay AND state = 'queued'"
        ),
        {"env": env, "replay": replay},
    ).scalar_one()
    ready = connection.execute(
        worded(
            "SELECT d.id FROM replay_items AS r JOIN deliveries AS d ON d.env = r.env AND d.id = r.delivery"  # noqa: S608 - names of ours
            " JOIN endpoints AS e ON e.env = d.env AND e.id = d.endpoint"
            " WHERE r.env = :env AND r.replay = :replay AND r.state = 'waiting' AND e.state = 'enabled'"
            " AND (d.state IN ('delivered', 'dead', 'held')"
            "  OR (d.state = 'due' AND d.replay IS NULL AND d.next_attempt_at > :now))"
            f" ORDER BY d.id LIMIT :most{lock_of(connection, 'd')}"
        ),
        {"env": env, "replay": replay, "now": now, "most": max(chunk - queued, 0)},
    )
    moved = [{"key_env": env, "key_id": id_, "key_replay": replay, "now": now} for id_ in ready.scalars()]
    if moved:
        connection.execute(_MAKE_DUE, moved)
        connection.execute(_MOVE_ITEM, [{**each, "to": "queued"} for each in moved])
    _finish(connection, [(env, replay)], now)
    return len(moved)


def settle_items(connection: Connection, ended: Iterable[tuple[Claimed, str]], now: Millis) -> None:
    """Note how the deliveries of replays stand after an attempt: (what was claimed, its state now)."""
    meaning = {"delivered": "sent", "dead": "failed", "held": "waiting"}
    moved: list[dict[str, Any]] = [
        {"key_env": claimed.env, "key_id": claimed.id, "key_replay": claimed.replay, "to": meaning[state]}
        for claimed, state in ended
        if claimed.replay is not None and state in meaning
    ]
    if moved:
        connection.execute(_MOVE_ITEM, moved)
        _finish(connection, sorted({(each["key_env"], each["key_replay"]) for each in moved}), now)


_MAKE_DUE = (
    update(t.deliveries)
    .where(t.deliveries.c.env == bindparam("key_env"), t.deliveries.c.id == bindparam("key_id"))
    .values(
        state="due",
        step=0,
        replay=bindparam("key_replay"),
        next_attempt_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)
_MOVE_ITEM = (
    update(t.replay_items)
    .where(
        t.replay_items.c.env == bindparam("key_env"),
        t.replay_items.c.replay == bindparam("key_replay"),
        t.replay_items.c.delivery == bindparam("key_id"),
    )
    .values(state=bindparam("to"))
)


def _finish(connection: Connection, replays: Sequence[tuple[int, int]], now: Millis) -> None:
    connection.execute(
        worded(
            "UPDATE replays SET finished_at = :now WHERE env = :env AND id = :replay AND finished_at IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM replay_items AS r"
            " WHERE r.env = replays.env AND r.replay = replays.id"
            " AND r.state IN ('waiting', 'queued'))"
        ),
        [{"env": env, "replay": replay, "now": now} for env, replay in replays],
    )


def _chosen(selection: Selection, env: int) -> Select[Any]:
    d, m = t.deliveries.c, t.messages.c
    query = (
        select(d.id)
        .join(t.messages, (m.env == d.env) & (m.id == d.message))
        .join(t.endpoints, (t.endpoints.c.env == d.env) & (t.endpoints.c.id == d.endpoint))
        .where(d.env == env, *_about_message(selection))
        .order_by(d.id)
    )
    if selection.delivery is not None:
        query = query.where(d.id == selection.delivery)
    if selection.endpoint is not None:
        query = query.where(d.endpoint == selection.endpoint)
    if selection.state is not None:
        query = query.where(d.state == selection.state)
    elif selection.delivery is None:
        query = query.where(d.state.in_(("delivered", "dead", "held")))
    return query


def _missing(connection: Connection, env: int, selection: Selection, now: Millis) -> list[int]:
    """Create the deliveries that an endpoint never had for messages it wants, and return them."""
    endpoint = _endpoint(connection, env, selection.endpoint or 0)
    wanted = [name for name in MessageType if endpoint.wants(name) and name != MessageType.ENDPOINT_TEST]
    d, m = t.deliveries.c, t.messages.c
    had = select(d.id).where(d.env == m.env, d.endpoint == endpoint.id, d.message == m.id).exists()
    query = (
        select(m.id, m.member)
        .where(m.env == env, m.type.in_(wanted), ~had, *_about_message(selection))
        .order_by(m.id)
    )
    rows = [
        {**new_delivery(endpoint, row.id, now, row.member), "state": "held"}
        for row in connection.execute(query)
    ]
    bulk_insert(connection, t.deliveries, rows, DELIVERY_COLUMNS)
    return [row["id"] for row in rows]


def _about_message(selection: Selection) -> list[Any]:
    m = t.messages.c
    conditions = {
        "since": m.created_at >= selection.since if selection.since is not None else None,
        "until": m.created_at < selection.until if selection.until is not None else None,
        "type": m.type == selection.type if selection.type is not None else None,
        "member": m.member == selection.member if selection.member is not None else None,
    }
    return [condition for condition in conditions.values() if condition is not None]


def _endpoint(connection: Connection, env: int, endpoint: int) -> Endpoint:
    found = load_catalog(connection).endpoints.get((env, endpoint))
    if found is None:
        raise NotFound(f"there is no endpoint {show('end', endpoint)}", field="endpoint")
    return found


def _shown_filter(given: dict[str, Any]) -> dict[str, Any]:
    prefixes = {"delivery": "dlv", "endpoint": "end", "member": "mem"}
    shown: dict[str, Any] = {
        name: show(prefixes[name], value) if name in prefixes else value for name, value in given.items()
    }
    return shown | {name: iso(shown[name]) for name in ("since", "until") if name in shown}


def _invalid(field: str, reason: str) -> Refused:
    return Refused(f"{field}: {reason}", code="replay_invalid", field=field)
