"""Every row of the acceptance list has a test that shows it, or says what it waits for."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TABLE = tomllib.loads((TESTS / "acceptance.toml").read_text("utf-8"))
ROWS = {"SF": 71, "BAL": 53, "VINR": 58, "BREVO": 94, "LP": 72}
ALL = {f"{source}-{number:02}" for source, most in ROWS.items() for number in range(1, most + 1)}
SHOWN: dict[str, str] = TABLE["shown"]
WAITING: dict[str, list[str]] = {one["for"]: one["rows"] for one in TABLE["waiting"]}


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
