"""Reports and exports as commands: for people, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from adapter.clock import iso
from tests.cli.shell import Shell, live_one_order
from tests.shop import NOW, configure, play, recorded, shipped
from tests.store.test_liability import program

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


def one_order_worth(engine: Engine) -> None:
    """Customer 7000 keeps 59 points of an order, each worth a cent, until 2027-11."""
    configure(engine, program(point_value="0.01", currency="EUR", expiry={"months": 1200}))
    live_one_order(engine)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_liability_is_drawn_for_people(database: Engine, shell: Shell) -> None:
    one_order_worth(database)
    said = shell("report", "liability").stdout
    assert "main/points: 59 points, 0.59 EUR" in said
    assert "2126-11      59   0.59  " in said
    assert "\u2588" * 10 in said
    assert "89 issued, 0 expired, 30 revoked; expired / issued 0.0000" in said
    assert said.splitlines()[-1] == "worth 0.59 EUR in all"


def test_liability_as_json_and_csv_say_the_same(database: Engine, shell: Shell, tmp_path: Path) -> None:
    one_order_worth(database)
    told = shell.json("report", "liability", "--program", "main")["definitions"][0]
    assert (told["outstanding"], told["value"]) == (59, "0.59")
    file = tmp_path / "liability.csv"
    assert shell("report", "liability", "--csv", str(file)).stdout == ""
    rows = table(file.read_text("utf-8"))
    assert [(row["expires"], row["outstanding"], row["value"]) for row in rows] == [
        ("2126-11", "59", "0.59"), ("owed", "0", ""), ("total", "59", "0.59"),
    ]  # fmt: skip
    assert shell("report", "liability", "--csv", "-").stdout == file.read_text("utf-8")


def test_liability_of_the_past_and_of_nothing(database: Engine, shell: Shell) -> None:
    configure(database, program())
    said = shell("report", "liability", "--as-of", iso(NOW)).stdout
    assert "main/points: 0 points, no point_value" in said
    assert "there are: main" in shell.fails("report", "liability", "--program", "gold")


def test_transfers_are_exported_as_csv_and_json_lines(database: Engine, shell: Shell) -> None:
    one_order_worth(database)
    done = shell("export", "transfers")
    rows = table(done.stdout)
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in shell("export", "transfers", "--jsonl").stdout.splitlines()
    ]
    assert [
        {name: "" if value is None else str(value) for name, value in line.items()} for line in lines
    ] == rows
    assert [(row["account"], row["debit"], row["credit"]) for row in rows] == [
        ("issued", "89", ""), ("pending", "", "89"),
        ("pending", "89", ""), ("available", "", "89"),
        ("available", "30", ""), ("revoked", "", "30"),
    ]  # fmt: skip
    assert done.stderr == "3 transfers, debit 208 = credit 208 in smallest units\n"


def test_an_interrupted_export_goes_on(database: Engine, shell: Shell) -> None:
    one_order_worth(database)
    whole = shell("export", "transfers").stdout
    second = table(whole)[3]["entry"]
    assert shell("export", "transfers", "--after", second).stdout == "".join(
        whole.splitlines(keepends=True)[5:]
    )
    assert "is not an entry such as" in shell.fails("export", "transfers", "--after", "mem_1")


def test_spans_are_exported(database: Engine, shell: Shell) -> None:
    one_order_worth(database)
    play(database, [recorded(shipped("1001", "s2"))], now=NOW + 1)
    assert len(table(shell("export", "transfers", "--until", iso(NOW)).stdout)) == 0
    assert len(table(shell("export", "transfers", "--since", iso(NOW)).stdout)) == 6


def test_trial_balance_is_zero(database: Engine, shell: Shell) -> None:
    one_order_worth(database)
    told = shell.json("export", "trial-balance")
    assert [(row["account"], row["debit"], row["credit"], row["balance"]) for row in told] == [
        ("available", 30, 89, -59),
        ("pending", 89, 89, 0),
        ("issued", 89, 0, 89),
        ("revoked", 0, 30, -30),
        ("total", 208, 208, 0),
    ]
    assert "DEBIT - CREDIT" in shell("export", "trial-balance").stdout
