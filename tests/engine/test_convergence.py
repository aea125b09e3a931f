"""Whatever arrives twice, late or in the wrong order, in batches of any size, ends in the same book."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.pool import StaticPool

from adapter.book.parts import read_parts
from adapter.engine.audit import audit
from adapter.events import Event, PaymentState, RefundState
from adapter.program.model import Program
from adapter.store import tables as t
from tests.program.rules import SKUS, earnings
from tests.shop import (
    DAY,
    NOW,
    cancelled,
    configure,
    line,
    paid,
    placed,
    play,
    recorded,
    refunded,
    shipped,
    snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.commands import RecordEvent
    from adapter.program.model import Earning

AWARD_ON = ("order.placed", "payment.completed", "order.shipped")


@contextmanager
def fresh(program: Program, sources: tuple[str, ...] = ("shop",)) -> Iterator[Engine]:
    """An empty book in memory: hundreds of them a minute."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    t.metadata.create_all(engine)
    configure(engine, program, sources=sources)
    try:
        yield engine
    finally:
        engine.dispose()


def program(award_on: str = "order.shipped", **earning: object) -> Program:
    return Program.model_validate(
        {
            "name": "main",
            "earning": {"rate": "1", "award_on": award_on, **earning},
            "expiry": {"months": 12},
        }
    )


@st.composite
def lives(draw: st.DrawFn, order: str) -> list[Event]:
    """A random set of things that happened to one order: they need not make sense together, they must only converge."""
    amounts = draw(st.lists(st.integers(0, 9000), min_size=1, max_size=3))
    lines = [
        line(number, f"{cents / 100:.2f}", quantity="2", sku=SKUS[number % 3])
        for number, cents in enumerate(amounts, 1)
    ]
    who = draw(st.sampled_from(["7000", "7001"]))
    events = [placed(order, *lines, customer=who)]
    for step in draw(
        st.lists(st.integers(1, 5), max_size=2)
    ):  # edits: another price, perhaps another customer
        edited = [line(1, f"{step * 11}.50", quantity="2"), *lines[1:]]
        events.append(
            placed(
                order, *edited, customer=draw(st.sampled_from([who, who, "7002"])), version=NOW - step * DAY
            )
        )
    names = [one.id for one in lines]
    moment = st.integers(1, 9).map(lambda days: NOW - days * DAY)
    for number in range(draw(st.integers(0, 2))):
        state = draw(st.sampled_from(list(PaymentState)))
        events.append(
            paid(
                order, f"p{number}", at=draw(moment), state=state, amount=draw(st.sampled_from([None, "40"]))
            )
        )
    for number in range(draw(st.integers(0, 3))):
        some = [(name, "1") for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=4))]
        lines_or_all = draw(st.sampled_from([some, some, None]))
        off = draw(st.booleans()) and draw(st.booleans())
        events.append(shipped(order, f"s{number % 2}", lines=lines_or_all, at=draw(moment), cancelled=off))
    for number in range(draw(st.integers(0, 3))):
        cents = draw(st.integers(1, 9000))
        by_line = [(names[0], "1", f"{cents / 100:.2f}")] if draw(st.booleans()) else []
        became = draw(st.sampled_from(list(RefundState)))
        events.append(
            refunded(
                order, f"r{number % 2}", f"{cents / 100:.2f}", lines=by_line, state=became, at=draw(moment)
            )
        )
    if draw(st.booleans()) and draw(st.booleans()):
        events.append(cancelled(order, at=draw(moment), off=draw(st.booleans())))
    return events


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[RecordEvent], list[RecordEvent], list[int]]:
    """Webhooks in one order, the same ones shuffled with repeats, and batch sizes."""
    events = [event for order in ("1001", "1002", "1003") for event in draw(lives(order))]
    source = st.sampled_from(["shop", "shop", "shop", "pay"])
    commands = [recorded(event, source="shop" if event.totals else draw(source)) for event in events]
    again = draw(st.lists(st.sampled_from(commands), max_size=6))
    resent = [recorded(*one.events, source=one.source, salt="again") for one in again[:3]]
    shuffled = draw(st.permutations([*commands, *again, *resent]))
    return commands, shuffled, draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))


