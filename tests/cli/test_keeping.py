"""`backup` and `restore`, as an operator types them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.shell import Shell, one_order

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
