"""The health of endpoints as their rows keep it, and what follows when it turns.

Written only where it changed: while all is well, a batch of answers costs one read here and no write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from adapter.delivery import switching
from adapter.delivery.health import Health, after
from adapter.store.bulk import rows_as
from adapter.store.configuration import raise_version
from adapter.store.locks import lock_of
from adapter.store.worded import worded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from adapter.clock import Millis
    from adapter.delivery.answer import Answer
    from adapter.delivery.settings import DeliverySettings
    from adapter.delivery.slots import Key


@dataclass(frozen=True, slots=True)
class Standing:
    """The health of each endpoint after a batch of answers, and how many were switched by it."""

    of: Mapping[Key, Health]
    disabled: int = 0
    enabled: int = 0


def update_standing(
    connection: Connection,
    answers: Iterable[tuple[Key, Millis, Answer]],
    settings: DeliverySettings,
    *,
    now: Millis,
) -> Standing:
    """Take answers, each with the instant at which it came, into the health of their endpoints."""
    heard: dict[Key, list[tuple[Millis, Answer]]] = {}
    for key, at, answer in sorted(answers, key=lambda each: each[1]):
        heard.setdefault(key, []).append((at, answer))
    seen = read_health(connection, sorted(heard))
    changing = [key for key, was in seen.items() if after(was, heard[key], settings) != was]
    before = read_health(connection, changing, lock=True)
    changed = {key: after(was, heard[key], settings) for key, was in before.items()}
    _write(connection, changed)
    turned = {key: new for key, new in changed.items() if new.enabled != before[key].enabled}
    for key, new in turned.items():
        _switch(connection, key, new, now)
    enabled = sum(new.enabled for new in turned.values())
    return Standing({**seen, **changed}, disabled=len(turned) - enabled, enabled=enabled)


def read_health(connection: Connection, keys: Sequence[Key], *, lock: bool = False) -> dict[Key, Health]:
    """Return the health of endpoints; a removed endpoint has none."""
    if not keys:
        return {}
    asked = rows_as(connection, "c", ("env", "id"))
    tail = lock_of(connection, "e") if lock else ""
    statement = worded(
        "SELECT e.env, e.id, e.state, e.disabled_reason, e.failing_since, e.failures, e.probe_at,"  # noqa: S608 - names of ours
        " e.updated_at"
        f" FROM endpoints AS e JOIN {asked} ON c.env = e.env AND c.id = e.id"
        f" ORDER BY e.env, e.id{tail}"
    )
    rows = orjson.dumps([{"env": env, "id": id_} for env, id_ in keys]).decode()
    return {
        (row.env, row.id): Health(
            row.state == "enabled",
            row.disabled_reason,
            row.failing_since,
            row.failures,
            row.probe_at,
            row.updated_at,
        )
        for row in connection.execute(statement, {"rows": rows})
    }


def _write(connection: Connection, changed: Mapping[Key, Health]) -> None:
    if changed:
        connection.execute(
            worded(
                "UPDATE endpoints SET state = :state, disabled_reason = :reason, failing_since = :since,"
                " failures = :failures, probe_at = :probe_at, updated_at = :changed_at"
                " WHERE env = :env AND id = :id"
            ),
            [_values(key, each) for key, each in changed.items()],
        )


def _values(key: Key, each: Health) -> dict[str, Any]:
    return {
        "env": key[0],
        "id": key[1],
        "state": "enabled" if each.enabled else "disabled",
        "reason": each.reason,
        "since": each.failing_since,
        "failures": each.failures,
        "probe_at": each.probe_at,
        "changed_at": each.changed_at,
    }


def _switch(connection: Connection, key: Key, new: Health, now: Millis) -> None:
    """Hold or release the deliveries of an endpoint that was just disabled or enabled."""
    raise_version(connection)
    if new.enabled:
        switching.release(connection, *key, now)
        return
    switching.hold(connection, *key, now)
    switching.announce_disabled(
        connection, *key, now=now, reason=new.reason, failing_since=new.failing_since, failures=new.failures
    )
