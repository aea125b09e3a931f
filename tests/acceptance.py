"""The acceptance list: which test shows which row, and the table of it that people read.

`python -m tests.acceptance` writes `tests/ACCEPTANCE.md` anew out of `acceptance.toml` and the tests' own names.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TESTS = Path(__file__).parent
PAGE = TESTS / "ACCEPTANCE.md"
TITLES = {
    "SF": "Salesforce Loyalty",
    "BAL": "ES Loyalty",
    "VINR": "VINR",
    "BREVO": "Brevo",
    "LP": "LoyalPro",
}
ROWS = {"SF": 71, "BAL": 53, "VINR": 58, "BREVO": 94, "LP": 72}
ALL = [f"{vendor}-{number:02}" for vendor, most in ROWS.items() for number in range(1, most + 1)]


def read() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the test of each row that is shown, and the rows that wait by what they wait for."""
    table = tomllib.loads((TESTS / "acceptance.toml").read_text("utf-8"))
    return table["shown"], {one["for"]: one["rows"] for one in table.get("waiting", [])}


def page() -> str:
    """Return the table as Markdown."""
    shown, waiting = read()
    waits = {row: what for what, rows in waiting.items() for row in rows}
    lines = [
        "# What loyalty systems do, and the test that shows it",
        "",
        f"{len(shown)} of {len(ALL)} rows are shown; {len(waits)} wait. Written by `python -m tests.acceptance`.",
    ]
    for vendor, title in TITLES.items():
        lines += ["", f"## {title}", "", "| row | shown by | in its own words |", "|---|---|---|"]
        lines += [_line(row, shown, waits) for row in ALL if row.startswith(f"{vendor}-")]
    return "\n".join(lines) + "\n"


def _line(row: str, shown: dict[str, str], waits: dict[str, str]) -> str:
    if row not in shown:
        return f"| {row} | | waits for {waits.get(row, 'a test')} |"
    module, _, name = shown[row].partition("::")
    words = name.removeprefix("test_").replace("_", " ")
    return f"| {row} | [`{module}`]({module}) `{name}` | {words} |"


def counted(passed: Iterable[str], failed: Iterable[str]) -> str | None:
    """Return one line about a run, by its tests' ids; None where none of these tests was among them."""
    shown, waiting = read()
    good, bad = ({one.partition("[")[0] for one in ids} for ids in (passed, failed))
    ends = Counter(
        "failed" if test in bad else "passed" if test in good else "not run"
        for test in (f"tests/{test}" for test in shown.values())
    )
    if not ends["passed"] and not ends["failed"]:
        return None
    told = ", ".join(f"{ends[end]} {end}" for end in ("passed", "failed", "not run") if ends[end])
    waits = sum(map(len, waiting.values()))
    return f"acceptance list: {len(shown)} of {len(ALL)} rows have a test ({told}), {waits} wait"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.exit(0)
