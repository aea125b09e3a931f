"""Every row of the acceptance list has a test that shows it, or says what it waits for."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.acceptance import ALL, PAGE, TESTS, counted, page, read

if TYPE_CHECKING:
    from pathlib import Path

SHOWN, WAITING = read()


@cache
def names_in(path: Path) -> set[str]:
    """Return what a test module defines, as pytest collects it."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds)}


def test_every_row_is_shown_or_waits_and_none_does_both() -> None:
    waiting = [row for rows in WAITING.values() for row in rows]
    assert len(ALL) == 348
    assert sorted(set(SHOWN) | set(waiting)) == sorted(ALL)
    assert len(SHOWN) + len(waiting) == len(ALL)


@pytest.mark.parametrize("row", sorted(SHOWN))
def test_the_test_of_a_row_is_there(row: str) -> None:
    module, _, name = SHOWN[row].partition("::")
    assert name in names_in(TESTS / module)


def test_the_table_for_people_is_of_today() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `.venv/bin/python -m tests.acceptance`"


def test_a_run_is_counted_by_rows() -> None:
    one = f"tests/{SHOWN['SF-01']}"
    rows = sum(f"tests/{test}" == one for test in SHOWN.values())
    assert counted([], []) is None
    assert f"({rows} passed, " in (counted([f"{one}[sqlite]"], []) or "")
    assert f"({rows} failed, " in (counted([f"{one}[sqlite]"], [f"{one}[postgresql]"]) or "")
