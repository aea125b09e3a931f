"""`backup` and `restore`, as an operator types them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from adapter.store import tables as t
from tests.cli.shell import Shell, one_order
from tests.shop import DAY, NOW

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from sqlalchemy import Engine


def test_a_copy_becomes_a_database_that_is_right(
    sqlite_database: Engine, sqlite_shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_order(sqlite_database)
    copy = tmp_path / "nightly.copy"
    told = sqlite_shell("backup", str(copy)).stdout
    assert (
        told
        == f"{copy}: {copy.stat().st_size} bytes; `loyalty-adapter restore {copy}` makes a database of it\n"
    )
    assert "there already" in sqlite_shell("backup", str(copy), exits=2).stderr
    assert "has tables already" in sqlite_shell("restore", str(copy), exits=2).stderr
    monkeypatch.setenv("LOYALTY_DATABASE_URL", f"sqlite:///{tmp_path / 'new' / 'loyalty.db'}")
    assert "restored" in sqlite_shell("restore", str(copy)).stdout
    assert sqlite_shell("audit").stdout == "the book is right: 1 members checked\n"


def test_prune_says_what_would_go_and_removes_it(
    database: Engine, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_order(database)
    with database.begin() as connection:
        connection.execute(update(t.deliveries).values(state="delivered"))
    monkeypatch.setattr("adapter.clock.now", lambda: NOW + 31 * DAY)
    monkeypatch.setenv("LOYALTY_RETENTION__EVENTS_DAYS", "10")
    would = shell("prune", "--dry-run").stdout.splitlines()
    assert [line.partition(" ")[2] for line in would[:-1]] == [
        "deliveries", "events, of which headers and bodies", "messages",
    ]  # fmt: skip
    assert would[-1].endswith(" bytes of bodies and answers would go")
    assert shell("prune").stdout.splitlines()[:-1] == would[:-1]
    assert shell("prune").stdout == "nothing removed\n"
    assert shell("audit").stdout == "the book is right: 1 members checked\n"
    assert "retention.events_days" in shell.fails("rebuild")
    event = shell.json("events", "list")[0]["id"]
    assert "removed by age" in shell("events", "show", event).stdout
    assert "cannot be read again" in shell.fails("events", "replay", event)
    assert "are left out" in shell("events", "replay", "--state", "applied").stderr
