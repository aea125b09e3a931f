"""`simulate`: a changed file over what the shop sent, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from adapter.intake import command_of
from adapter.store.configuration import load_catalog
from connectors import CONNECTORS
from connectors.base import RawEvent
from tests.cli.shell import PROGRAM, Shell
from tests.shop import NOW, configure, play

if TYPE_CHECKING:
    from sqlalchemy import Engine

ROOT = Path(__file__).parent.parent.parent
RULES = """
name = "main"
[earning]
[[earning.rules]]
name = "base"
rate = "2"
[[earning.rules]]
name = "coffee"
per_item = "50"
only = { skus = ["BAG"] }
"""


def order(number: int, *, at: str, customer: str, sku: str, amount: str) -> dict[str, Any]:
    lines = [{"id": "1", "amount": amount, "sku": sku}]
    what = {"id": str(number), "currency": "EUR", "lines": lines}
    return {"type": "order.placed", "occurred_at": at, "order": what, "customer": {"id": customer}}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "main.toml"
    path.write_text(RULES)
    return str(path)


def take_in(engine: Engine) -> None:
    """Let Ada (7000) buy a cup and a bag, and Bo (7001) something of too little worth."""
    configure(engine, PROGRAM)
    told = [
        order(1, at="2026-10-01T10:00:00Z", customer="7000", sku="CUP", amount="60.00"),
        order(2, at="2026-11-01T10:00:00Z", customer="7000", sku="BAG", amount="30.00"),
        order(3, at="2026-11-01T10:00:00Z", customer="7001", sku="CUP", amount="0.40"),
    ]
    with engine.connect() as connection:
        source = load_catalog(connection).sources["shop"]
    raw = [RawEvent({"webhook-id": f"m{n}"}, orjson.dumps(one), NOW) for n, one in enumerate(told)]
    play(engine, [command_of(source, CONNECTORS["standard"], one) for one in raw])


def test_a_table_says_who_would_have_got_what(database: Engine, shell: Shell, file: str) -> None:
    """60 + 30 points at 1; at 2 and 50 for the bag it is 180 + 50."""
    take_in(database)
    lines = [line.split() for line in shell("simulate", file).stdout.splitlines()]
    assert lines[:4] == [
        ["main:", "3", "orders,", "in", "points"],
        ["orders", "that", "earn", "2", "→", "2"],
        ["awarded", "90", "→", "230"],
        ["kept", "after", "refunds", "90", "→", "230"],
    ]
    assert ["nothing:", "rounds_to_zero", "1", "→", "1", "orders"] in lines
    assert ["base", "90", "180", "90"] in lines
    assert ["coffee", "0", "50", "50"] in lines
    (ada,) = [line for line in lines if "shop:7000" in line]
    assert ada[1:] == ["shop:7000", "2", "90", "230", "140"]
    assert lines[-1] == ["1", "members", "keep", "what", "they", "have"]


def test_json_and_csv_have_every_member(database: Engine, shell: Shell, file: str) -> None:
    take_in(database)
    told = shell.json("simulate", file, "--since", "2026-10-15T00:00:00Z")
    assert told["awarded"] == told["retained"] == {"before": 30, "after": 110, "difference": 80}
    assert (told["program"], told["orders"], told["unread_orders"]) == ("main", 2, 0)
    assert told["since"] == "2026-10-15T00:00:00.000Z"
    assert told["rules"][1] == {"rule": "coffee", "before": 0, "after": 50, "difference": 50}
    assert told["nothing"] == [{"reason": "rounds_to_zero", "before": 1, "after": 1}]
    assert [one["source_ids"] for one in told["members"]] == [["shop:7000"], ["shop:7001"]]
    rows = list(csv.DictReader(io.StringIO(shell("simulate", file, "--csv").stdout)))
    assert [(row["source_ids"], row["orders"], row["difference"]) for row in rows] == [
        ("shop:7000", "2", "140"),
        ("shop:7001", "1", "0"),
    ]
    assert all(row["member"].startswith("mem_") for row in rows)


def test_an_apply_file_is_taken_as_it_is(
    sqlite_database: Engine, sqlite_shell: Shell, tmp_path: Path
) -> None:
    take_in(sqlite_database)
    path = tmp_path / "shop.toml"
    programs = [f"[[tenants.programs]]\nname = '{name}'\nearning = {{rate = '3'}}" for name in ("main", "b")]
    path.write_text("\n".join(["[[tenants]]", "name = 'acme'", "mode = 'test'", *programs]))
    assert "there are main, b" in sqlite_shell.fails("simulate", str(path))
    told = sqlite_shell.json("simulate", str(path), "--program", "main")
    assert told["awarded"] == {"before": 90, "after": 271, "difference": 181}
    table = sqlite_shell(
        "simulate", str(path), "--program", "main", "--limit", "1", "--since", "2026-01-01"
    ).stdout
    assert "… and 1 more members; --csv and --json list all" in table
    assert "placed since 2026-01-01T00:00:00.000Z" in table


def test_sources_that_are_gone_are_told(sqlite_database: Engine, sqlite_shell: Shell, file: str) -> None:
    take_in(sqlite_database)
    with sqlite_database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sources")
    assert "3 orders are left out" in sqlite_shell("simulate", file).stdout


def test_the_example_can_be_simulated(sqlite_database: Engine, sqlite_shell: Shell) -> None:
    """One order earns its 90 as before, and 50 for being the member's first."""
    take_in(sqlite_database)
    told = sqlite_shell.json("simulate", str(ROOT / "config" / "rules.toml"))
    assert told["awarded"] == {"before": 90, "after": 140, "difference": 50}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "cannot be read"),
        ("name = 'main'\n[earning]\nrat = 1", "earning.rat: there is no such key"),
        ("name = 'main'\n[[earning.rules]]\nname = 'x'", "Error: earning.rules[0]: it gives nothing"),
        ("name = 'other'", "no program 'other' to compare with; there are: main"),
        ("[[tenants]]\nname = 'other'\nmode = 'test'", "the file says nothing of acme/test"),
        ("[[tenants]]\nname = 'acme'\nmode = 'test'", "there are none"),
    ],
)
def test_a_file_at_fault_is_told(
    sqlite_database: Engine, sqlite_shell: Shell, tmp_path: Path, text: str, says: str
) -> None:
    take_in(sqlite_database)
    path = tmp_path / "draft.toml"
    path.write_text(text)
    assert says in sqlite_shell.fails("simulate", str(path))


def test_one_form_at_a_time(sqlite_shell: Shell, file: str) -> None:
    assert "not both" in sqlite_shell.fails("simulate", file, "--json", "--csv")
