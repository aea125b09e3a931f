"""Audit names whatever is corrupted; rebuild finds whatever the stored events do not explain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import Engine, select, text

from adapter.commands import Elapse, RecordEvent
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.events import Event, EventType
from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import (
    DAY,
    NOW,
    configure,
    customer,
    line,
    paid,
    placed,
    play,
    recorded,
    refunded,
    shipped,
    tell_lots,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.catalog import Source
    from connectors.base import RawEvent

MAIN = Program.model_validate(
    {
        "name": "main",
        "earning": {"rate": "1", "award_on": "order.shipped", "hold_days": 2},
        "expiry": {"months": 1},
    }
)

LIFE = [
    recorded(customer("7000", email="ada@example.com")),
    recorded(placed("1", line(1, "60.00"), line(2, "29.99"))),
    recorded(paid("1")),
    recorded(shipped("1", lines=[("1", "1")])),
    recorded(shipped("1", "s2", lines=[("2", "1")])),
    recorded(refunded("1", amount="30.00", lines=[("1", "1", "30.00")])),
    recorded(placed("2", customer="7001"), shipped("2", at=NOW - DAY)),
    recorded(placed("3", line(1, "20.00"))),
    recorded(placed("4", customer=None, email="guest@example.com")),
]


def read(_source: Source, raw: RawEvent) -> RecordEvent:
    events = msgspec.json.decode(raw.body, type=tuple[Event, ...])
    return recorded(*events, received_at=raw.received_at)


def live_through(engine: Engine, *, names_lots: bool = True) -> None:
    """A few orders, a wait that ends, points that run out, and a customer who wants to be forgotten."""
    configure(engine, MAIN)
    tell_lots(engine, in_transfers=names_lots)
    play(engine, LIFE, sizes=[4])
    for days in (2, 40):
        with engine.connect() as connection:
            keys = connection.execute(select(t.balances.c.member)).scalars().all()
        play(
            engine, [Elapse(env=1, member=key, definition=1) for key in keys], now=NOW + days * DAY, sizes=[9]
        )
    gone = recorded(customer("7001", type=EventType.CUSTOMER_REDACTED))
    play(engine, [gone], now=NOW + 41 * DAY)


CHECKS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'c' AND connamespace = 'public'::regnamespace
"""


@pytest.fixture(autouse=True)
def _constraints_come_back(database: Engine) -> Iterator[None]:
    """PostgreSQL cannot look away from a constraint: it is dropped for the test, and put back after it."""
    if database.dialect.name == "sqlite":
        yield
        return
    with database.connect() as connection:
        checks = connection.exec_driver_sql(CHECKS).all()
    yield
    with database.begin() as connection:
        connection.exec_driver_sql("; ".join(f"DELETE FROM {name}" for name in t.metadata.tables))
        there = {row[1] for row in connection.exec_driver_sql(CHECKS)}
        for table, name, rule in checks:
            if name not in there:
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule}")


