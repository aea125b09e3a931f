"""Young tables on PostgreSQL: their statistics follow them, and plans follow those."""

from __future__ import annotations

import threading

from sqlalchemy import Engine, insert

from adapter.store import statistics
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.store.redeemed import linked_by
from tests.shop import NOW


def add(url: str, first: int, count: int) -> None:
    """Add redemptions, by a connection that ends: so the server has counted them."""
    database = open_database(url)
    rows = [
        {
            "env": 1,
            "id": number,
            "member": number,
            "definition": 1,
            "transaction": number,
            "program": "main",
            "kind": "discount",
            "state": "applied",
            "cost": 1,
            "returned": 0,
            "decided": 1,
            "code": f"POINTS-{number}",
            "created_at": NOW,
            "updated_at": NOW,
        }
        for number in range(first, first + count)
    ]
    with database.begin() as connection:
        connection.execute(insert(t.redemptions), rows)
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")  # count them before anybody asks
    database.dispose()


def plan_of_a_code(database: Engine) -> str:
    """Return how a redemption is looked for by its code."""
    with database.connect() as connection:
        query = linked_by(connection, [(1, "code", "POINTS-7")])
        assert query is not None
        return "\n".join(connection.exec_driver_sql(f"EXPLAIN {query.statement}", query.values).scalars())


def test_a_table_that_has_doubled_is_looked_at_and_plans_follow(empty_postgres_url: str) -> None:
    database = open_database(empty_postgres_url, by_keys=True)
    try:
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE redemptions")
            connection.exec_driver_sql("ALTER TABLE redemptions SET (autovacuum_enabled = false)")
        add(empty_postgres_url, 1, statistics.ROWS_MIN - 1)
        assert "redemptions" not in statistics.collect(database)
        add(empty_postgres_url, statistics.ROWS_MIN, 500)
        assert "redemptions" in statistics.collect(database)
        assert "redemptions" not in statistics.collect(database)
        assert "uq_redemptions_env_code" in plan_of_a_code(database)
        add(empty_postgres_url, 2000, 600)
        assert "redemptions" not in statistics.collect(database), "it has not doubled"
        add(empty_postgres_url, 3000, 500)
        assert "redemptions" in statistics.collect(database)
    finally:
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE redemptions RESET (autovacuum_enabled)")
        database.dispose()


def test_it_goes_on_until_it_is_told_to_stop(sqlite_database: Engine) -> None:
    """A database that is away is no reason to end; on SQLite there is nothing to do."""

    class Twice(threading.Event):
        """Is set at its third look."""

        looks = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.looks += 1
            return self.looks > 2

    away = open_database("postgresql://postgres@127.0.0.1:1/none")
    stop = Twice()
    statistics.run(away, stop)
    away.dispose()
    assert stop.looks == 3
    statistics.run(sqlite_database, stop)
    assert stop.looks == 3
