"""PostgreSQL in its first minutes: nothing is known of its tables yet, and what was planned for empty ones is kept.

A plan that reads a whole table is the cheapest one while that has ten rows. The driver has the server keep a statement's
plan, and only when statistics are collected, a minute or more later, is it made anew.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, text

from adapter.engine.batch import Batcher
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import in_unit_of_work, open_database
from tests.shop import NOW, begin, configure, customer, member_of, paid, placed, recorded, refunded, shipped

if TYPE_CHECKING:
    from adapter.commands import Command

MAIN = Program.model_validate(
    {
        "name": "main",
        "earning": {"rate": "1"},
        "expiry": {"months": 12},
        "redeeming": {"currency": "EUR", "hold_minutes": 60},
    }
)
EARLY = 30
"""Batches: the driver prepares a statement at its sixth time, and the server keeps a plan from the sixth one after."""
SMALL = {"configuration", "programs", "definitions", "sources", "environments"}
"""Tables that a batch may read as a whole: what is configured."""


def _whole_reads(connection: Connection) -> dict[str, int]:
    """Return how often each table that grows was read as a whole; the server adds up what it has not yet reported."""
    scans = text("SELECT pg_stat_get_xact_numscans(CAST(:name AS regclass))")
    return {
        name: connection.execute(scans, {"name": name}).scalar_one()
        for name in set(t.metadata.tables) - SMALL
    }


def test_no_statement_of_a_service_is_compiled(postgres_url: str) -> None:
    """One that has no index to go along is as dear to PostgreSQL as none; compiling it takes 20 times as long as it does."""
    database = open_database(postgres_url, by_keys=True)
    with database.connect() as connection:
        plan = connection.exec_driver_sql("EXPLAIN SELECT version FROM configuration").scalars().all()
        used = connection.exec_driver_sql("SHOW jit").scalar_one()
    database.dispose()
    assert "Seq Scan" in plan[0]
    assert used == "off"


@pytest.mark.parametrize("vacuumed", [False, True])
def test_no_batch_reads_a_whole_table_that_grows(empty_postgres_url: str, vacuumed: bool) -> None:
    """Nothing is known of new tables, or it is known that they are empty."""
    database = open_database(empty_postgres_url, by_keys=True)
    configure(database, MAIN)
    if vacuumed:
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    batch = Batcher(lambda: NOW)

    def work(connection: Connection, commands: list[Command]) -> list[str]:
        before = _whole_reads(connection)
        batch(connection, commands)
        return sorted(name for name, reads in _whole_reads(connection).items() if reads > before[name])

    in_unit_of_work(database, partial(work, commands=[recorded(customer("1"))]))
    member = member_of(database, "1")
    read: list[str] = []
    for number in range(EARLY):
        commands: list[Command] = [
            recorded(placed(f"{number}", customer=f"{number % 5}"), shipped(f"{number}")),
            recorded(paid(f"{number}")),
            recorded(refunded(f"{number}")),
            begin(member, 2 * number + 1, "credit", 10, complete=True),
            begin(member, 2 * number + 2, "debit", 5, complete=number % 2 == 0),
        ]
        read = in_unit_of_work(database, partial(work, commands=commands))
    database.dispose()
    assert read == []
