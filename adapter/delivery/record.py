"""Recording what came back, in one commit.

Attempts, deliveries, the health of endpoints and the progress of replays change together.

Only the holder of a delivery's newest fence may record. An answer that comes after its lease ran out and
somebody else claimed the delivery is dropped and counted as late: the newer claim will send again, under the
same `webhook-id`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from adapter.delivery.claim import neighbour
from adapter.delivery.replay import settle_items
from adapter.delivery.schedule import Dead, Decision, Delivered, RetryAt, decide
from adapter.delivery.standing import update_standing
from adapter.store import tables as t
from adapter.store.bulk import bulk_insert, rows_as
from adapter.store.locks import lock_of
from adapter.store.worded import worded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from adapter.catalog import Endpoint
    from adapter.clock import Millis
    from adapter.delivery.answer import Answer
    from adapter.delivery.claim import Claimed
    from adapter.delivery.health import Health
    from adapter.delivery.settings import DeliverySettings

_UPDATE = worded(
    "UPDATE deliveries SET state = :state, attempts = :attempts, step = :step, next_attempt_at = :at,"
    " lease_until = NULL, replay = :replay, last_status = :status, last_error = :error, updated_at = :now"
    " WHERE env = :env AND id = :id AND fence = :fence"
)
_DELIVERED = (
    "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, next_attempt_at = :now, lease_until = NULL,"
    " replay = NULL, last_status = c.status, last_error = NULL, updated_at = :now"
    " FROM {arrived} WHERE deliveries.env = c.env AND deliveries.id = c.id AND deliveries.fence = c.fence"
)
_ATTEMPT = ("env", "delivery", "number", "started_at", "duration_ms", "status", "error", "response")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that was made: for which claim, to which endpoint, when, and what came back."""

    claimed: Claimed
    endpoint: Endpoint
    started_at: Millis
    answer: Answer

    @property
    def ended_at(self) -> Millis:
        return self.started_at + self.answer.duration_ms


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many attempts ended how; `disabled` and `enabled` count endpoints."""

    delivered: int = 0
    retried: int = 0
    dead: int = 0
    held: int = 0
    late: int = 0
    disabled: int = 0
    enabled: int = 0


def record(
    connection: Connection,
    attempts: Sequence[Attempt],
    settings: DeliverySettings,
    *,
    now: Millis,
    random: Callable[[], float],
) -> Recorded:
    """Write down the outcomes of attempts. May be repeated with the same attempts if the commit fails."""
    timely = _timely(connection, attempts)
    standing = update_standing(
        connection, [(a.claimed.key, a.ended_at, a.answer) for a in timely], settings, now=now
    )
    rows = []
    for attempt in timely:
        decision = decide(
            now,
            attempt.claimed.step,
            attempt.endpoint.schedule,
            attempt.answer,
            random=random,
            retry_after_cap_s=settings.retry_after_cap_s,
        )
        rows.append(_row(attempt, decision, standing.of.get(attempt.claimed.key), now))
    bulk_insert(connection, t.attempts, [_attempt_row(attempt) for attempt in timely], _ATTEMPT)
    _update(connection, rows, now)
    settle_items(
        connection, [(a.claimed, str(row["state"])) for a, row in zip(timely, rows, strict=True)], now
    )
    _let_followers_go(connection, timely, rows, now)
    states = [row["state"] for row in rows]
    return Recorded(
        delivered=states.count("delivered"),
        retried=states.count("due"),
        dead=states.count("dead"),
        held=states.count("held"),
        late=len(attempts) - len(timely),
        disabled=standing.disabled,
        enabled=standing.enabled,
    )


def _update(connection: Connection, rows: Sequence[Mapping[str, Any]], now: Millis) -> None:
    """Write down the deliveries: those that arrived, almost all of them, by one statement, the others row by row."""
    arrived = [row for row in rows if row["state"] == "delivered"]
    others = [row for row in rows if row["state"] != "delivered"]
    if arrived:
        listed = rows_as(connection, "c", ("env", "id", "fence", "status"))
        asked = [{name: row[name] for name in ("env", "id", "fence", "status")} for row in arrived]
        values = {"rows": orjson.dumps(asked).decode(), "now": now}
        connection.execute(worded(_DELIVERED.format(arrived=listed)), values)
    if others:
        connection.execute(_UPDATE, others)


def _timely(connection: Connection, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Lock the deliveries and return the attempts whose claim still stands, in the order of their keys."""
    if not attempts:
        return []
    mine = rows_as(connection, "c", ("env", "id", "fence"))
    statement = worded(
        f"SELECT d.env, d.id, d.fence FROM deliveries AS d JOIN {mine} ON c.env = d.env AND c.id = d.id"  # noqa: S608 - names of ours
        f" AND c.fence = d.fence WHERE d.state = 'claimed' ORDER BY d.env, d.id{lock_of(connection, 'd')}"
    )
    asked = [{"env": a.claimed.env, "id": a.claimed.id, "fence": a.claimed.fence} for a in attempts]
    standing = connection.execute(statement, {"rows": orjson.dumps(asked).decode()}).all()
    by_claim = {(a.claimed.env, a.claimed.id, a.claimed.fence): a for a in attempts}
    return [by_claim[row.env, row.id, row.fence] for row in standing]


def _row(attempt: Attempt, decision: Decision, standing: Health | None, now: Millis) -> dict[str, Any]:
    """Return the values of the delivery after this attempt."""
    claimed, answer = attempt.claimed, attempt.answer
    state, step, at = "held", claimed.step, now
    match decision:
        case Delivered():
            state = "delivered"
        case Dead():
            state = "dead"
        case RetryAt(at=next_at, step=next_step) if standing is not None and standing.enabled:
            state, step, at = "due", next_step, next_at
    return {
        "env": claimed.env,
        "id": claimed.id,
        "fence": claimed.fence,
        "state": state,
        "step": step,
        "at": at,
        "attempts": claimed.attempts + 1,
        "replay": claimed.replay if state == "due" else None,
        "status": answer.status,
        "error": None if answer.delivered else answer.reason,
        "now": now,
    }


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    answer = attempt.answer
    return {
        "env": attempt.claimed.env,
        "delivery": attempt.claimed.id,
        "number": attempt.claimed.attempts + 1,
        "started_at": attempt.started_at,
        "duration_ms": answer.duration_ms,
        "status": answer.status,
        "error": answer.error,
        "response": answer.response,
    }


def _let_followers_go(
    connection: Connection, attempts: Sequence[Attempt], rows: Sequence[Mapping[str, Any]], now: Millis
) -> None:
    """Make the member's next delivery of an ordered endpoint due, where its turn has come.

    One that is due already is written all the same: another dispatcher may be putting it off at this moment, for it does
    not see yet that this one has ended. So it is waited for, and what it wrote gives way.
    """
    ended = [
        {
            "env": a.claimed.env,
            "endpoint": a.claimed.endpoint,
            "member": a.claimed.member,
            "message": a.claimed.message,
            "now": now,
        }
        for a, row in zip(attempts, rows, strict=True)
        if a.endpoint.ordered and a.claimed.member is not None and row["state"] in ("delivered", "dead")
    ]
    if ended:
        following = neighbour(
            env=":env", endpoint=":endpoint", member=":member", message=":message", later=True
        )
        connection.execute(
            worded(
                "UPDATE deliveries SET next_attempt_at ="  # noqa: S608 - names of ours
                " CASE WHEN next_attempt_at > :now THEN :now ELSE next_attempt_at END"
                " WHERE env = :env AND endpoint = :endpoint AND state = 'due' AND step = 0"
                f" AND message = {following}"
            ),
            ended,
        )
