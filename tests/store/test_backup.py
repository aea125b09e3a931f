"""Copies of a database in use: whatever was answered before a copy was begun is in it, and the copy is right."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, func, select, text

from adapter.engine.audit import audit
from adapter.engine.door import Door, DoorSettings
from adapter.engine.rebuild import rebuild
from adapter.errors import ConfigurationError
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.backup import back_up, restore
from adapter.store.database import open_database
from tests.shop import NOW, configure, numbered, placed, play, read_numbered, shipped, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

PROGRAM = Program.model_validate({"name": "main", "earning": {"rate": "1"}})
BEFORE = 30


@pytest.fixture
def empty(database: Engine, tmp_path: Path) -> Iterator[str]:
    """The URL of a second database of the same kind, in which nothing is."""
    if database.dialect.name == "sqlite":
        yield f"sqlite:///{tmp_path / 'restored' / 'loyalty.db'}"
        return
    if shutil.which("pg_dump") is None:
        pytest.skip("PostgreSQL's client programs are not on this machine")
    name = f"{database.url.database}_restored"
    server = create_engine(database.url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield database.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


def test_a_copy_of_a_book_in_use_is_right(database: Engine, empty: str, tmp_path: Path) -> None:
    """Orders go on coming in while it is copied; the copy holds a whole prefix of them."""
    configure(database, PROGRAM)
    play(
        database,
        [numbered(number, (placed(str(number)), shipped(str(number))), NOW) for number in range(BEFORE)],
    )
    stop, copy = threading.Event(), tmp_path / "book.copy"

    with Door(database, lambda: NOW, DoorSettings(answer_timeout_s=120)) as door:

        def keep_selling() -> None:
            number = BEFORE
            while not stop.is_set():
                door.submit(numbered(number, (placed(str(number)), shipped(str(number))), NOW))
                number += 1

        selling = threading.Thread(target=keep_selling)
        selling.start()
        try:
            size = back_up(database, copy)
        finally:
            stop.set()
            selling.join()
    assert size == copy.stat().st_size > 0
    assert [path.name for path in tmp_path.glob("*.part")] == []

    restore(empty, copy)
    restored = open_database(empty)
    try:
        with restored.connect() as connection:
            events = connection.execute(select(func.count()).select_from(t.events)).scalar_one()
        assert events >= BEFORE
        assert audit(restored) == []
        assert rebuild(restored, read_numbered) == []
        again = [
            numbered(number, (placed(str(number)), shipped(str(number))), NOW) for number in range(events)
        ]
        before = snapshot(restored)
        assert all(outcome.duplicate for outcome in play(restored, again))
        assert snapshot(restored) == before
    finally:
        restored.dispose()


def test_nothing_is_overwritten(sqlite_database: Engine, tmp_path: Path) -> None:
    configure(sqlite_database, PROGRAM)
    copy = tmp_path / "book.copy"
    back_up(sqlite_database, copy)
    kept = copy.read_bytes()
    with pytest.raises(ConfigurationError, match="there already"):
        back_up(sqlite_database, copy)
    assert copy.read_bytes() == kept
    with pytest.raises(ConfigurationError, match="has tables already"):
        restore(sqlite_database.url.render_as_string(hide_password=False), copy)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        (b"", "is no copy"),
        (b"SQLite format 2", "is no copy"),
        (b"PGDMP and so on", "is a copy of postgresql"),
    ],
)
def test_what_is_no_copy_is_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "some.file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason) as refused:
        restore(f"sqlite:///{tmp_path / 'loyalty.db'}", file)
    assert refused.value.field == "file"
    assert not (tmp_path / "loyalty.db").exists()


def test_a_folder_that_is_not_there_is_told(sqlite_database: Engine, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        back_up(sqlite_database, tmp_path / "nowhere" / "book.copy")


def test_a_tool_that_is_missing_or_fails_says_what_to_do(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.dialect.name == "sqlite" or shutil.which("pg_restore") is None:
        pytest.skip("there is no tool here, or none is needed")
    copy = tmp_path / "broken.copy"
    copy.write_bytes(b"PGDMP and so on")
    name = f"{database.url.database}_broken"
    server = create_engine(database.url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        with pytest.raises(ConfigurationError, match="pg_restore failed"):
            restore(database.url.set(database=name).render_as_string(hide_password=False), copy)
    finally:
        with server.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        server.dispose()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="postgresql-client"):
        back_up(database, tmp_path / "book.copy")
