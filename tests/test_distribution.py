"""Keys lead what they are said to lead, and whatever binds no table by its key is found."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import UniqueConstraint

from adapter.store import tables as t
from adapter.store.distribution import SMALL, SPREAD
from tests.distribution import EXCEPTIONS, HOT, is_in, judge
from tests.statements import ROOT, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Table

tables = pytest.mark.parametrize("name", sorted(SPREAD))


def indexed(table: Table) -> Iterator[list[str]]:
    """Return the columns of every index there is on a table."""
    yield list(table.primary_key.columns.keys())
    yield from (list(one.columns.keys()) for one in table.indexes)
    yield from (list(one.columns.keys()) for one in table.constraints if isinstance(one, UniqueConstraint))


def test_every_table_has_its_place() -> None:
    assert set(SMALL) | set(SPREAD) == set(t.metadata.tables)
    assert not set(SMALL) & set(SPREAD)


@tables
def test_the_primary_key_begins_with_what_a_table_is_spread_by(name: str) -> None:
    by = SPREAD[name].by
    assert by[0] == "env"
    assert tuple(t.metadata.tables[name].primary_key.columns.keys())[: len(by)] == by


@tables
def test_every_other_key_is_the_beginning_of_an_index(name: str) -> None:
    found = list(indexed(t.metadata.tables[name]))
    for key in SPREAD[name].also:
        assert key[0] == "env"
        assert any(tuple(one[: len(key)]) == key for one in found), key


@tables
def test_every_unique_key_begins_with_the_environment(name: str) -> None:
    table = t.metadata.tables[name]
    unique = [one.columns for one in table.constraints if isinstance(one, UniqueConstraint)]
    unique += [one.columns for one in table.indexes if one.unique]
    assert [columns.keys() for columns in unique if columns.keys()[0] != "env"] == []


def test_what_is_hot_is_no_exception() -> None:
    assert [(name, hot) for name in EXCEPTIONS for hot in HOT if is_in(name, hot) or is_in(hot, name)] == []


BOUND = (
    """
SELECT t.award FROM (SELECT column1 AS env, column2 AS source, column3 AS ref FROM (VALUES (?, ?, ?))) k
  CROSS JOIN orders t WHERE t.env = k.env AND t.source = k.source AND t.ref = k.ref AND t.member IS NULL
SELECT ref FROM orders WHERE env = ? AND member IN (?, ?) ORDER BY ref
SELECT ref FROM orders WHERE env = ? AND (member = ? OR source = ? AND customer = ?) AND member = ?
SELECT ref FROM orders WHERE (env, source, ref) IN
  (SELECT env, order_source, order_ref FROM events WHERE env = ? AND id = ?)
SELECT p.name FROM identities i JOIN people p ON p.env = i.env AND p.member = i.member
  WHERE i.env = ? AND i.source = ? AND i.customer = ?
SELECT p.name FROM members m LEFT JOIN people p ON p.env = m.env AND p.member = m.id WHERE m.env = ? AND m.id = ?
SELECT id FROM members m WHERE env = ? AND id = ? AND EXISTS
  (SELECT 1 FROM lots WHERE lots.env = m.env AND lots.member = m.id)
UPDATE lots SET pending = 0 WHERE env = ? AND member = ? AND definition = ? AND id = ?
INSERT INTO bonuses (env, member) VALUES (?, ?) ON CONFLICT (env, member) DO NOTHING
WITH k AS (SELECT ? AS env, ? AS member) SELECT b.owed FROM k JOIN balances b ON b.env = k.env AND b.member = k.member
SELECT url FROM endpoints WHERE state = 'enabled'
""".strip()
    .replace("\n  ", " ")
    .splitlines()
)
UNBOUND = [
    ("SELECT ref FROM orders", ["orders"]),
    ("SELECT ref FROM orders WHERE member = ?", ["orders"]),
    ("SELECT ref FROM orders WHERE env = ? AND source = ?", ["orders"]),
    ("SELECT ref FROM orders WHERE env = ? AND member > ?", ["orders"]),
    ("SELECT ref FROM orders WHERE env = ? AND (member = ? OR placed_at > ?)", ["orders"]),
    ("SELECT ref FROM orders WHERE env = ? AND NOT member = ?", ["orders"]),
    ("SELECT o.ref FROM orders o JOIN lots l ON l.env = o.env AND l.order_ref = o.ref WHERE o.env = ? AND o.member = ?",
     ["lots AS l"]),
    ("SELECT p.name FROM people p LEFT JOIN members m ON p.env = ? AND p.member = ? AND m.env = ? AND m.id = ?",
     ["people AS p"]),
    ("SELECT name FROM people WHERE env = ? AND member IN (SELECT member FROM orders WHERE state = ?)", ["orders"]),
    ("SELECT ? FROM members m WHERE env = ? AND id = ? UNION SELECT member FROM people", ["people"]),
    ("UPDATE lots SET pending = 0 WHERE env = ? AND id = ?", ["lots"]),
    ("DELETE FROM attempts WHERE started_at < ?", ["attempts"]),
    ("INSERT INTO bonuses (env, member) SELECT env, member FROM memberships WHERE program = ?", ["memberships"]),
    ("WITH k AS (SELECT env, member FROM orders) SELECT 1 FROM k JOIN balances b ON b.env = k.env AND b.member = k.member",
     ["orders"]),
]  # fmt: skip


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@pytest.mark.parametrize("text", BOUND)
def test_a_statement_that_names_its_keys_is_let_through(text: str, dialect: str) -> None:
    assert judge().unbound(dialect, text) == []


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("text", "tables"), UNBOUND)
def test_a_statement_that_would_look_anywhere_is_not(text: str, tables: list[str], dialect: str) -> None:
    asked = text if dialect == "sqlite" else text.replace("?", "%s")
    assert judge().unbound(dialect, asked) == tables


def test_lists_of_any_length_are_one_statement() -> None:
    one = "SELECT a FROM (VALUES (?, ?)) k WHERE b IN (?) AND due_at <= 1"
    many = (
        "SELECT a\n FROM (VALUES (?, ?), (?, ?), (?, ?)) k WHERE b IN (?, ?, ?) AND due_at <= 1763769600000"
    )
    assert shortened(many) == shortened(one.replace("(?, ?)", "(?)"))


# --- planted --------------------------------------------------------------------------------------------------------------

PLANTING = """
from sqlalchemy import create_engine, text
from tests.statements import ROOT

PRODUCT = '''
def ask(connection):
    connection.exec_driver_sql("SELECT 1 FROM orders")
'''

def test_planted():
    said = {}
    exec(compile(PRODUCT, f"{ROOT}adapter/planted.py", "exec"), said)
    with create_engine("sqlite://").begin() as connection:
        connection.execute(text("CREATE TABLE orders (env, member)"))
        said["ask"](connection)
"""
"""A test that passes, of a function that says it is the product's."""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_planted_statement_fails_the_session(processes: str, tmp_path: Path) -> None:
    planted = tmp_path / "test_planted.py"
    planted.write_text(PLANTING, "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.conftest", "-n", processes,
         "--rootdir", ROOT, str(planted)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in run.stdout
    assert "adapter.planted:ask (sqlite) binds orders by no key: SELECT 1 FROM orders" in run.stdout
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