def corrupt(engine: Engine, statement: str) -> None:
    """Change a row behind the book's back, constraints and all."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        else:
            for table, name, _ in connection.exec_driver_sql(CHECKS).all():
                connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        changed = connection.execute(text(statement)).rowcount
        assert changed > 0


def test_a_book_that_nobody_touched_is_right(database: Engine) -> None:
    live_through(database)
    done: list[int] = []
    assert audit(database, done.append) == []
    assert sum(done) == 2


ONE = "sequence = 1 AND n = 0 AND member = (SELECT min(member) FROM transfers)"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "UPDATE balances SET pending = -1 WHERE member = (SELECT min(member) FROM balances)",
            "pending is below zero",
        ),
        ("UPDATE balances SET available = available + 1", "available is 1, but its transfers add up to 0"),
        ("UPDATE balances SET reserved = 5", "reserved is 5, but its transfers"),
        ("UPDATE balances SET owed = 7, available = 7", "owes 7 while 7 are available"),
        ("UPDATE balances SET owed = 7", "owed is 7, but its transfers"),
        ("UPDATE balances SET sequence = sequence + 1", "but the last transfer's is"),
        (
            (
                "UPDATE balances SET head = hash FROM transfers WHERE transfers.sequence = 1 "
                "AND transfers.member = balances.member"
            ),
            "the head is not the hash",
        ),
        (f"UPDATE transfers SET amount = amount + 1 WHERE {ONE}", "does not cover what it says"),
        (f"UPDATE transfers SET amount = -5 WHERE {ONE}", "moves -5 from"),
        (f"UPDATE transfers SET to_account = 'nowhere' WHERE {ONE}", "from issued to nowhere"),
        (
            f"UPDATE transfers SET from_account = 'redeemed', to_account = 'issued' WHERE {ONE}",
            "from redeemed to issued",
        ),
        (f"DELETE FROM transfers WHERE {ONE}", "there is a gap in the sequence"),
        *(
            (f"UPDATE transfers SET {change} WHERE {ONE}", "does not cover what it says")
            for change in (
                "kind = 'adjust'",
                "order_ref = '77'",
                "order_source = 'x'",
                '"transaction" = 1',
                "event = 1",
                "occurred_at = occurred_at + 1",
                "posted_at = posted_at - 1",
            )
        ),
        (f"UPDATE transfers SET lot = lot + 1 WHERE {ONE}", "its allocations say"),
        (f"UPDATE transfers SET lot_expires_at = 5 WHERE {ONE}", "does not cover what it says"),
        (f"UPDATE transfers SET lot = NULL WHERE {ONE}", "names no lot"),
        ("UPDATE lots SET pending = pending + 3", "its allocations say"),
        ("UPDATE lots SET available = available + 3", "its lots add up to"),
        ("DELETE FROM lots", "but its lots add up to"),
        ("UPDATE lots SET expired = expired + 1", "expired, its allocations say"),
        ("UPDATE lots SET due_at = 5", "is due at 5, but time changes it at"),
        ("DELETE FROM messages WHERE sequence = 1", "change 1 has 0 messages"),
        ("UPDATE messages SET body = :empty WHERE sequence = 2", "says something else than the ledger"),
        ("UPDATE messages SET sequence = 99 WHERE sequence = 1", "says something else than the ledger"),
        ("DELETE FROM balances", "has transfers but no balance"),
        ("UPDATE orders SET credited = credited + 1 WHERE ref = '2'", "holds 90, but should hold 89"),
        ("UPDATE orders SET retained = 5, credited = 5, taken = 0 WHERE ref = '2'", "its facts are worth 89"),
        ("UPDATE orders SET retained = 990, credited = 990 WHERE ref = '2'", "but only 89 were credited"),
        ("DELETE FROM orders WHERE ref = '2'", "has transfers but is not there"),
    ],
)
def test_audit_names_each_corruption(database: Engine, statement: str, named: str) -> None:
    live_through(database)
    empty = "''" if database.dialect.name == "sqlite" else "''::bytea"
    corrupt(database, statement.replace(":empty", empty))
    found = audit(database)
    assert any(named in violation for violation in found), found


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (f"UPDATE allocations SET amount = amount + 1 WHERE {ONE}", "its lots"),
        (f"UPDATE allocations SET expires_at = 5 WHERE {ONE}", "does not cover what it says"),
        (f"DELETE FROM allocations WHERE {ONE}", "names no lot"),
        (f"UPDATE transfers SET lot = 5 WHERE {ONE}", "moves 89, its lots 178"),
    ],
)
def test_audit_names_corruptions_of_lots_that_are_told_apart(
    database: Engine, statement: str, named: str
) -> None:
    live_through(database, names_lots=False)
    assert audit(database) == []
    corrupt(database, statement)
    found = audit(database)
    assert any(named in violation for violation in found), found


def test_audit_names_a_deadline_that_the_sweep_would_miss(database: Engine) -> None:
    configure(database, MAIN)
    play(database, [recorded(placed(), shipped(at=NOW))])
    assert audit(database) == []
    corrupt(database, "UPDATE balances SET next_due_at = NULL")
    assert any("is due at None, but something of it is at" in violation for violation in audit(database))


def test_the_stored_events_explain_the_book(database: Engine) -> None:
    live_through(database)
    done: list[int] = []
    assert rebuild(database, read, done.append) == []
    assert sum(done) == len(LIFE) + 1


def test_rebuild_names_what_the_events_do_not_explain(database: Engine) -> None:
    live_through(database)
    corrupt(database, "UPDATE balances SET pending = pending + 1 WHERE pending = 20")
    corrupt(database, "UPDATE orders SET award = 5 WHERE ref = '1'")
    found = rebuild(database, read)
    assert len(found) == 2
    assert "shop:7000" in found[0]
    assert "'pending': 21" in found[0]
    assert "order environment 1 shop 1" in found[1]


def test_rebuild_leaves_out_sources_that_were_removed(database: Engine) -> None:
    live_through(database)
    corrupt(database, "DELETE FROM sources")
    assert any("the stored events give None" in difference for difference in rebuild(database, read))
