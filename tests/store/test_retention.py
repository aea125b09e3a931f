"""What is removed by age and state: everything that is over, nothing that somebody may still need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, func, insert, select, text
from sqlalchemy.exc import OperationalError

from adapter.delivery import replay
from adapter.engine.retention import measure, prune
from adapter.ids import new_id
from adapter.store import tables as t
from adapter.store.database import unit_of_work
from adapter.store.retention import DAY_MS, KINDS, RetentionSettings, Stretch, remove

NOW = 1_800_000_000_000
MONTH = RetentionSettings()
SENT = (t.removals, t.attempts, t.deliveries, t.messages, t.replay_items, t.replays, t.environments)


def at_once(_seconds: float) -> None:
    """Tests do not wait between batches."""


def number_of(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


# --- nothing that is still needed ever goes -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """A delivery: its state, how many days ago it changed last, its attempts, and where a replay has it."""

    state: str
    age: int
    attempts: int
    replay: str  # none, open or finished

    def over(self, days: int, dead_days: int) -> bool:
        if self.replay == "open":
            return False
        if self.state == "delivered":
            return self.age > days
        return self.state == "dead" and dead_days > 0 and self.age > dead_days


AGES = st.integers(0, 60)
DELIVERIES = st.builds(
    Sent,
    st.sampled_from(["due", "claimed", "held", "dead", "dead", *["delivered"] * 5]),
    AGES,
    st.integers(0, 3),
    st.sampled_from([*["none"] * 4, "open", "finished"]),
)
MESSAGES = st.lists(st.tuples(AGES, st.lists(DELIVERIES, max_size=3)), max_size=12)


@settings(max_examples=40)
@given(MESSAGES, st.integers(0, 40), st.one_of(st.just(0), st.integers(0, 20)), st.integers(1, 20))
def test_exactly_what_is_over_goes(
    database: Engine, messages: list[tuple[int, list[Sent]]], days: int, longer: int, batch: int
) -> None:
    """A message whose days are full and whose deliveries are all over; its whole story, and nothing of another's."""
    dead_days = days + longer if longer else 0
    kept = RetentionSettings(messages_days=days, dead_letters_days=dead_days, batch=batch)
    stays = write(database, messages, days, dead_days)
    foretold = measure(database, kept, NOW)
    removed = prune(database, kept, NOW, pause=at_once)
    assert removed == foretold.rows
    with database.connect() as connection:
        assert set(connection.execute(select(t.messages.c.id)).scalars()) == set(stays)
        left = connection.execute(select(t.deliveries.c.message, t.deliveries.c.attempts)).all()
    assert sorted((row.message, row.attempts) for row in left) == sorted(
        (id_, one.attempts) for id_, sent in stays.items() for one in sent
    )
    assert number_of(database, t.attempts) == sum(row.attempts for row in left)
    assert prune(database, kept, NOW, pause=at_once).total() == 0


def write(
    engine: Engine, messages: list[tuple[int, list[Sent]]], days: int, dead_days: int
) -> dict[int, list[Sent]]:
    """Write messages of these ages; return those that must stay, by their ids."""
    stays: dict[int, list[Sent]] = {}
    with unit_of_work(engine) as connection:
        for table in SENT:
            connection.execute(delete(table))
        row = {"id": 1, "tenant": "a", "mode": "test", "created_at": 0, "secret": b"s"}
        connection.execute(insert(t.environments).values(row))
        for id_, finished_at in ((1, None), (2, NOW)):
            connection.execute(
                insert(t.replays).values(
                    env=1, id=id_, filter="{}", selected=1, created_at=0, finished_at=finished_at
                )
            )
        for age, sent in messages:
            made = NOW - age * DAY_MS
            message = new_id(made)
            body = {"env": 1, "id": message, "type": "balance.updated", "created_at": made, "body": b"{}"}
            connection.execute(insert(t.messages).values(body))
            for one in sent:
                write_delivery(connection, message, one)
            if not (days and age > days and all(one.over(days, dead_days) for one in sent)):
                stays[message] = sent
    return stays


def write_delivery(connection: Any, message: int, sent: Sent) -> None:
    changed = NOW - sent.age * DAY_MS
    id_ = new_id(changed)
    connection.execute(
        insert(t.deliveries).values(
            env=1, id=id_, endpoint=id_, message=message, state=sent.state, attempts=sent.attempts, step=0,
            next_attempt_at=changed, fence=0, created_at=changed, updated_at=changed,
        )
    )  # fmt: skip
    for number in range(sent.attempts):
        connection.execute(
            insert(t.attempts).values(env=1, delivery=id_, number=number, started_at=changed, duration_ms=1)
        )
    if sent.replay != "none":
        replayed = 1 if sent.replay == "open" else 2
        item = {"env": 1, "replay": replayed, "delivery": id_, "state": "waiting"}
        connection.execute(insert(t.replay_items).values(item))


