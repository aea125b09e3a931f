"""Credits and debits of the API, in one phase and in two: what moves, what is refused, what time does."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from adapter.commands import Command, Elapse, Once
from adapter.engine.audit import audit
from adapter.engine.door import Door
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances
from adapter.events import EventType
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.store.reading.balances import balance_now
from tests.engine.test_audit import corrupt, read
from tests.shop import (
    DAY,
    NOW,
    begin,
    cancelled,
    configure,
    customer,
    end,
    line,
    member_of,
    placed,
    play,
    publish,
    recorded,
    refunded,
    shipped,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.outcome import Outcome

MAIN = Program.model_validate(
    {
        "name": "main",
        "balance_definitions": [{"name": "points"}, {"name": "cash", "decimals": 2}],
        "earning": {"rate": "1"},
        "expiry": {"months": 12},
    }
)
CREDIT, DEBIT = "credit", "debit"


def enrolled(engine: Engine, points: int = 0) -> int:
    """Return a member with this many points."""
    configure(engine, MAIN)
    play(engine, [recorded(customer("7000"))])
    member = member_of(engine)
    if points:
        play(engine, [begin(member, 1, CREDIT, points, complete=True)])
    return member


def amounts(engine: Engine, member: int, definition: int = 1) -> tuple[int, int, int, int]:
    """Return pending, available, reserved, owed."""
    columns = t.balances.c
    query = select(columns.pending, columns.available, columns.reserved, columns.owed)
    with engine.connect() as connection:
        row = connection.execute(
            query.where(columns.member == member, columns.definition == definition)
        ).one_or_none()
    return (0, 0, 0, 0) if row is None else tuple(row)


def told(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        query = select(t.messages.c.type).order_by(t.messages.c.id)
        return [kind for kind in connection.execute(query).scalars() if not kind.startswith("member.")]


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


PHASES = [
    # what is asked for, one after the other, on 100 points → pending, available, reserved
    ([(CREDIT, 50, True)], (0, 150, 0)),
    ([(CREDIT, 50, False)], (50, 100, 0)),
    ([(CREDIT, 50, False), "completed"], (0, 150, 0)),
    ([(CREDIT, 50, False), "cancelled"], (0, 100, 0)),
    ([(DEBIT, 30, True)], (0, 70, 0)),
    ([(DEBIT, 30, False)], (0, 70, 30)),
    ([(DEBIT, 30, False), "completed"], (0, 70, 0)),
    ([(DEBIT, 30, False), "cancelled"], (0, 100, 0)),
    ([(DEBIT, 100, False)], (0, 0, 100)),
    ([(DEBIT, 60, False), "cancelled", (DEBIT, 100, True)], (0, 0, 0)),
]


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(("steps", "left"), PHASES, ids=str)
def test_phases(database: Engine, steps: list[Any], left: tuple[int, int, int], size: int) -> None:
    member = enrolled(database, 100)
    commands: list[Command] = []
    for number, step in enumerate(steps, 2):
        if isinstance(step, str):
            commands.append(end(member, number - 1, step))
        else:
            kind, amount, complete = step
            commands.append(begin(member, number, kind, amount, complete=complete))
    outcomes = play(database, commands, sizes=[size])
    assert [outcome.error for outcome in outcomes] == [None] * len(steps)
    assert amounts(database, member) == (*left, 0)
    sound(database)


def test_each_phase_is_told_of(database: Engine) -> None:
    member = enrolled(database, 100)
    commands: list[Command] = [
        begin(member, 2, DEBIT, 30),
        end(member, 2, "completed"),
        begin(member, 3, CREDIT, 5),
        end(member, 3, "cancelled"),
    ]
    play(database, commands)
    states = ["completed", "pending", "completed", "pending", "cancelled"]
    assert told(database) == [
        kind for state in states for kind in ("balance.updated", f"transaction.{state}")
    ]
    with database.connect() as connection:
        query = select(t.messages.c.body).where(t.messages.c.sequence == 2)
        data = orjson.loads(connection.execute(query).scalar_one())["data"]
    assert (data["cause"]["kind"], data["changes"]) == (
        "transaction.debit",
        {"available": -30, "reserved": 30},
    )
    assert data["cause"]["transaction"] == "txn_0000000000002"


def test_of_completing_and_cancelling_at_once_exactly_one_wins(database: Engine, database_url: str) -> None:
    member = enrolled(database, 100)
    for number in range(2, 22):
        play(database, [begin(member, number, DEBIT, 5)])
    other = open_database(database_url)
    with Door(database, lambda: NOW) as one, Door(other, lambda: NOW) as two:
        futures = [
            (one.offer(end(member, number, "completed")), two.offer(end(member, number, "cancelled")))
            for number in range(2, 22)
        ]
        errors = [{future.result(30).error for future in pair} for pair in futures]
    other.dispose()
    assert all(len(pair) == 2 and None in pair for pair in errors), errors
    with database.connect() as connection:
        states = (
            connection.execute(select(t.transactions.c.state).where(t.transactions.c.id > 1)).scalars().all()
        )
    assert amounts(database, member) == (0, 100 - 5 * states.count("completed"), 0, 0)
    assert audit(database) == []


REFUSED = [
    ([begin(0, 2, DEBIT, 101)], "insufficient_balance"),
    ([begin(0, 2, DEBIT, 30), end(0, 2, "completed"), end(0, 2, "cancelled")], "transaction_completed"),
    ([begin(0, 2, DEBIT, 30), end(0, 2, "cancelled"), end(0, 2, "completed")], "transaction_cancelled"),
    ([begin(0, 2, DEBIT, 30), end(0, 2, "completed"), end(0, 2, "completed")], "transaction_completed"),
    ([end(0, 99, "completed")], "not_found"),
    ([begin(77, 2, CREDIT, 1)], "member_unknown"),
]


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(("commands", "error"), REFUSED, ids=[error for _, error in REFUSED])
def test_what_is_refused_says_so_and_moves_nothing(
    database: Engine, commands: list[Any], error: str, size: int
) -> None:
    member = enrolled(database, 100)
    mine: list[Command] = [msgspec.structs.replace(one, member=one.member or member) for one in commands]
    before = play(database, mine[:-1], sizes=[size])
    assert all(outcome.error is None for outcome in before)
    was = amounts(database, member)
    (last,) = play(database, mine[-1:])
    assert last.error == error
    assert last.reason
    assert amounts(database, member) == was
    sound(database)


def test_too_few_points_are_counted_one_by_one(database: Engine) -> None:
    member = enrolled(database, 100)
    play(database, [begin(member, 2, CREDIT, 40), begin(member, 3, DEBIT, 25)])
    (outcome,) = play(database, [begin(member, 4, DEBIT, 90, complete=True)])
    assert outcome.figures == {
        "requested": 90, "available": 75, "pending": 40, "reserved": 25, "owed": 0, "expired": 0, "redeemed": 0,
    }  # fmt: skip
    assert outcome.reason == "75 are available, 15 too few; 40 are pending; 25 are held."


def test_a_paused_program_books_nothing(database: Engine) -> None:
    member = enrolled(database, 100)
    with database.begin() as connection:
        publish(connection, MAIN.model_copy(update={"state": "paused"}), version=2, at=NOW)
        connection.execute(t.configuration.update().values(version=2))
    (outcome,) = play(database, [begin(member, 2, DEBIT, 1)])
    assert outcome.error == "program_paused"


def test_an_orders_award_is_not_the_apis_to_complete(database: Engine) -> None:
    configure(database, MAIN)
    play(database, [recorded(placed())])
    member = member_of(database)
    with database.connect() as connection:
        award = connection.execute(select(t.transactions.c.id)).scalar_one()
    (outcome,) = play(database, [end(member, award, "completed")])
    assert outcome.error == "transaction_of_order"
    assert "order 1001" in (outcome.reason or "")


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CREDIT, DEBIT])
@pytest.mark.parametrize(
    ("late", "error"), [(-1, None), (0, "transaction_expired"), (1, "transaction_expired")]
)
def test_from_its_deadline_on_it_is_over_whether_or_not_the_sweep_came(
    database: Engine, kind: str, late: int, error: str | None
) -> None:
    member = enrolled(database, 100)
    play(database, [begin(member, 2, kind, 30, deadline=NOW + DAY)])
    (outcome,) = play(database, [end(member, 2, "completed")], now=NOW + DAY + late)
    assert outcome.error == error
    if error:
        assert amounts(database, member) == (0, 100, 0, 0)
        assert told(database)[-1] == "transaction.expired"
    sound(database)


def test_the_sweep_finds_what_is_over(database: Engine) -> None:
    member = enrolled(database, 100)
    play(
        database,
        [begin(member, 2, DEBIT, 30, deadline=NOW + 5), begin(member, 3, DEBIT, 20, deadline=NOW + 9)],
    )
    assert due_balances(database, NOW + 4, 10) == []
    due = Elapse(env=1, member=member, definition=1)
    for now, available, after in ((NOW + 5, 80, NOW + 9), (NOW + 9, 100, None)):
        assert due_balances(database, now, 10) == [due]
        with database.connect() as connection:
            seen, _ = balance_now(connection, 1, member, 1, now)
        assert seen.available == available  # a read does not wait for the sweep
        play(database, [due], now=now)
        assert amounts(database, member)[1] == available
        assert bool(due_balances(database, now + DAY, 10)) == (after is not None)
    sound(database)


@pytest.mark.parametrize("size", [1, 2])
def test_what_is_begun_after_its_deadline_is_over_for_its_own_batch_too(database: Engine, size: int) -> None:
    """It waited to be taken in for longer than it had; one batch says the same as two."""
    member = enrolled(database, 100)
    late: list[Command] = [begin(member, 2, CREDIT, 30, deadline=NOW - 5), end(member, 2, "completed")]
    _, outcome = play(database, late, sizes=[size])
    assert outcome.error == "transaction_expired"
    assert amounts(database, member) == (0, 100, 0, 0)
    sound(database)


def test_what_a_hold_past_its_deadline_held_can_be_spent(database: Engine) -> None:
    member = enrolled(database, 100)
    play(database, [begin(member, 2, DEBIT, 100, deadline=NOW + 5)])
    assert play(database, [begin(member, 3, DEBIT, 1)], now=NOW + 4)[0].error == "insufficient_balance"
    assert play(database, [begin(member, 4, DEBIT, 100)], now=NOW + 5)[0].error is None
    assert amounts(database, member) == (0, 0, 100, 0)


@pytest.mark.parametrize(
    ("then", "left"),
    [
        ("completed", (0, 0, 0, 0)),
        ("cancelled", (0, 0, 0, 0)),
    ],  # spent after all; or released, and gone at once
)
def test_a_hold_keeps_its_lot_past_its_end(database: Engine, then: str, left: tuple[int, ...]) -> None:
    member = enrolled(database)
    play(
        database,
        [begin(member, 1, CREDIT, 50, complete=True, points_end_at=NOW + DAY), begin(member, 2, DEBIT, 50)],
    )
    (outcome,) = play(database, [end(member, 2, then)], now=NOW + DAY)
    assert outcome.error is None
    assert amounts(database, member) == left
    assert ("points.expired" in told(database)) == (then == "cancelled")
    sound(database)


def test_points_past_their_end_are_not_spent(database: Engine) -> None:
    member = enrolled(database)
    play(database, [begin(member, 1, CREDIT, 50, complete=True, points_end_at=NOW + DAY)])
    (outcome,) = play(database, [begin(member, 2, DEBIT, 50)], now=NOW + DAY)
    assert outcome.error == "insufficient_balance"
    assert amounts(database, member) == (0, 0, 0, 0)
    sound(database)


@pytest.mark.parametrize(
    ("ends", "when", "end_at"),
    [
        (None, NOW, 1_826_536_000_000),  # twelve months after they became available
        (NOW + 7 * DAY, NOW, NOW + 7 * DAY),
        (None, NOW + DAY, 1_826_536_000_000 + DAY),  # completed a day later: twelve months after that
        (NOW + 7 * DAY, NOW + DAY, NOW + 7 * DAY),
    ],
)
def test_when_credited_points_end(database: Engine, ends: int | None, when: int, end_at: int) -> None:
    member = enrolled(database)
    play(database, [begin(member, 1, CREDIT, 50, points_end_at=ends)])
    play(database, [end(member, 1, "completed")], now=when)
    with database.connect() as connection:
        assert connection.execute(select(t.lots.c.expires_at)).scalar_one() == end_at


def test_points_are_used_earliest_end_first_then_the_oldest(database: Engine) -> None:
    member = enrolled(database)
    ends = [None, NOW + 9 * DAY, NOW + 3 * DAY, NOW + 3 * DAY, NOW + 5 * DAY]
    forever = MAIN.model_copy(update={"expiry": MAIN.expiry.model_copy(update={"months": None})})
    with database.begin() as connection:
        publish(connection, forever, version=2, at=NOW)
        connection.execute(t.configuration.update().values(version=2))
    play(
        database,
        [
            begin(member, number, CREDIT, 10, complete=True, points_end_at=at)
            for number, at in enumerate(ends, 1)
        ],
    )
    play(database, [begin(member, 10, DEBIT, 35)])
    with database.connect() as connection:
        rows = connection.execute(select(t.lots.c.available, t.lots.c.reserved).order_by(t.lots.c.id)).all()
    assert [tuple(row) for row in rows] == [(10, 0), (5, 5), (0, 10), (0, 10), (0, 10)]


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("debits", [[5], [31], [32], [33], [40, 20, 9], [60], [1] * 40])
def test_however_many_lots_there_are_the_next_ones_are_used(
    database: Engine, debits: list[int], size: int
) -> None:
    """Seventy lots of one point; those without an end, and a new one that ends first, are in their places too."""
    member = enrolled(database)
    ends = [NOW + (70 - number) * DAY for number in range(60)]
    given = [
        begin(member, number, CREDIT, 1, complete=True, points_end_at=at) for number, at in enumerate(ends, 1)
    ]
    forever = [begin(member, number, CREDIT, 1, complete=True) for number in range(61, 71)]
    first = begin(member, 71, CREDIT, 1, complete=True, points_end_at=NOW + DAY)
    play(database, [*given, *forever], sizes=[50])
    spent = [
        begin(member, 100 + number, DEBIT, amount, complete=True) for number, amount in enumerate(debits)
    ]
    outcomes = play(database, [first, *spent], sizes=[size])
    assert {outcome.error for outcome in outcomes} == {None}
    columns = t.lots.c
    with database.connect() as connection:
        rows = connection.execute(select(columns.expires_at).where(columns.available > 0)).scalars().all()
    months = NOW + 365 * DAY
    wanted = sorted([NOW + DAY, *ends, *[months] * 10])[sum(debits) :]
    assert sorted(min(at, months) for at in rows) == wanted
    assert audit(database) == []


def test_a_debt_is_repaid_before_anything_is_usable_again(database: Engine) -> None:
    configure(database, MAIN)
    play(database, [recorded(placed("1", line(amount="80.00")), shipped("1"))])
    member = member_of(database)
    play(database, [begin(member, 1, DEBIT, 50), begin(member, 2, DEBIT, 20, complete=True)])
    play(database, [recorded(cancelled("1"))])  # 80 go back: 10 are there, 70 are owed
    assert amounts(database, member) == (0, 0, 50, 70)
    play(database, [end(member, 1, "cancelled")])  # the 50 that were held repay
    assert amounts(database, member) == (0, 0, 0, 20)
    play(database, [begin(member, 3, CREDIT, 25, complete=True)])
    assert amounts(database, member) == (0, 5, 0, 0)
    sound(database)


def test_definitions_are_apart(database: Engine) -> None:
    member = enrolled(database, 100)
    play(
        database,
        [
            begin(member, 2, CREDIT, 1250, complete=True, definition=2),
            begin(member, 3, DEBIT, 300, definition=2),
        ],
    )
    assert (amounts(database, member), amounts(database, member, 2)) == ((0, 100, 0, 0), (0, 950, 300, 0))
    sound(database)


# --- once -------------------------------------------------------------------------------------------------------------


def once(key: str = "k", request: str = "r", ends_at: int = NOW + DAY) -> Once:
    return Once(key=key.encode(), request=request.encode(), ends_at=ends_at)


@pytest.mark.parametrize("size", [1, 10])
def test_one_key_has_one_effect_and_one_answer(database: Engine, size: int) -> None:
    member = enrolled(database, 100)
    twins = [begin(member, number, DEBIT, 30, once=once()) for number in (2, 3, 4)]
    other = begin(member, 5, DEBIT, 31, once=once(request="another"))
    first, second, third, reused = play(database, [*twins, other], sizes=[size])
    assert first.row == second.row == third.row
    assert (first.duplicate, second.duplicate, third.duplicate) == (False, True, True)
    assert reused.error == "idempotency_key_reused"
    assert amounts(database, member) == (0, 70, 30, 0)
    sound(database)


@pytest.mark.parametrize("size", [1, 10])
def test_a_refusal_does_not_burn_the_key(database: Engine, size: int) -> None:
    member = enrolled(database)
    commands: list[Command] = [
        begin(member, 2, DEBIT, 30, once=once()),
        begin(member, 3, CREDIT, 50, complete=True),
        begin(member, 4, DEBIT, 30, once=once()),
    ]
    outcomes = play(database, commands, sizes=[size])
    assert [outcome.error for outcome in outcomes] == ["insufficient_balance", None, None]
    assert outcomes[2].row is not None
    assert amounts(database, member) == (0, 20, 30, 0)


@pytest.mark.parametrize(("now", "effects"), [(NOW + DAY - 1, 1), (NOW + DAY, 2)])
def test_a_key_is_forgotten_in_the_end(database: Engine, now: int, effects: int) -> None:
    member = enrolled(database, 100)
    play(database, [begin(member, 2, DEBIT, 10, complete=True, once=once())])
    play(database, [begin(member, 3, DEBIT, 10, complete=True, once=once(ends_at=now + DAY))], now=now)
    assert amounts(database, member)[1] == 100 - 10 * effects


def test_fifty_at_once_through_two_doors_never_overspend(database: Engine, database_url: str) -> None:
    member = enrolled(database, 100)
    other = open_database(database_url)
    with ExitStack() as stack:
        doors = [stack.enter_context(Door(engine, lambda: NOW)) for engine in (database, other)]
        start = threading.Barrier(50)

        def spend(number: int) -> Outcome:
            start.wait(30)
            return (
                doors[number % 2]
                .offer(begin(member, number + 10, DEBIT, 7, complete=number % 3 == 0))
                .result(60)
            )

        with ThreadPoolExecutor(50) as pool:
            outcomes = list(pool.map(spend, range(50)))
    other.dispose()
    spent = [outcome for outcome in outcomes if outcome.error is None]
    assert len(spent) == 14  # 98 of 100
    assert {outcome.error for outcome in outcomes} == {None, "insufficient_balance"}
    assert amounts(database, member)[1] == 2
    assert audit(database) == []


# --- the audit, and everything at random ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "UPDATE transactions SET amount = 31 WHERE id = 2",
            "reserved is 30, but its pending debits hold 31",
        ),
        ("UPDATE transactions SET state = 'completed' WHERE id = 2", "its pending debits hold 0"),
        (
            "UPDATE transactions SET amount = 6 WHERE id = 3",
            "5 are pending without an order, but its pending credits wait with 6",
        ),
        ("UPDATE balances SET next_due_at = NULL", "is due at None, but something of it is at"),
    ],
)
def test_audit_names_what_is_wrong_with_pending_transactions(
    sqlite_database: Engine, statement: str, named: str
) -> None:
    member = enrolled(sqlite_database, 100)
    play(sqlite_database, [begin(member, 2, DEBIT, 30, deadline=NOW + DAY), begin(member, 3, CREDIT, 5)])
    corrupt(sqlite_database, statement)
    assert any(named in violation for violation in audit(sqlite_database))


STEP = st.one_of(
    st.tuples(
        st.sampled_from([CREDIT, DEBIT]), st.integers(1, 60), st.booleans(), st.none() | st.integers(1, 5)
    ),
    st.tuples(st.sampled_from(["completed", "cancelled"]), st.integers(0, 8)),
    st.tuples(st.just("order"), st.integers(1, 4), st.integers(1, 80)),
    st.tuples(st.just("undo"), st.integers(1, 4)),
    st.tuples(st.just("refund"), st.integers(1, 4), st.integers(1, 50)),
    st.just(("forget",)),
    st.tuples(st.just("days"), st.integers(1, 3)),
)


@given(steps=st.lists(STEP, max_size=25), size=st.integers(1, 4))
@settings(max_examples=60)
def test_whatever_happens_the_book_is_right(
    sqlite_template: Any, tmp_path_factory: Any, steps: list[Any], size: int
) -> None:
    """Credits, debits, orders, cancellations and days at random: every invariant holds, and the events explain it all."""
    path = tmp_path_factory.mktemp("book") / "loyalty.db"
    shutil.copyfile(sqlite_template, path)
    engine = open_database(f"sqlite:///{path}")
    member = enrolled(engine)
    now, begun = NOW, [1]
    waiting: list[Command] = []

    def flush() -> None:
        play(engine, waiting, now=now, sizes=[size])
        waiting.clear()

    for step in steps:
        if step[0] in (CREDIT, DEBIT):
            kind, amount, complete, days = step
            deadline = None if days is None else now + days * DAY
            begun.append(len(begun) + 1)
            waiting.append(begin(member, begun[-1], kind, amount, complete=complete, deadline=deadline))
        elif step[0] in ("completed", "cancelled"):
            waiting.append(end(member, begun[-1 - step[1] % len(begun)], step[0]))
        elif step[0] == "order":
            waiting.append(
                recorded(
                    placed(f"{step[1]}", line(amount=f"{step[2]}.00"), version=now), shipped(f"{step[1]}")
                )
            )
        elif step[0] == "refund":
            fact = refunded(f"{step[1]}", f"r{step[2]}", f"{step[2]}.00", at=now)
            waiting.append(recorded(fact, salt=str(len(waiting))))
        elif step[0] == "forget":
            waiting.append(recorded(customer("7000", type=EventType.CUSTOMER_REDACTED, at=now)))
        elif step[0] == "undo":
            waiting.append(recorded(cancelled(f"{step[1]}", at=now)))
        else:
            flush()
            now += step[1] * DAY
            play(engine, due_balances(engine, now, 10), now=now)
    flush()
    assert audit(engine) == []
    assert rebuild(engine, read) == []
    engine.dispose()