@settings(max_examples=150)
@given(
    arrivals(), st.sampled_from(AWARD_ON), st.sampled_from([0, 3, 8]), st.sampled_from(["last", "pro_rata"])
)
def test_any_permutation_with_any_repetition_in_any_batches_ends_in_the_same_book(
    arrived: tuple[list[RecordEvent], list[RecordEvent], list[int]],
    award_on: str,
    hold_days: int,
    partial: str,
) -> None:
    in_order, shuffled, sizes = arrived
    rules = program(award_on, hold_days=hold_days, partial_shipments=partial)
    with fresh(rules, ("shop", "pay")) as one, fresh(rules, ("shop", "pay")) as other:
        play(one, in_order)
        play(other, shuffled, sizes=sizes)
        assert snapshot(other) == snapshot(one)
        assert audit(other) == []


@settings(max_examples=80)
@given(arrivals(), earnings(), st.sampled_from(AWARD_ON), st.sampled_from([0, 3]))
def test_several_rules_end_in_the_same_book_and_the_same_parts(
    arrived: tuple[list[RecordEvent], list[RecordEvent], list[int]],
    rules: Earning,
    award_on: str,
    hold_days: int,
) -> None:
    in_order, shuffled, sizes = arrived
    whole = {**rules.model_dump(), "award_on": award_on, "hold_days": hold_days}
    one_program = Program.model_validate({"name": "main", "earning": whole})
    with fresh(one_program, ("shop", "pay")) as one, fresh(one_program, ("shop", "pay")) as other:
        play(one, in_order)
        play(other, shuffled, sizes=sizes)
        assert snapshot(other) == snapshot(one)
        assert parts_by_order(other) == parts_by_order(one)
        assert audit(other) == []


def parts_by_order(engine: Engine) -> dict[str, tuple[int, str | None]]:
    """Return what the rules gave each order; it is the whole award."""
    with engine.connect() as connection:
        rows = connection.execute(select(t.orders)).all()
    for row in rows:
        assert sum(points for _, points in read_parts(row.parts, row.award)) == row.award
    return {row.ref: (row.award, row.parts) for row in rows}


LIFE = [
    placed("1001", line(1, "60.00", quantity="2"), line(2, "29.99")),
    paid("1001"),
    shipped("1001", "s1", lines=[("1", "2")]),
    shipped("1001", "s2", lines=[("2", "1")]),
    refunded("1001", "r1", "30.00", lines=[("1", "1", "30.00")]),
]


@pytest.mark.parametrize("award_on", AWARD_ON)
def test_every_permutation_of_an_orders_life_ends_alike(award_on: str) -> None:
    """All 120 orders of arrival; floor(89 * 59.99 / 89.99) = 59 points stay."""
    ends = set()
    for arrival in permutations(LIFE):
        with fresh(program(award_on)) as engine:
            play(engine, [recorded(event) for event in arrival], sizes=[2, 1, 2])
            ends.add(repr(snapshot(engine)))
            assert snapshot(engine)["balances"] == {(("shop:7000",), 1): (0, 59, 0, 0, 59)}
    assert len(ends) == 1


def test_the_parts_of_an_award_are_the_same_on_every_database(database: Engine) -> None:
    """90.00 at 1, and 50 for each of two bags; one bag sent back leaves 75 + 50. Every order keeps its parts."""
    rules = [{"name": "base", "rate": "1"}, {"name": "coffee", "per_item": "50", "only": {"skus": ["A"]}}]
    configure(database, Program.model_validate({"name": "main", "earning": {"rules": rules}}))
    bags = line(2, "30.00", quantity="2", sku="A")
    life = [placed("1001", line(1, "60.00"), bags), shipped("1001")]
    life.append(refunded("1001", "r1", "15.00", lines=[("2", "1", "15.00")]))
    play(database, [recorded(event) for event in reversed(life)], sizes=[2, 1])
    assert parts_by_order(database) == {"1001": (190, '[["base",90],["coffee",100]]')}
    assert snapshot(database)["balances"] == {(("shop:7000",), 1): (0, 125, 0, 0, 125)}
    assert audit(database) == []


def test_the_same_sets_converge_on_every_database(database: Engine) -> None:
    """The statements differ between the databases; the book does not."""
    configure(database, program())
    play(database, [recorded(event) for event in reversed(LIFE)], sizes=[5])
    assert snapshot(database)["balances"] == {(("shop:7000",), 1): (0, 59, 0, 0, 59)}
    assert audit(database) == []