TAKEN = Sent("delivered", 31, 1, "none")


def test_a_commit_removes_no_more_than_a_batch(database: Engine) -> None:
    """Also where each message has several rows; and a single one that has more goes by itself."""
    write(database, [(31, [TAKEN, TAKEN])] * 7 + [(31, [TAKEN] * 10)], 30, 90)
    batches: list[int] = []
    removed = prune(database, replace(MONTH, batch=12), NOW, pause=at_once, progress=batches.append)
    assert removed == {"messages": 8, "deliveries": 24, "attempts": 24}
    assert [rows for rows in batches if rows] == [10, 10, 10, 5, 21]


def test_it_stops_between_two_commits_when_told_to(database: Engine) -> None:
    write(database, [(31, [TAKEN])] * 7, 30, 90)
    assert prune(database, replace(MONTH, batch=6), NOW, pause=lambda _seconds: True)["messages"] == 2
    assert number_of(database, t.messages) == 5


def test_zero_days_are_for_ever(database: Engine) -> None:
    write(database, [(30_000, [TAKEN])], 0, 0)
    assert prune(database, replace(MONTH, messages_days=0), NOW, pause=at_once).total() == 0


def test_who_begins_a_replay_waits_for_what_is_just_removed(postgres_database: Engine) -> None:
    """A replay never names a delivery that is gone: it would not come to its end."""
    write(postgres_database, [(31, [TAKEN])], 30, 90)
    with postgres_database.begin() as removing, postgres_database.begin() as asking:
        assert remove(removing, KINDS[0], Stretch(1, 0, NOW, MONTH)).ids
        asking.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            replay.create(asking, 1, replay.Selection(state="delivered"), now=NOW)


def test_what_has_ended_goes_too(database: Engine) -> None:
    """Answers under Idempotency-Keys at their end, sessions so many days after theirs; of every environment."""
    with unit_of_work(database) as connection:
        for n, (ends, env) in enumerate([(NOW, 1), (NOW - 5, 2), (NOW + 1, 1)]):
            key = {
                "env": env,
                "key": b"%d" % n,
                "request": b"",
                "status": 200,
                "answer": b"four",
                "expires_at": ends,
            }
            connection.execute(insert(t.idempotency_keys).values(key))
        for name, ends in (("old", NOW - 30 * DAY_MS), ("told", NOW - 29 * DAY_MS)):
            session = {"env": 1, "name": name, "known_by": "id", "begun_at": 0, "ends_at": ends}
            connection.execute(insert(t.sessions).values(session))
    found = measure(database, MONTH, NOW)
    assert (found.rows, found.size) == ({"idempotency_keys": 2, "sessions": 1}, 4 + 4 + 3)
    assert prune(database, replace(MONTH, batch=1), NOW, pause=at_once) == found.rows
    assert number_of(database, t.idempotency_keys) == number_of(database, t.sessions) == 1
    with database.connect() as connection:
        counted = connection.execute(select(t.removals.c.env, t.removals.c.name, t.removals.c.removed))
        assert sorted(tuple(row) for row in counted) == [
            (1, "idempotency_keys", 1),
            (1, "sessions", 1),
            (2, "idempotency_keys", 1),
        ]


# --- what it costs ------------------------------------------------------------------------------------------------------


def test_it_looks_along_keys_and_never_through_a_table(sqlite_database: Engine) -> None:
    write(sqlite_database, [(31, [TAKEN, replace(TAKEN, replay="open")]), (31, [TAKEN])], 30, 90)
    with unit_of_work(sqlite_database) as connection:
        over = {"env": 1, "key": b"", "request": b"", "status": 200, "answer": b"", "expires_at": 0}
        connection.execute(insert(t.idempotency_keys).values(over))
    sent: list[tuple[str, Any]] = []
    kept = replace(MONTH, events_days=30)
    event.listen(
        sqlite_database,
        "before_cursor_execute",
        lambda _c, _cursor, sql, values, *_more: sent.append((sql, values)),
    )
    prune(sqlite_database, kept, NOW, pause=at_once)
    asked = [(sql, values) for sql, values in sent if sql.startswith(("SELECT", "DELETE", "UPDATE"))]
    with sqlite_database.connect() as connection:
        steps = [
            row[3]
            for sql, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    assert len(asked) >= 9
    few = (
        "SCAN environments",
        "SCAN w",
        "SCAN json_each",
        "SEARCH p USING INDEX ix_replays_unfinished",
    )
    through = [step for step in steps if step.startswith("SCAN") or step.endswith("(env=?)")]
    assert [step for step in through if not step.startswith(few)] == []
