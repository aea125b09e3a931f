"""Expected errors: one line that says what is wrong and what to do next, exit code 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from sqlalchemy import insert

from adapter.cli import main
from adapter.cli.options import Instant
from adapter.store import tables as t
from tests.cli.shell import Shell, configured

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


COMMANDS = (("audit",), ("rebuild",), ("events", "list"), ("keys", "create"), ("members", "export"))


def test_where_there_is_no_database_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOYALTY_DATA_DIR", str(tmp_path / "data"))
    for command in COMMANDS:
        said = Shell().fails(*command)
        assert "there is no database at" in said
        assert "`loyalty-adapter serve`, `loyalty-adapter apply FILE` or `loyalty-adapter migrate`" in said
        assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_tables_is_to_be_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOYALTY_DATA_DIR", str(tmp_path))
    (tmp_path / "loyalty.db").touch()
    shell = Shell()
    for command in COMMANDS:
        said = shell.fails(*command)
        assert "run `loyalty-adapter migrate`" in said
        assert said.count("\n") == 1
    for _ in range(2):
        assert shell("migrate").stdout.endswith("loyalty.db is up to date\n")
    assert "run `loyalty-adapter apply FILE` first" in shell.fails("events", "list")


def test_a_database_that_is_away_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOYALTY_DATABASE_URL", "postgresql://someone:hush@127.0.0.1:9/nothing")
    said = Shell().fails("audit")
    assert "does not answer" in said
    assert "hush" not in said


def test_settings_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOYALTY_SERVER__PROT", "80")
    assert "LOYALTY_SERVER__PROT" in Shell().fails("serve")
    monkeypatch.delenv("LOYALTY_SERVER__PROT")
    assert "nowhere.toml" in Shell().fails("--config", str(tmp_path / "nowhere.toml"), "audit")
    assert "nowhere.toml" in Shell().fails("serve", "--config", str(tmp_path / "nowhere.toml"))


def test_an_environment_is_chosen_where_there_are_several(
    sqlite_database: Engine, sqlite_shell: Shell
) -> None:
    configured(sqlite_database)
    assert sqlite_shell.json("events", "list") == []
    with sqlite_database.begin() as connection:
        connection.execute(insert(t.environments).values(id=2, tenant="acme", mode="live", created_at=0, secret=b"secret"))
    said = sqlite_shell.fails("events", "list")
    assert "there are several" in said
    assert "--tenant acme --mode live, --tenant acme --mode test" in said
    assert sqlite_shell.json("events", "list", "--mode", "live") == []
    assert sqlite_shell.json("--mode", "test", "events", "list") == []
    assert sqlite_shell.json("keys", "create", "--mode", "live")["token"].startswith("sk_live_")
    assert "there is no such environment" in sqlite_shell.fails("events", "list", "--tenant", "other")


@pytest.mark.parametrize("value", ["yesterday", "5", "5w", "2026-13-01"])
def test_an_instant_that_is_none_is_named(sqlite_shell: Shell, value: str) -> None:
    assert f"'{value}' is neither an instant" in sqlite_shell.fails("events", "list", "--since", value)


def test_an_age_is_counted_from_now() -> None:
    hour_ago = Instant().convert("1h", None, None)
    minute_ago = Instant().convert("60s", None, None)
    assert 0 <= (minute_ago - hour_ago) - 59 * 60_000 < 5_000
    assert Instant().convert("2026-11-20T12:00:00Z", None, None) == 1_795_176_000_000


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_teaches_by_example(name: str) -> None:
    command = main.commands[name]
    parts = getattr(command, "commands", {"": command})
    for part in parts:
        told = CliRunner().invoke(main, [name, *([part] if part else []), "--help"]).stdout
        assert f"Examples:\n    loyalty-adapter {name}" in told or "Examples:\n    LOYALTY" in told
        assert "\b" not in told


def test_help_imports_nothing_heavy() -> None:
    heavy = ("sqlalchemy", "flask", "pydantic", "requests", "rich", "uvicorn")
    code = f"import sys, adapter.cli; sys.exit(', '.join(n for n in {heavy} if n in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_url_that_is_no_databases_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOYALTY_DATABASE_URL", "postgresql://localhost:port/loyalty")
    said = Shell().fails("audit")
    assert "is not a database's URL" in said


def test_a_server_is_migrated_on_purpose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: str
) -> None:
    """`apply` on a server's database without tables says so, and makes none."""
    monkeypatch.setenv("LOYALTY_DATABASE_URL", postgres_server)
    file = tmp_path / "acme.toml"
    file.write_text("")
    assert "run `loyalty-adapter migrate`" in Shell().fails("apply", str(file))
