"""Migrations beside services that write: expand, then contract; nobody waits long, and one machine migrates at a time."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, inspect, text

from adapter.errors import ConfigurationError, DatabaseUnavailable
from adapter.store import migrate as migrating
from adapter.store.migrate import migrate, require_current
from tests.migrations import STEPS, make_newer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SINCE = "0022"
"""Services may be running on this revision; what is newer has to expand before it contracts."""

SMALL = {
    "configuration", "environments", "programs", "definitions", "sources", "endpoints", "streams", "alembic_version",
}  # fmt: skip
"""Tables of some rows, which nobody writes all the time: a lock on them is held for no time."""

ONLY_POSTGRESQL = pytest.mark.parametrize("bare", ["postgresql"], indirect=True)

DANGERS = {
    r"CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)\S+ ON (?P<table>\S+)": "writers wait for the index: use `add_index`",
    r"DROP INDEX (?!CONCURRENTLY)": "everybody waits behind it: drop it CONCURRENTLY, as `add_index` does",
    r"REINDEX (?!.*CONCURRENTLY)|CLUSTER|VACUUM FULL|LOCK TABLE|TRUNCATE": "everybody waits until it is done",
    r"ALTER TABLE (?P<table>\S+) ADD COLUMN (?!.*DEFAULT).*NOT NULL": "rows that are there have no value: give it a default",
    r"ALTER TABLE (?P<table>\S+) ADD COLUMN .*DEFAULT [^'\d]*\(": "a default that is computed rewrites the table",
    r"ALTER TABLE (?P<table>\S+) ALTER COLUMN \S+ TYPE": "it rewrites the table: add another column",
    r"ALTER TABLE (?P<table>\S+) ALTER COLUMN \S+ SET NOT NULL": "it reads the whole table: a CHECK, NOT VALID first",
    r"ALTER TABLE (?P<table>\S+) ADD (CONSTRAINT \S+ )?(CHECK|FOREIGN KEY)(?!.*NOT VALID)": "NOT VALID first, then VALIDATE",
    r"ALTER TABLE (?P<table>\S+) ADD (CONSTRAINT \S+ )?(UNIQUE|PRIMARY KEY)(?!.*USING INDEX)": "make the index first",
    r"ALTER TABLE (?P<table>\S+) (DROP (COLUMN|CONSTRAINT)|RENAME)|DROP TABLE": "a version that still runs may need it",
    r"(UPDATE|DELETE FROM|INSERT INTO) (?P<table>\S+)": "rows of a large table are written in batches, by the service",
}  # fmt: skip


def danger(statement: str, free: set[str]) -> str | None:
    """Return why a statement has others wait, or takes away what they need; with `free` tables that is no matter."""
    said = re.sub(r"\s+", " ", statement).replace('"', "").strip()
    for pattern, why in DANGERS.items():
        found = re.match(pattern, said, re.IGNORECASE)
        if found and found.groupdict().get("table") not in free:
            return why
    return None


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("CREATE INDEX ix_a ON events (a)", True),
        ("CREATE UNIQUE INDEX ix_a ON events (a)", True),
        ("CREATE INDEX CONCURRENTLY ix_a ON events (a)", False),
        ("CREATE INDEX ix_a ON made (a)", False),
        ("DROP INDEX ix_a", True),
        ("DROP INDEX CONCURRENTLY IF EXISTS ix_a", False),
        ("ALTER TABLE events ADD COLUMN a TEXT", False),
        ("ALTER TABLE events ADD COLUMN a TEXT NOT NULL", True),
        ("ALTER TABLE events ADD COLUMN a INTEGER DEFAULT '0' NOT NULL", False),
        ("ALTER TABLE events ADD COLUMN a TEXT DEFAULT gen_random_uuid()", True),
        ("ALTER TABLE events ALTER COLUMN a TYPE BIGINT", True),
        ("ALTER TABLE events ALTER COLUMN a SET NOT NULL", True),
        ("ALTER TABLE events ADD CONSTRAINT ck CHECK (a > 0)", True),
        ("ALTER TABLE events ADD CONSTRAINT ck CHECK (a > 0) NOT VALID", False),
        ("ALTER TABLE events ADD CONSTRAINT uq UNIQUE (a)", True),
        ("ALTER TABLE events ADD CONSTRAINT uq UNIQUE USING INDEX ix_a", False),
        ("ALTER TABLE events DROP COLUMN a", True),
        ("ALTER TABLE events RENAME TO happenings", True),
        ("DROP TABLE events", True),
        ("UPDATE events SET a = 1", True),
        ("UPDATE configuration SET a = 1", False),
        ("CREATE TABLE made (a INTEGER)", False),
    ],
)
def test_what_is_dangerous_beside_writers(statement: str, bad: bool) -> None:
    assert (danger(statement, SMALL | {"made"}) is not None) is bad


def wrong_since(engine: Engine, since: str) -> dict[str, list[str]]:
    """Carry out the migrations that are newer than `since` as beside a service; return by revision what is dangerous."""
    with engine.begin() as connection:
        command.upgrade(migrating._config(connection), since)
        script = ScriptDirectory.from_config(migrating._config(connection))
    free, found = SMALL.copy(), list[str]()

    def judge(_connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        made = re.match(r"\s*CREATE TABLE (\S+)", statement)
        if made:
            free.add(made[1])
        why = danger(statement, free)
        if why:
            found.append(f"{statement.strip()}: {why}")

    event.listen(engine, "before_cursor_execute", judge)
    wrong: dict[str, list[str]] = {}
    for one in reversed(list(script.iterate_revisions("head", since))):
        found.clear()
        with engine.connect() as connection:
            config = migrating._config(connection)
            config.attributes["in_use"] = True
            command.upgrade(config, one.revision)
        if found and not getattr(one.module, "contracts", False):
            wrong[one.revision] = list(found)
    event.remove(engine, "before_cursor_execute", judge)
    return wrong


@ONLY_POSTGRESQL
def test_newer_migrations_stop_nobody(bare: Engine) -> None:
    assert wrong_since(bare, SINCE) == {}


@ONLY_POSTGRESQL
@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        (STEPS, []),
        ({"9001": 'op.create_index("ix_events_newer", "events", ["received_at"])'}, ["9001"]),
        ({"9001": 'op.alter_column("events", "source", type_=sa.String(9))', "9002": "pass"}, ["9001"]),
    ],
)
def test_a_migration_that_stops_somebody_is_found(
    steps: dict[str, str], wrong: list[str], bare: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_newer(tmp_path, monkeypatch, steps)
    assert list(wrong_since(bare, SINCE)) == wrong


# --- one at a time, and nobody waits long -----------------------------------------------------------------------------


def test_of_machines_that_migrate_at_once_one_does_it(
    bare: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First an empty database, then one in use."""
    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(migrate, [bare] * 3)) == [False, False, True]
        make_newer(
            tmp_path, monkeypatch, {key: step for key, step in STEPS.items() if "CONSTRAINT" not in step}
        )
        assert sorted(pool.map(migrate, [bare] * 3)) == [False, False, True]
    assert not migrate(bare)
    assert "ix_events_newer" in {one["name"] for one in inspect(bare).get_indexes("events")}


