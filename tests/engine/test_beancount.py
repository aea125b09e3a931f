"""Which lots a debit takes, judged from outside: Beancount books the same history, first in first out.

A lot's date there is the day it ends, so its oldest lot is ours that ends next; a lot that never ends is of a far day.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from beancount import loader
from beancount.core.data import Transaction
from beancount.core.position import Cost
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.allocated import allocated
from adapter.store.database import open_database
from tests.shop import DAY, NOW, begin, configure, enrol, play

if TYPE_CHECKING:
    from sqlalchemy import Engine

MEMBER = 50
NEVER = date(9000, 1, 1)
FIRST_DAY = date(2030, 1, 1)
Step = tuple[str, int, int | None]
"""A credit of points that end after so many days (None: never), or a debit; what is there bounds a debit."""
Taken = list[dict[int, int]]
"""For each debit: how much it took of which credit, by the credit's number."""

credits_ = st.tuples(st.just("credit"), st.integers(1, 40), st.none() | st.integers(1, 6))
debits = st.tuples(st.just("debit"), st.integers(1, 60), st.none())
histories = st.lists(st.one_of(credits_, debits), min_size=4, max_size=24)


def bounded(history: list[Step]) -> list[Step]:
    """Return the history with debits cut to what is there; a debit of nothing is left out."""
    there, kept = 0, []
    for kind, amount, days in history:
        moved = amount if kind == "credit" else min(amount, there)
        there += moved if kind == "credit" else -moved
        if moved:
            kept.append((kind, moved, days))
    return kept


def taken_by_us(engine: Engine, history: list[Step]) -> Taken:
    """Live through the history, and read from the book what each debit took."""
    configure(engine, Program.model_validate({"name": "main", "earning": {"rate": "1"}}))
    play(engine, [enrol(MEMBER)])
    for number, (kind, amount, days) in enumerate(history, 1000):
        ends = {} if days is None else {"points_end_at": NOW + days * DAY}
        (outcome,) = play(engine, [begin(MEMBER, number, kind, amount, complete=True, **ends)])
        assert outcome.error is None
    lots = t.lots.c
    with engine.connect() as connection:
        numbers = {
            lot: number
            for number, lot in enumerate(connection.execute(select(lots.id).order_by(lots.id)).scalars())
        }
        taken: dict[int, dict[int, int]] = defaultdict(dict)
        transfers = connection.execute(select(t.transfers)).all()
        for parts in allocated(connection, transfers).values():
            for one in parts:
                taken[one.sequence][numbers[one.lot]] = one.amount
    debiting = [sequence for sequence, step in enumerate(history, 1) if step[0] == "debit"]
    return [taken[sequence] for sequence in debiting]


def taken_by_beancount(history: list[Step]) -> Taken:
    """Have Beancount book the history; its postings name the lots that each debit was booked against."""
    lines = ['2020-01-01 open Assets:Points PTS "FIFO"', "2020-01-01 open Equity:Program"]
    credit = 0
    for kind, amount, days in history:
        lines.append('2020-02-02 * "step"')
        if kind == "credit":
            day = NEVER if days is None else FIRST_DAY + timedelta(days)
            lines.append(f'  Assets:Points  {amount} PTS {{1 EUR, {day}, "{credit:04}"}}')
            credit += 1
        else:
            lines.append(f"  Assets:Points  -{amount} PTS {{}}")
        lines += ["  Equity:Program", ""]
    entries, errors, _ = loader.load_string("\n".join(lines))
    assert errors == []
    booked = [entry for entry in entries if isinstance(entry, Transaction)]
    return [taken for entry in booked if (taken := _taken_of(entry))]


def _taken_of(entry: Transaction) -> dict[int, int]:
    """Return how much a debit took of which credit; of a credit nothing."""
    taken = {}
    for posting in entry.postings:
        if isinstance(posting.cost, Cost) and posting.units is not None and (posting.units.number or 0) < 0:
            taken[int(posting.cost.label or "")] = -int(posting.units.number or 0)
    return taken


@given(histories)
@settings(max_examples=40)
def test_debits_take_the_lots_that_beancount_takes(sqlite_template: Path, drawn: list[Step]) -> None:
    history = bounded(drawn)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loyalty.db"
        path.write_bytes(sqlite_template.read_bytes())
        engine = open_database(f"sqlite:///{path}")
        try:
            assert taken_by_us(engine, history) == taken_by_beancount(history)
        finally:
            engine.dispose()


def test_the_oracle_would_notice_another_order() -> None:
    """In the order of earning, the first debit would take of the first credit; Beancount does not."""
    history: list[Step] = [("credit", 10, 5), ("credit", 10, 1), ("credit", 10, None), ("debit", 15, None)]
    assert taken_by_beancount(history) == [{1: 10, 0: 5}]
