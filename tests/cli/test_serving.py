"""The processes of the command line: each says that it is up, and SIGTERM ends it with 0."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from adapter.demo.stage import run_command
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("command", "says"), [("serve", "ready at http"), ("receive", "ready at http"), ("work", "working")]
)
def test_a_process_says_that_it_is_up_and_ends_well(command: str, says: str, tmp_path: Path) -> None:
    if command != "serve":  # only `serve` brings an embedded database up to date by itself
        run_command(tmp_path, "migrate")
    file = tmp_path / "settings.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n[log]\nlevel = "warning"\n')
    options = ["--config", str(file), *([] if command == "work" else ["--port", str(free_port())])]
    started = [sys.executable, "-m", "adapter.cli", command, *options]
    with subprocess.Popen(started, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        assert process.wait(120) == 0
    assert says in line
    assert (tmp_path / "loyalty.db").exists()
