"""The migrations make exactly the tables that the code knows, on both databases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, insert, inspect, select, text

from adapter.errors import ConfigurationError
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.store.migrate import INI, _config, migrate, require_current

if TYPE_CHECKING:
    from pathlib import Path


def described(engine: Engine) -> dict[str, Any]:
    """Return what a comparison of metadata does not look at: keys, checks, and the conditions of indexes."""
    found = inspect(engine)
    return {
        name: (
            found.get_pk_constraint(name)["constrained_columns"],
            sorted((one["name"] or "", one["sqltext"]) for one in found.get_check_constraints(name)),
            sorted((one["name"] or "", condition(one)) for one in found.get_indexes(name)),
        )
        for name in t.metadata.tables
    }


def condition(index: Any) -> str:
    """Return which rows a partial index holds, as text."""
    return " ".join(f"{name}: {value}" for name, value in sorted(index.get("dialect_options", {}).items()))


def test_migrations_make_the_tables_of_the_code(bare: Engine, database: Engine) -> None:
    assert migrate(bare)
    with bare.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), t.metadata) == []
    if bare.dialect.name == database.dialect.name:
        assert described(bare) == described(database)


def test_sqlite_tables_are_the_same_to_the_letter(tmp_path: Path, sqlite_database: Engine) -> None:
    """`WITHOUT ROWID` and the like are in no inspection: compare the statements themselves."""
    engine = open_database(f"sqlite:///{tmp_path}/bare.db")
    migrate(engine)
    wanted, made = statements(sqlite_database), statements(engine)
    engine.dispose()
    assert made == wanted


def statements(engine: Engine) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    with engine.connect() as connection:
        return {name: shape(sql) for name, sql in connection.execute(text(query))}


def shape(statement: str) -> str:
    """The parts of a statement in a fixed order: constraints may be listed in any; a table made anew is quoted."""
    head, _, rest = statement.partition("(")
    body, _, tail = rest.rpartition(")")
    parts = re.split(r",\s+(?![^()]*\))", body)  # commas inside of parentheses belong to a constraint
    return head.replace('"', "") + "|".join(sorted(part.strip() for part in parts)) + tail


def test_migrating_again_changes_nothing(bare: Engine) -> None:
    assert migrate(bare)
    before = described(bare)
    assert not migrate(bare)
    assert described(bare) == before


def test_database_of_the_tests_counts_as_migrated(database: Engine) -> None:
    assert not migrate(database)


def test_database_of_a_newer_version_is_refused_and_left_alone(bare: Engine) -> None:
    migrate(bare)
    with bare.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=r"revision 9999.*a newer one made it"):
        migrate(bare)
    with bare.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_failed_migration_leaves_nothing_behind(bare: Engine) -> None:
    """All tables or none: a half-made database would refuse every later attempt."""
    with bare.begin() as connection:
        connection.execute(text("CREATE TABLE transfers (x INTEGER)"))
    with pytest.raises(Exception, match="transfers"):
        migrate(bare)
    assert inspect(bare).get_table_names() == ["transfers"]


def test_alembic_by_hand_works_on_the_database_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOYALTY_DATA_DIR", str(tmp_path))
    command.upgrade(Config(INI), "head")
    engine = open_database(f"sqlite:///{tmp_path}/loyalty.db")
    assert not migrate(engine)
    engine.dispose()


def test_a_service_starts_only_on_the_tables_it_knows(bare: Engine) -> None:
    with pytest.raises(ConfigurationError, match=r"has no tables: run `loyalty-adapter migrate` first"):
        require_current(bare)
    migrate(bare)
    require_current(bare)
    with bare.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0000')"))
        if bare.dialect.name == "postgresql":  # nobody said who may run on it
            connection.execute(text("COMMENT ON TABLE alembic_version IS NULL"))
    with pytest.raises(ConfigurationError, match="0000"):
        require_current(bare)


def test_postgresql_vacuums_sooner_where_rows_are_removed(bare: Engine) -> None:
    """By itself it begins when a fifth of a table is dead: of a month's deliveries that is six days' removals."""
    migrate(bare)
    if bare.dialect.name == "sqlite":
        pytest.skip("it has no such thing")
    query = "SELECT relname FROM pg_class WHERE 'autovacuum_vacuum_scale_factor=0.01' = ANY (reloptions)"
    with bare.connect() as connection:
        tables = set(connection.execute(text(f"{query} AND relnamespace = 'bare'::regnamespace")).scalars())
    assert tables == {"messages", "deliveries", "attempts", "idempotency_keys"}


def test_a_server_that_is_in_use_goes_on_as_its_older_versions_read(bare: Engine) -> None:
    """Those may run beside this one; an empty database, or an embedded one, has nobody beside it."""
    row = insert(t.configuration).values(id=1, version=1)
    with bare.begin() as connection:
        command.upgrade(_config(connection), "0023")
        connection.execute(row)
    migrate(bare)
    names = select(t.configuration.c.names_lots)
    with bare.begin() as connection:
        assert connection.execute(names).scalar_one() == int(bare.dialect.name == "sqlite")
        connection.execute(t.configuration.delete())
        connection.execute(row)
        assert connection.execute(names).scalar_one() == 1
