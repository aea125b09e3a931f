"""`audit` and `rebuild`: exit code 0 or 1, and one line for each thing that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from adapter.store.verdict import VerdictFile
from tests.cli.shell import Shell, one_order

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from sqlalchemy import Engine


def test_audit_says_that_the_book_is_right(database: Engine, shell: Shell) -> None:
    one_order(database)
    assert shell("audit").stdout == "the book is right: 1 members checked\n"


def test_audit_names_what_is_wrong(database: Engine, shell: Shell) -> None:
    one_order(database)
    with database.begin() as connection:
        connection.execute(text("UPDATE balances SET available = available + 1"))
    result = shell("audit", exits=1)
    lines = result.stdout.splitlines()
    assert lines
    assert all("member mem_" in line for line in lines)


def test_audit_leaves_its_result_for_the_metrics(database: Engine, shell: Shell, tmp_path: Path) -> None:
    one_order(database)
    file = VerdictFile(tmp_path / "audit.json")
    shell("audit")
    first = file.read()
    assert first is not None
    assert (first.violations, first.took_ms >= 0, first.ended_at > 0) == (0, True, True)
    with database.begin() as connection:
        connection.execute(text("UPDATE balances SET available = available + 1"))
    lines = shell("audit", exits=1).stdout.splitlines()
    second = file.read()
    assert second is not None
    assert second.violations == len(lines)


def test_audit_that_cannot_leave_its_result_is_an_audit(
    sqlite_database: Engine, sqlite_shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_order(sqlite_database)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOYALTY_METRICS__AUDIT_FILE", str(tmp_path / "file" / "audit.json"))
    done = sqlite_shell("audit")
    assert done.stdout == "the book is right: 1 members checked\n"
    assert "/metrics will not know of this audit" in done.stderr


def test_rebuild_compares_with_the_stored_events(sqlite_database: Engine, sqlite_shell: Shell) -> None:
    """The stored bodies are not of the connector's format: reading them anew gives an empty book."""
    one_order(sqlite_database)
    lines = sqlite_shell("rebuild", exits=1).stdout.splitlines()
    assert any(line.startswith("balance ") for line in lines)
    assert any(line.startswith("order ") for line in lines)


def test_rebuild_of_nothing_is_right(sqlite_shell: Shell) -> None:
    assert sqlite_shell("rebuild").stdout == "the book is right: 0 events give the same balances\n"
