"""A small year of a shop, on both databases: `python -m tests.bench.year` is the whole one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from adapter.store import tables as t
from tests.bench.year import PROGRAM, Book, Script, check, live
from tests.shop import configure

if TYPE_CHECKING:
    from sqlalchemy import Engine


def test_a_year_ends_in_the_same_book_on_both_databases(
    sqlite_database: Engine, postgres_database: Engine
) -> None:
    ends = []
    for engine in (sqlite_database, postgres_database):
        configure(engine, PROGRAM)
        book = Book(engine)
        assert live(book, Script(members=60, events=900)) >= 900
        ends.append(check(book))
        with engine.connect() as connection:
            kinds = set(connection.execute(select(t.transfers.c.kind).distinct()).scalars())
            assert kinds >= {"earn", "activate", "reverse", "expire", "hold", "release", "redeem"}
            assert connection.execute(select(func.count()).select_from(t.events)).scalar_one() > 800
    assert ends[0] == ends[1]
    assert len(ends[0]["balances"]) > 40
