"""The demo ends well by itself, tells the whole story, and notices when something is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from adapter.cli import main
from adapter.demo import stage, story
from adapter.demo.stage import OffScript

if TYPE_CHECKING:
    from pathlib import Path

KEY_LINES = (
    "1. Ada orders for 89.99",
    "transfers   earn: issued → pending 89",
    "transfers   reverse: available → revoked 30",
    "200 applied, a repeat: evt_",
    "answer      200 parked",
    "answer      401 signature_invalid",
    "heard       balance.updated  sequence 5  chain head ",
    "balances    direct/points: available 51 · pending 0 · owed 0 · total 51",
    "6 dead letters, 3 attempts each",
    ": 6 sent, 0 failed",
    "It heard all 6 messages now, every one of them verified ✓",
    "199 points can be used now.",
    "the book is right: 1 members checked",
    "Everything went as it must.",
)


def test_the_demo_tells_the_story_and_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv(
        "LOYALTY_DATABASE_URL", "sqlite:////nowhere/at/all.db"
    )  # the shell's settings do not matter
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 0, result.output
    for line in KEY_LINES:
        assert line in result.output
    assert list(tmp_path.iterdir()) == []


def test_the_demo_fails_where_something_is_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The demo's own expectations are real: with another rate the very first step is not as it must be."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(stage, "CONFIGURATION", stage.CONFIGURATION.replace('rate = "1"', 'rate = "3"'))
    result = CliRunner().invoke(main, ["demo", "--keep"])
    assert result.exit_code == 1
    assert (
        "the demo failed: step 1, changes: expected (('pending', 89),), found (('pending', 269),)"
        in result.stderr
    )


def test_a_service_that_does_not_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "loyalty.db").mkdir()
    with pytest.raises(OffScript, match="did not become ready"), stage.serving(tmp_path):
        pass


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(OffScript, match=r"`audit` ended with 2: .*there is no database"):
        stage.run_command(tmp_path, "audit")


def test_waiting_ends() -> None:
    with pytest.raises(OffScript, match="not in time: rain"):
        story.wait_until(lambda: False, "rain", within_s=0.01)
