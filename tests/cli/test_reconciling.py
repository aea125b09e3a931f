"""`reconcile`: who differs, who is unknown on either side, and why; and an exit code that says whether all agree."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pytest
from click.testing import CliRunner

from adapter.cli import main, reconciling
from adapter.clock import iso
from adapter.commands import BeginRedemption, ClearFlag
from adapter.events import Customer
from adapter.program.model import Program
from adapter.store import tables as t
from tests.cli.shell import Shell, configured
from tests.shop import (
    DAY,
    NOW,
    configure,
    customer,
    member_of,
    paid,
    placed,
    play,
    publish,
    recorded,
    refunded,
    shipped,
)
from tests.store.test_liability import program, spent

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


class File(Protocol):
    """Writes a file of figures, returns its path."""

    def __call__(self, text: str, name: str = ...) -> str: ...


@pytest.fixture
def write(tmp_path: Path) -> File:
    def to(text: str, name: str = "theirs.csv") -> str:
        (tmp_path / name).write_text(text, "utf-8")
        return str(tmp_path / name)

    return to


def three_members(engine: Engine) -> None:
    """7000 has 89 usable; 7001 has 89 usable and 89 pending; 7002 has 89 pending."""
    configured(engine)
    events = [
        customer("7000", email="ada@example.com"), placed("1"), shipped("1"), placed("2", customer="7001"), shipped("2"),
        placed("3", customer="7001"), placed("4", customer="7002"),
    ]  # fmt: skip
    play(engine, [recorded(one) for one in events])


def differing(shell: Shell, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(shell("reconcile", *arguments, "--json", exits=1).stdout)  # type: ignore[no-any-return]  # - JSON


def test_all_agree(database: Engine, shell: Shell, write: File) -> None:
    three_members(database)
    done = shell("reconcile", write("member,points\nada@example.com,89\nshop:7001,89\nshop:7002,0\n"))
    assert (done.stdout, done.stderr) == ("", "3 agree\n")


@pytest.mark.parametrize(
    ("account", "figures"), [("available", (89, 89, 0)), ("posted", (89, 89, 0)), ("total", (89, 178, 89))]
)
def test_figures_of_each_account_agree(
    sqlite_database: Engine, sqlite_shell: Shell, write: File, account: str, figures: tuple[int, ...]
) -> None:
    three_members(sqlite_database)
    lines = "".join(
        f"{number},{amount}\n" for number, amount in zip((7000, 7001, 7002), figures, strict=True)
    )
    sqlite_shell("reconcile", write(f"customer,points\n{lines}"), "--source", "shop", "--account", account)


def test_what_differs_is_listed_with_the_reason(database: Engine, shell: Shell, write: File) -> None:
    three_members(database)
    file = write("member,points\nshop:7000,5\nshop:7001,178\nshop:9999,7\nada@example.com,89\nshop:7002,x\n")
    rows = differing(shell, file)
    assert [(row["line"], row["kind"], row["theirs"], row["ours"], row["difference"]) for row in rows] == [
        (2, "differs", 5, 89, -84),
        (3, "differs", 178, 89, 89),
        (4, "unknown here", 7, None, None),
        (5, "named twice", 89, None, None),
        (6, "refused", None, None, None),
    ]
    assert [row["why"].partition(";")[0] for row in rows] == [
        "nothing here explains it",
        "they count 89 that are pending",
        rows[2]["why"].partition(";")[0],
        "line 2 names the same member",
        "'x' is no number of points",
    ]
    assert "no member 'shop:9999'" in rows[2]["why"]


def test_whom_they_do_not_name_is_listed(database: Engine, shell: Shell, write: File) -> None:
    three_members(database)
    rows = differing(shell, write("member,points\nshop:7001,89\n"))
    assert [(row["kind"], row["ours"], row["line"]) for row in rows] == [
        ("missing there", 89, None)
    ]  # 7002 has none


def test_an_earlier_figure_is_recognized(database: Engine, shell: Shell, write: File) -> None:
    three_members(database)
    play(database, [recorded(refunded("1"))], now=NOW + 1000)
    (row,) = differing(shell, write("member,points\nshop:7000,89\nshop:7001,89\n"))
    assert row["why"] == f"it is our figure of before {iso(NOW + 1000)}; 1 changes came since"


def test_the_past_is_compared_with_what_was_posted(database: Engine, shell: Shell, write: File) -> None:
    three_members(database)
    play(database, [recorded(refunded("1"))], now=NOW + 1000)
    file = write("member,points\nshop:7000,89\nshop:7001,89\n")
    shell("reconcile", file, "--as-of", iso(NOW + 999))
    (row,) = differing(shell, file, "--as-of", iso(NOW + 1000))
    assert (row["ours"], row["why"]) == (
        59,
        f"it is our figure of before {iso(NOW + 1000)}; 1 changes came since",
    )


def test_what_is_owed_explains(database: Engine, shell: Shell, write: File) -> None:
    configured(database)
    play(database, [recorded(placed()), recorded(shipped())])
    spent(database, 89)
    play(database, [recorded(refunded(amount="89.99"))])
    (row,) = differing(shell, write("member,points\nshop:7000,-89\n"))
    assert (row["ours"], row["why"]) == (0, "they take off 89 that are owed")


def test_points_left_out_and_news_in_flight_explain(
    database: Engine, shell: Shell, endpoint: Any, write: File
) -> None:
    configured(database)
    endpoint(events=["balance.updated"])
    play(database, [recorded(placed()), recorded(shipped()), recorded(placed("2"))])
    (row,) = differing(shell, write("member,points\nshop:7000,89\n"), "--account", "total")
    assert row["why"].split("; ")[0] == "they leave out 89 that are pending"
    assert row["why"].split("; ")[-1] == "3 of the newest 50 messages about them are not delivered"


def test_an_order_without_totals_is_told(database: Engine, shell: Shell, write: File) -> None:
    three_members(database)
    play(database, [recorded(msgspec.structs.replace(paid("9"), customer=Customer(id="7000")))])
    (row,) = differing(shell, write("member,points\nshop:7000,7\nshop:7001,89\n"))
    assert row["why"] == "1 of their orders wait for their totals"


def test_balances_are_as_of_now_though_nobody_swept(database: Engine, shell: Shell, write: File) -> None:
    """Points that ran out years ago are not there, whatever the row still says."""

    configure(database, program(expiry={"days": 1}))
    long_ago = NOW - 1000 * DAY
    play(database, [recorded(placed(at=long_ago)), recorded(shipped(at=long_ago))], now=long_ago)
    shell("reconcile", write("member,points\nshop:7000,0\n"))
    shell("reconcile", write("member,points\nshop:7000,89\n"), "--as-of", iso(long_ago))


def test_json_lines_in_and_csv_out(database: Engine, shell: Shell, write: File) -> None:
    three_members(database)
    lines = [{"member": "shop:7000", "points": 89}, {"member": "shop:7001", "points": "90"}]
    file = write("\n".join(map(json.dumps, lines)), "theirs.jsonl")
    (row,) = csv.DictReader(io.StringIO(shell("reconcile", file, "--csv", exits=1).stdout))
    assert (row["line"], row["named"], row["theirs"], row["ours"], row["difference"]) == (
        "2", "shop:7001", "90", "89", "1",
    )  # fmt: skip
    assert shell("reconcile", file, exits=1).stdout.split()[:4] == ["LINE", "WHAT", "MEMBER", "NAMED"]
    assert "1 agree, 1 differs" in shell("reconcile", file, exits=1).stderr


def test_chunks_are_one_file(
    sqlite_database: Engine, sqlite_shell: Shell, write: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_members(sqlite_database)
    monkeypatch.setattr(reconciling, "CHUNK", 1)
    sqlite_shell("reconcile", write("\ufeffmember,points\nshop:7000,89\nshop:7001,89\n"))
    rows = differing(sqlite_shell, write("member,points\nshop:7000,88\nada@example.com,89\nshop:7001,88\n"))
    assert [(row["line"], row["kind"]) for row in rows] == [
        (2, "differs"),
        (3, "named twice"),
        (4, "differs"),
    ]


def test_a_pipe_is_read_as_it_comes(sqlite_database: Engine, sqlite_shell: Shell) -> None:
    three_members(sqlite_database)
    assert sqlite_shell is not None  # it names the database
    lines = '{"member": "shop:7000", "points": 89}\n{"member": "shop:7001", "points": 89}\n'
    done = CliRunner().invoke(main, ["reconcile", "-", "--format", "jsonl"], input=lines)
    assert (done.exit_code, done.stderr, done.exception) == (0, "2 agree\n", None)


def test_a_file_without_the_columns_is_refused(
    sqlite_database: Engine, sqlite_shell: Shell, write: File
) -> None:
    three_members(sqlite_database)
    said = sqlite_shell.fails("reconcile", write("who,points\n"))
    assert "the header has no column member or customer or email; it has: who, points" in said


def test_progress_is_that_of_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "theirs.csv"
    file.write_text("member,points\nshop:ä,1\n", "utf-8")
    done: list[int] = []
    with file.open(encoding="utf-8") as opened:
        assert reconciling.size_of(opened) == file.stat().st_size
        assert len(list(reconciling.told(opened, done.append))) == 2
    assert sum(done) == file.stat().st_size


def test_flagged_redemptions_explain(database: Engine, shell: Shell, write: File) -> None:
    """A till granted 50 of 0 points: 50 are owed, and a person should look at it."""
    configured(database)
    play(database, [recorded(customer("7000"))])
    member = member_of(database)
    with database.begin() as connection:
        rules = {"name": "main", "redeeming": {"currency": "EUR"}}
        publish(connection, Program.model_validate(rules), version=2, at=1)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    asked: dict[str, Any] = {"env": 1, "member": member, "definition": 1, "code": "X", "received_at": NOW}
    play(database, [BeginRedemption(id=5, points=50, last_known=50, **asked)])
    (row,) = differing(shell, write("member,points\nshop:7000,7\n"))
    assert row["why"] == "1 of their redemptions are flagged, for a person to look at"
    (flagged,) = shell.json("redemptions", "flagged")
    assert (flagged["cost"], flagged["flagged"]) == (
        50, "granted by the last known balance; 50 of 50 were not there",
    )  # fmt: skip
    play(
        database, [ClearFlag(env=1, redemption=5, member=member, definition=1, note="seen", received_at=NOW)]
    )
    assert shell.json("redemptions", "flagged") == []
