"""The book beside retention: right without the messages and the bytes that are gone, and plain about what it cannot do."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, select, text, update
from structlog.testing import capture_logs

from adapter.engine import retention
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.errors import Conflict
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.store.retention import RetentionSettings
from tests.engine.test_audit import read
from tests.shop import (
    DAY,
    NOW,
    configure,
    customer,
    enrol,
    member_of,
    placed,
    play,
    recorded,
    refunded,
    shipped,
    turn,
)

if TYPE_CHECKING:
    from pathlib import Path

MAIN = Program.model_validate({"name": "main", "earning": {"rate": "1"}})
KEPT = RetentionSettings(messages_days=30, events_days=10)
LATER = NOW + 31 * DAY


def prune(engine: Engine, now: int = LATER, *, resuming: bool = False) -> dict[str, int]:
    return retention.prune(engine, KEPT, now, resuming=resuming, pause=lambda _seconds: None)


def column(engine: Engine, wanted: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(wanted).order_by(wanted.table.c.id)).scalars())


def deliver(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(t.deliveries).values(state="delivered"))


def test_a_book_is_right_without_its_old_messages(database: Engine) -> None:
    configure(database, MAIN)
    play(database, [recorded(placed()), recorded(shipped())])
    deliver(database)
    old = len(column(database, t.messages.c.id))
    play(
        database, [recorded(refunded())], now=NOW + 20 * DAY
    )  # what tells of it waits, and is too young anyway
    assert prune(database)["messages"] == old
    assert column(database, t.messages.c.id)
    assert audit(database) == []
    with database.begin() as connection:
        connection.execute(text("DELETE FROM messages"))
    assert [line.partition(": ")[2] for line in audit(database)] == ["change 3 has 0 messages"]


def test_events_lose_their_bytes_and_nothing_else(database: Engine) -> None:
    """The same webhook has no second effect, a late refund is settled with what is known."""
    configure(database, MAIN)
    known = [recorded(customer(email="ada@example.com")), recorded(placed()), recorded(shipped())]
    play(database, [*known, enrol(5), recorded(refunded("2", "r9"))])
    assert column(database, t.events.c.state) == [*["applied"] * 4, "parked"]
    assert prune(database, resuming=True)["events"] == 4
    *emptied, parked = column(database, t.events.c.body)
    assert (set(emptied), bool(parked)) == ({b""}, True)
    assert all(outcome.duplicate for outcome in play(database, known))
    play(database, [recorded(refunded())], now=LATER)
    assert audit(database) == []
    play(
        database, [turn(9, member_of(database), "erased")], now=LATER
    )  # of what is gone nothing is to be scrubbed
    with pytest.raises(Conflict, match=r"4 events were removed \(retention.events_days\)"):
        rebuild(database, read)


def test_what_was_set_aside_then_is_emptied_on_demand(database: Engine) -> None:
    configure(database, MAIN)
    play(database, [recorded(refunded()), recorded(customer())])
    assert prune(database, resuming=True)["events"] == 1
    play(database, [recorded(placed())], now=NOW + DAY)
    assert column(database, t.events.c.state) == ["applied"] * 3
    assert prune(database, resuming=True)["events"] == 1
    assert prune(database)["events"] == 1
    assert set(column(database, t.events.c.body)) == {b""}


def test_the_loop_outlives_a_database_that_is_away(tmp_path: Path) -> None:
    """Without tables it fails, with them it goes on, and stops when it is told to."""
    engine, stop, rounds = open_database(f"sqlite:///{tmp_path}/away.db"), threading.Event(), []

    def clock() -> int:
        rounds.append(1)
        if len(rounds) == 2:
            t.metadata.create_all(engine)
        if len(rounds) == 4:
            stop.set()
        return NOW

    with capture_logs() as logs:
        retention.run(engine, replace(KEPT, interval_s=0.001), clock, stop)
    assert len(rounds) == 4
    assert [(one["event"], one["log_level"]) for one in logs] == [("retention waits", "warning")]
    engine.dispose()
