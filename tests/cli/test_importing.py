"""`members import` and `members export`: every row once, whatever is run twice or killed; and there and back again."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from adapter import clock
from adapter.clock import LATEST, iso, parse
from adapter.engine.audit import audit
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from tests.shop import DAY, begin, configure, customer, merge, play, recorded, turn

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.cli.shell import Shell

PROGRAM = Program.model_validate(
    {
        "name": "main",
        "balance_definitions": [{"name": "points"}, {"name": "cash", "decimals": 2}],
        "earning": {"rate": "1"},
        "bonuses": {"sign_up": 50},
    }
)
SOON = iso(clock.now() + 100 * DAY)
LATER = iso(clock.now() + 200 * DAY)


@pytest.fixture
def book(database: Engine) -> Engine:
    configure(database, PROGRAM)
    return database


def written(tmp_path: Path, text: str, name: str = "vendor.csv") -> str:
    (tmp_path / name).write_text(text, "utf-8")
    return str(tmp_path / name)


def imported(shell: Shell, *arguments: str, exits: int = 0) -> dict[str, int]:
    found: dict[str, int] = json.loads(shell("members", "import", *arguments, "--json", exits=exits).stdout)
    return {name: number for name, number in found.items() if number}


def held(engine: Engine) -> list[tuple[Any, ...]]:
    """Return (customer, e-mail, definition, points, end) of every lot."""
    query = (
        select(
            t.identities.c.customer,
            t.people.c.email,
            t.lots.c.definition,
            t.lots.c.available,
            t.lots.c.expires_at,
        )
        .select_from(t.lots)
        .join(t.people, t.people.c.member == t.lots.c.member)
        .outerjoin(t.identities, t.identities.c.member == t.lots.c.member)
        .where(t.lots.c.available > 0)
    )
    with engine.connect() as connection:
        return sorted((tuple(row) for row in connection.execute(query)), key=str)


VENDOR = f"""source,customer,email,name,birthday,balance_definition,amount,expires_at,earned_at,joined_at
shop,7000,Ada@example.com,Ada,1990-02-28,points,100,{SOON},2025-01-01T00:00:00Z,2024-01-01T00:00:00Z
shop,7000,,,,points,50,{LATER},,
shop,7000,,,,cash,12.50,never,,
,,bea@example.com,Bea,,points,7,,,
shop,7002,,Cleo,,,,,,
"""


def test_members_and_their_lots_are_taken_over(book: Engine, shell: Shell, tmp_path: Path) -> None:
    file = written(tmp_path, VENDOR)
    assert imported(shell, file) == {"rows": 5, "credited": 4, "enrolled": 3}
    assert held(book) == sorted(
        [
            ("7000", "ada@example.com", 1, 100, parse(SOON)),
            ("7000", "ada@example.com", 1, 50, parse(LATER)),
            ("7000", "ada@example.com", 2, 1250, LATEST),
            (None, "bea@example.com", 1, 7, None),
        ],
        key=str,
    )
    with book.connect() as connection:
        assert connection.execute(select(func.count()).select_from(t.members)).scalar_one() == 3
        assert connection.execute(select(t.bonuses)).all() == []
        joined = connection.execute(select(t.members.c.created_at).order_by(t.members.c.created_at)).scalars()
        assert next(iter(joined)) == parse("2024-01-01T00:00:00Z")
    assert audit(book) == []
    assert imported(shell, file) == {"rows": 5, "known": 4}
    assert sum(row[3] for row in held(book)) == 100 + 50 + 1250 + 7
    assert not (tmp_path / "vendor.csv.refused.csv").exists()


def test_rows_that_cannot_be_used_are_set_apart_and_can_be_put_right(
    book: Engine, shell: Shell, tmp_path: Path
) -> None:
    play(book, [recorded(customer("7009"))])
    with book.connect() as connection:
        gone = connection.execute(select(t.members.c.id)).scalar_one()
    play(book, [turn(1, gone, "deleted")])
    theirs = held(book)
    rows = [
        ("shop,7000,points,5,", None),
        ("elsewhere,1,points,5,", "source"),
        ("shop,7001,miles,5,", "balance_definition"),
        ("shop,7001,points,-5,", "amount"),
        ("shop,7001,points,1.5,", "amount"),
        ("shop,7001,points,5,2020-01-01T00:00:00Z", "expires_at"),
        ("shop,7001,points,5,tomorrow", "expires_at"),
        (",,points,5,", "customer"),
        ("shop,,points,5,", "customer"),
        ("shop,7009,points,5,", "member"),
        ("shop,7001,points", "row"),
        ('shop,"7001', "row"),
    ]
    head = "source,customer,balance_definition,amount,expires_at\n"
    file = written(tmp_path, head + "\n".join(row for row, _ in rows))
    before = imported(shell, file, "--dry-run", exits=1)
    assert (before["rows"], before["refused"]) == (12, 11)
    assert held(book) == theirs
    assert not (tmp_path / "vendor.csv.refused.csv").exists()
    assert imported(shell, file, exits=1) == {"rows": 12, "credited": 1, "enrolled": 1, "refused": 11}
    with (tmp_path / "vendor.csv.refused.csv").open(newline="") as out:
        refused = list(csv.DictReader(out))
    assert [(int(one["line"]), one["field"]) for one in refused] == sorted(
        [(number, field) for number, (_, field) in enumerate(rows, 2) if field]
    )
    assert all(one["reason"] for one in refused)
    right = [one for one in refused if one["field"] in ("balance_definition", "amount", "expires_at")]
    with (tmp_path / "right.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, refused[0])
        writer.writeheader()
        writer.writerows(
            one | {"balance_definition": "points", "amount": "5", "expires_at": ""} for one in right
        )
    assert imported(shell, str(tmp_path / "right.csv")) == {"rows": 5, "credited": 5, "enrolled": 1}
    assert sum(row[3] for row in held(book) if row not in theirs) == 30


def test_a_ref_is_credited_once_in_whatever_file(book: Engine, shell: Shell, tmp_path: Path) -> None:
    first = written(tmp_path, '{"source": "shop", "customer": 7000, "amount": 5, "ref": "a"}\n', "one.jsonl")
    more = written(
        tmp_path,
        '{"source": "shop", "customer": "7000", "amount": 5, "ref": "a"}\n\nnot json\n'
        '{"source": "shop", "customer": "7000", "amount": 6, "ref": "b"}\n'
        '{"source": "shop", "customer": "7000", "amount": 7, "ref": "a"}\n',
        "two.jsonl",
    )
    definition = ("--balance-definition", "points")
    assert imported(shell, first, *definition) == {"rows": 1, "credited": 1, "enrolled": 1}
    assert imported(shell, more, *definition, exits=1) == {"rows": 4, "credited": 1, "known": 1, "refused": 2}
    assert sum(row[3] for row in held(book)) == 11
    with (tmp_path / "two.jsonl.refused.csv").open(newline="") as out:
        assert [(one["line"], one["field"]) for one in csv.DictReader(out)] == [("3", "row"), ("5", "ref")]


def test_an_unknown_column_is_refused_before_anything_is_written(
    book: Engine, shell: Shell, tmp_path: Path
) -> None:
    file = written(tmp_path, "source,customer,ammount\nshop,7000,5\n")
    assert "'ammount'" in shell("members", "import", file, exits=2).stderr
    assert held(book) == []


def many(rows: int) -> str:
    head = "source,customer,balance_definition,amount\n"
    return head + "".join(f"shop,c{number % (rows // 2)},points,{number % 7 + 1}\n" for number in range(rows))


DYING = """
import os, signal
from itertools import count
from sqlalchemy import Engine, event
from adapter.cli import main

