"""The ledger as double entry: every transfer twice, the same from any place on, and nothing left over."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from adapter.program.model import Program
from adapter.store.configuration import load_catalog
from adapter.store.reading import ledger
from adapter.store.reading.ledger import (
    START,
    Span,
    entry_of,
    lines,
    page,
    place_of,
    read_entry,
    transfers,
    trial_balance,
)
from adapter.store.reading.paging import CursorInvalid
from tests.engine.test_convergence import fresh, lives
from tests.shop import NOW, configure, placed, play, recorded, refunded, shipped

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.events import Event

PROGRAM = Program.model_validate({"name": "main", "earning": {"rate": "1"}})
EVERYTHING = Span()


def three_members(engine: Engine) -> None:
    """Seven transfers: 89 earned by each of three, one posted, one posted and 30 of it taken back, a moment later."""
    configure(engine, PROGRAM)
    orders = [placed(number, customer=number) for number in ("1", "2", "3")]
    play(engine, [recorded(one) for one in orders], now=NOW)
    play(engine, [recorded(one) for one in (shipped("1"), shipped("2"), refunded("2"))], now=NOW + 1)


def test_a_transfer_is_a_debit_and_a_credit(database: Engine) -> None:
    configure(database, PROGRAM)
    play(database, [recorded(placed())], now=NOW)
    with database.connect() as connection:
        (one,) = transfers(connection, 1, EVERYTHING)
        debit, credit = lines(one, load_catalog(connection).definitions[1, 1])
    assert (debit["account"], debit["debit"], debit["credit"]) == ("issued", 89, None)
    assert (credit["account"], credit["debit"], credit["credit"]) == ("pending", None, 89)
    assert (debit["order_source"], debit["order"], debit["kind"]) == ("shop", "1001", "earn")
    assert debit["transaction"].startswith("txn_")
    assert debit["event"].startswith("evt_")
    assert (debit["occurred_at"], debit["posted_at"]) == (
        "2026-11-08T11:06:40.000Z",
        "2026-11-18T11:06:40.000Z",
    )
    assert tuple(debit) == ledger.COLUMNS


def test_an_export_goes_on_from_any_entry(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    three_members(database)
    monkeypatch.setattr(ledger, "SCAN", 2)
    with database.connect() as connection:
        whole = [entry_of(one) for one in transfers(connection, 1, EVERYTHING)]
        assert len(set(whole)) == len(whole) == 6
        for number, entry in enumerate(whole, 1):
            place = read_entry(entry)
            assert place is not None
            assert [entry_of(one) for one in transfers(connection, 1, EVERYTHING, place)] == whole[number:]


@pytest.mark.parametrize(
    "text", ["", "mem_0000000000005", "mem_0000000000005.1.2", "mem_5.1.2.3", "mem_0000000000005.1.-2.3"]
)
def test_what_is_no_entry(text: str) -> None:
    assert read_entry(text) is None


@pytest.mark.parametrize(
    ("span", "number"),
    [
        (Span(), 6),
        (Span(since=NOW), 6),
        (Span(since=NOW + 1), 3),
        (Span(until=NOW + 1), 3),
        (Span(until=NOW), 0),
        (Span(NOW, NOW + 1), 3),
        (Span(since=NOW + 2), 0),
    ],
)
def test_a_span_is_half_open(database: Engine, span: Span, number: int) -> None:
    three_members(database)
    with database.connect() as connection:
        assert len(list(transfers(connection, 1, span))) == number
        totals = trial_balance(connection, 1, span)
        found = Counter[str]()
        for one in transfers(connection, 1, span):
            found[one.from_account] -= one.amount
            found[one.to_account] += one.amount
    net = {account: totals.credits[1, account] - totals.debits[1, account] for account in found}
    assert net == dict(found)


@pytest.mark.parametrize("limit", [1, 2, 3, 12, 50])
@pytest.mark.parametrize("most", [1, 4, 100])
def test_pages_are_the_whole(database: Engine, limit: int, most: int) -> None:
    three_members(database)
    found: list[Any] = []
    cursor = None
    with database.connect() as connection:
        whole = [(entry_of(one), side) for one in transfers(connection, 1, EVERYTHING) for side in (0, 1)]
        for turn in count():
            assert turn < 30
            read = page(connection, 1, EVERYTHING, limit=limit, cursor=cursor, most=most)
            assert len(read.rows) <= limit
            found += [(entry_of(one), side) for one, side in read.rows]
            cursor = read.next_cursor
            if cursor is None:
                break
    assert found == whole


def test_a_page_may_be_empty_and_go_on(database: Engine) -> None:
    three_members(database)
    with database.connect() as connection:
        read = page(connection, 1, Span(since=NOW + 2), limit=5, cursor=None, most=3)
        assert (read.rows, read.next_cursor is None) == ((), False)
        with pytest.raises(CursorInvalid):
            page(connection, 1, EVERYTHING, limit=5, cursor="WzFd")


def test_other_environments_are_not_in_it(sqlite_database: Engine) -> None:
    three_members(sqlite_database)
    with sqlite_database.connect() as connection:
        assert list(transfers(connection, 2, EVERYTHING)) == []
        assert trial_balance(connection, 2, EVERYTHING).definitions() == []


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(lives("1001"), lives("1002"))
def test_trial_balance_is_zero_and_that_of_the_lines(first: list[Event], second: list[Event]) -> None:
    with fresh(PROGRAM) as engine:
        play(engine, [recorded(one) for one in (*first, *second)])
        with engine.connect() as connection:
            kept = {1: load_catalog(connection).definitions[1, 1]}
            told = trial_balance(connection, 1, EVERYTHING).view(kept)
            both = [line for one in transfers(connection, 1, EVERYTHING) for line in lines(one, kept[1])]
            places = [place_of(one) for one in transfers(connection, 1, EVERYTHING)]
    assert places == sorted(places)
    assert all(place > START for place in places)
    debits, credits_ = Counter[str](), Counter[str]()
    for line in both:
        debits[line["account"]] += line["debit"] or 0
        credits_[line["account"]] += line["credit"] or 0
    accounts, total = told[:-1], told[-1:]
    assert {one["account"]: (one["debit"], one["credit"]) for one in accounts} == {
        name: (debits[name], credits_[name]) for name in {*debits, *credits_}
    }
    assert [(one["account"], one["balance"]) for one in total] == ([("total", 0)] if both else [])
    assert sum(one["balance"] for one in accounts) == 0