class Patience:
    """A clock's wait that tells how often it was waited, and lets something happen then."""

    def __init__(self, then: Callable[[int], None]) -> None:
        self.waits = 0
        self._then = then

    def __call__(self, _seconds: float) -> None:
        self.waits += 1
        self._then(self.waits)


@ONLY_POSTGRESQL
def test_a_table_that_others_hold_is_tried_again(
    bare: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(bare)
    make_newer(tmp_path, monkeypatch)
    with bare.connect() as holder:
        holder.execute(text("LOCK TABLE events IN ACCESS SHARE MODE"))  # as a dump holds it

        def let_go(waits: int) -> None:
            if waits == 2:
                holder.rollback()

        patience = Patience(let_go)
        assert migrate(bare, sleep=patience)
    assert patience.waits == 2
    assert not migrate(bare)


@ONLY_POSTGRESQL
def test_a_table_that_nobody_lets_go_of_is_told(
    bare: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done until then stays done, and the next run goes on from there."""
    migrate(bare)
    make_newer(tmp_path, monkeypatch)
    with bare.connect() as holder:
        holder.execute(text("LOCK TABLE balances IN ACCESS SHARE MODE"))
        with pytest.raises(DatabaseUnavailable, match=r"lock timeout.*what is done stays done"):
            migrate(bare, for_s=0, sleep=Patience(lambda _: None))
        assert holder.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9002"
    with bare.connect() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "0"
    assert migrate(bare)


@ONLY_POSTGRESQL
def test_an_index_that_a_try_left_behind_is_made_anew(
    bare: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(bare)
    make_newer(tmp_path, monkeypatch, {"9001": STEPS["9001"]})
    with bare.begin() as connection:
        connection.execute(text("CREATE INDEX ix_events_newer ON events (received_at, source)"))
        broken = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_events_newer'::regclass"
        connection.execute(text(broken))  # what is left of one that was made beside writers, and failed
    assert migrate(bare)
    with bare.connect() as connection:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_events_newer'::regclass"
        assert connection.execute(text(valid)).scalar_one() is True


@ONLY_POSTGRESQL
@pytest.mark.parametrize(
    ("newer", "runs"),
    [
        (STEPS, True),
        (
            {
                "9001": STEPS["9001"],
                "9002": "contracts; op.drop_column('events', 'reason')",
                "9003": STEPS["9003"],
            },
            False,
        ),
    ],
    ids=["expands", "contracts"],
)
def test_a_service_starts_on_tables_of_a_newer_version_that_took_nothing_away(
    newer: dict[str, str], runs: bool, bare: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While machines are updated one after another, one of the old version may have to start again."""
    migrate(bare)
    with monkeypatch.context() as updated:
        make_newer(tmp_path, updated, newer)
        assert migrate(bare)
        require_current(bare)
    with nullcontext() if runs else pytest.raises(ConfigurationError, match="a newer one made it"):
        require_current(bare)
    with bare.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(ConfigurationError, match="older revision 0001"):
        require_current(bare)
