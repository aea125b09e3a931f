"""How things are shown to people: cells, and progress that only a terminal gets."""

from __future__ import annotations

import io
from typing import Any

import pytest

from adapter.cli.showing import cell, counting


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ([], "-"),
        (["a", 1], "a, 1"),
        ({}, "-"),
        ({"a": None, "b": [1, 2]}, "a=-, b=1, 2"),
    ],
)
def test_a_cell_is_readable(value: Any, shown: str) -> None:
    assert cell(value) == shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("screen", "shows"), [(Terminal(), True), (io.StringIO(), False)])
def test_progress_is_for_terminals_only(
    screen: io.StringIO, shows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with counting("auditing", 2) as progress:
        progress(2)
    assert ("auditing" in screen.getvalue()) is shows