commits = count(1)
event.listen(Engine, "commit", lambda _: next(commits) == 8 and os.kill(os.getpid(), signal.SIGKILL))
main()
"""
"""The command line, which does not live to see the end of its eighth commit: then some rows are in, and most are not."""


def test_killed_in_the_middle_it_goes_on_and_credits_nothing_twice(
    book: Engine, database_url: str, tmp_path: Path
) -> None:
    """kill -9 once some rows are in; run again: as if it had never been interrupted."""
    rows = 3000
    file = written(tmp_path, many(rows))
    environment = os.environ | {"LOYALTY_DATA_DIR": str(tmp_path), "LOYALTY_DATABASE_URL": database_url}
    command = [sys.executable, "-m", "adapter.cli", "members", "import", file, "--json"]
    count = select(func.count()).select_from(t.transactions)
    watching = open_database(database_url)
    killed = subprocess.run([sys.executable, "-c", DYING, *command[3:]], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    with watching.connect() as connection:
        done = connection.execute(count).scalar_one()
    assert 0 < done < rows
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told = json.loads(again.stdout)
    assert (told["rows"], told["known"], told["credited"]) == (rows, done, rows - done)
    assert again.stderr == ""  # no bar where nobody looks
    with watching.connect() as connection:
        total = connection.execute(select(func.sum(t.balances.c.available))).scalar_one()
        members = connection.execute(select(func.count()).select_from(t.members)).scalar_one()
    assert (total, members) == (sum(number % 7 + 1 for number in range(rows)), rows // 2)
    assert audit(watching) == []
    watching.dispose()


def said(text: str, form: str) -> list[dict[str, Any]]:
    """Return the rows of an export, but for the lots' own ids."""
    lines = text.splitlines()
    rows = list(csv.DictReader(lines)) if form == "csv" else [json.loads(line) for line in lines]
    return sorted(({**row, "ref": None} for row in rows), key=str)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_exported_is_imported_again(
    sqlite_database: Engine, sqlite_shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    configure(sqlite_database, PROGRAM)
    imported(sqlite_shell, written(tmp_path, VENDOR))
    play(sqlite_database, [recorded(customer("7008")), recorded(customer("7009"))], now=clock.now())
    with sqlite_database.connect() as connection:
        whose = select(t.identities.c.customer, t.identities.c.member)
        numbers = {row.customer: row.member for row in connection.execute(whose)}
    play(
        sqlite_database,
        [merge(numbers["7008"], numbers["7009"]), begin(numbers["7000"], 99, "debit", 30)],
        now=clock.now(),
    )
    out = sqlite_shell("members", "export", f"--{form}")
    assert "30 held" in out.stderr
    file = written(tmp_path, out.stdout, f"out.{form}")
    other = tmp_path / "other.db"
    monkeypatch.setenv("LOYALTY_DATABASE_URL", f"sqlite:///{other}")
    engine = open_database(f"sqlite:///{other}")
    with engine.begin() as connection:
        t.metadata.create_all(connection)
    configure(engine, PROGRAM)
    told = imported(sqlite_shell, file)
    assert told["enrolled"] == 4
    assert "refused" not in told
    assert said(sqlite_shell("members", "export", f"--{form}").stdout, form) == said(out.stdout, form)
    assert imported(sqlite_shell, file) == {"rows": told["rows"], "known": told["credited"]}
    assert audit(engine) == []
    engine.dispose()
