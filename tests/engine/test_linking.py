"""What becomes of a redemption follows from its orders' facts, in whatever order and however often they are told."""

from __future__ import annotations

from concurrent.futures import wait
from itertools import permutations
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select

from adapter import ids
from adapter.commands import Elapse
from adapter.engine.audit import audit
from adapter.engine.door import Door
from adapter.events import Event, PaymentState, RefundState
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from tests.engine.test_convergence import fresh
from tests.engine.test_redemptions import (
    FIRST,
    HOUR,
    MAIN,
    RULES,
    kept,
    move,
    redeem,
    rich,
    sound,
    state_of,
)
from tests.engine.test_transactions import CREDIT, amounts, told
from tests.shop import (
    NOW,
    begin,
    cancelled,
    configure,
    customer,
    line,
    member_of,
    paid,
    placed,
    play,
    recorded,
    refunded,
    snapshot,
    totals,
)

if TYPE_CHECKING:
    from adapter.commands import RecordEvent

CODE = "code-50"  # as a customer may write it
GONE, FAILED, DONE = PaymentState.CANCELLED, PaymentState.FAILED, PaymentState.COMPLETED


def bought(order: str = "1", *codes: str, version: int | None = None, **more: Any) -> Event:
    """29.99 less the discount of 5.00: 24.99 is what the customer pays."""
    what = totals(line(1, "24.99"), codes=codes, version=version or NOW - 9, **more)
    return placed(order, what=what, version=version)


def states(engine: Engine, member: int) -> tuple[str, int, int]:
    """Return the redemption's state, and what is available and reserved."""
    _, available, reserved, owed = amounts(engine, member)
    return state_of(engine), available - owed, reserved


FOLLOWS: list[tuple[list[Event], tuple[str, int, int]]] = [
    # what is told of order 1, which uses the code → state; available, reserved of 1000 points
    ([bought("1", CODE)], ("pending", 500, 500)),
    ([bought("1", CODE), paid("1")], ("applied", 500, 0)),
    ([bought("1", CODE), paid("1", state=PaymentState.PENDING)], ("pending", 500, 500)),
    ([bought("1", CODE), paid("1", state=FAILED)], ("released", 1000, 0)),
    ([bought("1", CODE), paid("1", state=GONE)], ("released", 1000, 0)),
    ([bought("1", CODE), paid("1", "p1", state=FAILED), paid("1", "p2")], ("applied", 500, 0)),
    ([bought("1", CODE), paid("1", "p1", state=FAILED), paid("1", "p2", state=PaymentState.PENDING)], ("pending", 500, 500)),
    ([bought("1", CODE), paid("1", "p1", amount="10.00")], ("pending", 500, 500)),  # of 24.99
    ([bought("1", CODE), paid("1", "p1", amount="10.00"), paid("1", "p2", amount="14.99")], ("applied", 500, 0)),
    ([bought("1", CODE), paid("1", "p1", amount="10.00"), paid("1", "p2", state=FAILED)], ("pending", 500, 500)),
    ([bought("1", CODE), paid("1", "p1", amount="10.00"), cancelled("1")], ("released", 1000, 0)),
    ([bought("1", CODE), cancelled("1")], ("released", 1000, 0)),
    ([bought("1", CODE), paid("1"), cancelled("1")], ("released", 1000, 0)),
    ([bought("1", CODE), cancelled("1"), cancelled("1", at=NOW, off=False)], ("pending", 500, 500)),
    ([bought("1", CODE), cancelled("1"), cancelled("1", at=NOW, off=False), paid("1")], ("applied", 500, 0)),
    ([bought("1", CODE), paid("1"), refunded("1", amount="10.00")], ("applied", 700, 0)),
    ([bought("1", CODE), paid("1"), refunded("1", amount="10.00"), refunded("1", "r2", "14.99")], ("applied", 1000, 0)),
    ([bought("1", CODE), paid("1"), refunded("1", amount="10.00", state=RefundState.FAILED)], ("applied", 500, 0)),
    ([bought("1", "other"), paid("1")], ("pending", 500, 500)),
    ([bought("1", CODE), bought("1", version=NOW), paid("1")], ("pending", 500, 500)),  # the code was taken out again
    ([bought("1"), bought("1", CODE, version=NOW), paid("1")], ("applied", 500, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("events", "ends"), FOLLOWS, ids=range(len(FOLLOWS)))
def test_in_every_order_of_arrival(events: list[Event], ends: tuple[str, int, int]) -> None:
    for arrival in permutations(events):
        with fresh(MAIN) as engine:
            member = furnish(engine)
            play(engine, [recorded(one) for one in arrival], sizes=[1, 2])
            play(engine, [recorded(one, salt="again") for one in arrival])
            state, available, reserved = states(engine, member)
            earned = amounts(engine, member)[1] - available
            assert (state, available, reserved) == ends, arrival
            assert earned == 0
            assert audit(engine) == []


def furnish(engine: Engine) -> int:
    """Let somebody with 1000 points begin a redemption of 500."""
    play(engine, [recorded(customer("7000"))])
    member = member_of(engine)
    play(engine, [begin(member, 1, CREDIT, 1000, complete=True), redeem(member)])
    return member


LINKS: list[tuple[dict[str, Any], Event]] = [
    ({}, bought("1", "CODE-50")),
    ({}, bought("1", " Code-50 ")),
    ({}, bought("1", ids.show("rdm", FIRST))),
    ({}, bought("1", ids.show("rdm", FIRST).upper())),
    ({"order": ("shop", "1")}, bought("1")),
    ({"payment": "p1"}, bought("1")),
]


@pytest.mark.parametrize(("asked", "order"), LINKS, ids=["code", "case", "id", "ID", "order", "payment"])
@pytest.mark.parametrize("size", [1, 5])
def test_an_order_and_a_redemption_find_each_other(
    database: Engine, asked: dict[str, Any], order: Event, size: int
) -> None:
    member = rich(database)
    play(database, [redeem(member, **asked)])
    play(database, [recorded(order), recorded(paid("1", "p1"))], sizes=[size])
    assert states(database, member) == ("applied", 500, 0)
    assert (kept(database).order_source, kept(database).order_ref) == ("shop", "1")
    sound(database)


def test_a_payment_provider_names_the_redemption(database: Engine) -> None:
    """A second source knows payments only: the code is on the payment."""
    configure(database, MAIN, sources=("shop", "pay"))
    member = furnish(database)
    told_of = paid("1", "pi_9", amount="24.99")
    assert told_of.payment is not None
    payment = msgspec.structs.replace(told_of.payment, codes=(CODE,))
    play(database, [recorded(msgspec.structs.replace(told_of, payment=payment), source="pay")])
    assert states(database, member) == ("pending", 500, 500)  # of how much?
    play(database, [recorded(bought("1"))])
    assert states(database, member) == ("applied", 500, 0)
    sound(database)


def test_a_code_that_somebody_else_uses_is_still_its_members(database: Engine) -> None:
    member = rich(database)
    other = placed("1", what=totals(line(1, "24.99"), codes=(CODE,)), customer="7001")
    play(database, [redeem(member), recorded(other), recorded(paid("1"))], sizes=[1, 2])
    assert states(database, member) == ("applied", 500, 0)
    assert amounts(database, member_of(database, "7001")) == (24, 0, 0, 0)
    sound(database)


def test_facts_and_the_api_at_once_leave_a_sound_book(database: Engine, database_url: str) -> None:
    """Two doors: one hears that the orders were paid while the other is asked to release what they use."""
    member = rich(database, 1000)
    numbers = range(50, 58)
    play(database, [redeem(member, number, reward="one") for number in numbers], sizes=[8])
    play(database, [recorded(bought(str(number), f"CODE-{number}")) for number in numbers], sizes=[8])
    other = open_database(database_url)
    with Door(database, lambda: NOW) as one, Door(other, lambda: NOW) as two:
        futures = [
            future
            for number in numbers
            for future in (
                one.offer(recorded(paid(str(number)))),
                two.offer(move(member, "released", number)),
            )
        ]
        wait(futures, 60)
        released = [future.result(0).error for future in futures[1::2]]
    other.dispose()
    assert {*released} <= {None, "redemption_applied"}
    ends = [state_of(database, number) for number in numbers]
    assert ends == ["released" if error is None else "applied" for error in released]
    assert amounts(database, member)[1:] == (1000 - 100 * ends.count("applied"), 0, 0)
    assert audit(database) == []


@pytest.mark.parametrize(
    ("known", "state"),
    [([paid("1")], "applied"), ([cancelled("1")], "released"), ([], "pending")],
    ids=["paid", "cancelled", "placed"],
)
def test_what_is_known_of_its_order_counts_at_once(database: Engine, known: list[Event], state: str) -> None:
    member = rich(database)
    play(database, [recorded(one) for one in (bought("1"), *known)])
    (outcome,) = play(database, [redeem(member, order=("shop", "1"))])
    assert outcome.state == state_of(database) == state
    assert outcome.row is not None
    assert outcome.row["state"] == state
    sound(database)


@pytest.mark.parametrize("size", [1, 5])
def test_a_payment_that_came_before_its_redemption_is_found(database: Engine, size: int) -> None:
    member = rich(database)
    events = [recorded(one) for one in (paid("1", "p1"), bought("1"), paid("2", "p2"), bought("2"))]
    outcomes = play(database, [*events, redeem(member, payment="p1")], sizes=[size])
    assert outcomes[-1].state == "applied"
    assert states(database, member) == ("applied", 500, 0)
    assert (kept(database).order_source, kept(database).order_ref) == ("shop", "1")
    sound(database)
    play(database, [recorded(cancelled("1"))])
    assert states(database, member) == ("released", 1000, 0)
    sound(database)


def test_part_of_an_order_of_unknown_total_pays_nothing_yet(database: Engine) -> None:
    """A payment that says to be all there is applies the discount; how much a part is, only the totals tell."""
    member = rich(database)
    play(
        database, [redeem(member, order=("shop", "1")), redeem(member, 51, reward="one", order=("shop", "2"))]
    )
    play(database, [recorded(paid("1", amount="24.99")), recorded(paid("2"))])
    assert [state_of(database, number) for number in (50, 51)] == ["pending", "applied"]
    play(database, [recorded(bought("1"))])
    assert state_of(database) == "applied"
    sound(database)


def test_told_twice_it_is_applied_once(database: Engine) -> None:
    member = rich(database)
    play(database, [redeem(member), recorded(bought("1", CODE))])
    pays = [
        recorded(paid("1")),
        recorded(paid("1")),
        recorded(paid("1"), salt="again"),
        recorded(paid("1"), salt="2"),
    ]
    play(database, pays, sizes=[2])
    assert states(database, member) == ("applied", 500, 0)
    assert told(database).count("redemption.applied") == 1
    with database.connect() as connection:
        owned = connection.execute(select(t.transactions).where(t.transactions.c.redemption == FIRST)).all()
    assert [(row.kind, row.state, row.amount) for row in owned] == [("debit", "completed", 500)]
    sound(database)


def test_what_waits_again_is_heard_of_again_in_the_same_batch(database: Engine) -> None:
    """Its points come back and are held anew, for which the batch has to see more lots; nothing moves before it does."""
    member = rich(database)
    play(database, [redeem(member), recorded(bought("1", CODE)), recorded(paid("1"))])
    assert states(database, member) == ("applied", 500, 0)
    news = [
        recorded(bought("1", version=NOW)),
        recorded(refunded("1", amount="3.00")),
        recorded(refunded("1", "r2", "2.00")),
        recorded(bought("2", CODE, version=NOW)),
        recorded(cancelled("2", at=NOW)),
    ]
    play(database, news, sizes=[9])
    assert states(database, member)[1:] in ((1000, 0), (500, 500))
    sound(database)


def test_a_payment_for_a_redemption_that_is_not_there_changes_nothing(database: Engine) -> None:
    member = rich(database)
    strange = [recorded(bought("1", ids.show("rdm", 999), "NOBODYS-CODE")), recorded(paid("1"))]
    outcomes = play(database, strange)
    assert [outcome.state for outcome in outcomes] == ["applied", "applied"]
    assert amounts(database, member)[1] == 1000
    sound(database)


def test_what_facts_released_is_taken_again_when_it_is_paid_after_all(database: Engine) -> None:
    """A declined card, and then another: in the meantime the points were spent, so the rest is owed."""
    member = rich(database)
    play(database, [redeem(member), recorded(bought("1", CODE)), recorded(paid("1", "p1", state=FAILED))])
    assert states(database, member) == ("released", 1000, 0)
    play(database, [begin(member, 2, "debit", 800, complete=True), recorded(paid("1", "p2"))])
    assert states(database, member) == ("applied", -300, 0)
    assert "is owed" in kept(database).flagged
    sound(database)
    play(database, [move(member, "reversed", force=True)])
    assert amounts(database, member)[1:] == (200, 0, 0)
    sound(database)


def test_what_was_owed_and_repaid_comes_back_as_a_new_lot(database: Engine) -> None:
    member = rich(database, 500)
    play(database, [redeem(member), recorded(bought("1", CODE)), recorded(paid("1", "p1", state=FAILED))])
    play(database, [begin(member, 2, "debit", 500, complete=True), recorded(paid("1", "p2"))])
    assert amounts(database, member)[1:] == (0, 0, 500)
    play(database, [begin(member, 3, CREDIT, 500, complete=True)])
    assert amounts(database, member)[1:] == (0, 0, 0)
    play(database, [recorded(refunded("1", amount="10.00"))])
    assert (amounts(database, member)[1:], kept(database).returned) == ((200, 0, 0), 200)
    play(database, [move(member, "reversed", force=True)])
    assert amounts(database, member)[1:] == (500, 0, 0)
    sound(database)


@pytest.mark.parametrize("swept", [False, True])
def test_paid_after_its_deadline_it_is_taken_again(database: Engine, swept: bool) -> None:
    member = rich(database)
    play(database, [redeem(member), recorded(bought("1", CODE))])
    if swept:
        play(database, [Elapse(env=1, member=member, definition=1)], now=NOW + HOUR)
        assert states(database, member) == ("expired", 1000, 0)
    play(database, [recorded(paid("1"))], now=NOW + HOUR)
    assert states(database, member) == ("applied", 500, 0)
    assert "had gone back" in kept(database).flagged
    sound(database)


MOVED: list[tuple[str, str, list[Event]]] = [
    ("applied", "applied", [cancelled("1")]),
    ("applied", "applied", [paid("1", state=FAILED)]),
    ("released", "released", [paid("1")]),
    ("reversed", "reversed", [paid("1")]),
]


@pytest.mark.parametrize(("to", "stays", "events"), MOVED, ids=range(len(MOVED)))
def test_what_the_api_moved_no_facts_move_any_more(
    database: Engine, to: str, stays: str, events: list[Event]
) -> None:
    member = rich(database)
    play(database, [redeem(member), recorded(bought("1", CODE)), move(member, to, force=True)])
    was = amounts(database, member)[1:]
    play(database, [recorded(one) for one in events])
    assert (state_of(database), amounts(database, member)[1:]) == (stays, was)
    assert ("by hand" in (kept(database).flagged or "")) == (to == "released")
    sound(database)


def test_refunds_give_points_back_only_where_the_program_says_so(sqlite_database: Engine) -> None:
    never = {**RULES["redeeming"], "return_on_refund": "never"}
    member = rich(sqlite_database, program=Program.model_validate({**RULES, "redeeming": never}))
    play(sqlite_database, [redeem(member), recorded(bought("1", CODE)), recorded(paid("1"))])
    play(sqlite_database, [recorded(refunded("1", amount="24.99"))])
    assert states(sqlite_database, member) == ("applied", 500, 0)
    assert kept(sqlite_database).returned == 0


def test_a_refund_that_did_not_happen_after_all_takes_the_points_again(database: Engine) -> None:
    member = rich(database)
    play(database, [redeem(member), recorded(bought("1", CODE)), recorded(paid("1"))])
    play(database, [recorded(refunded("1", amount="10.00"))])
    assert (states(database, member), kept(database).returned) == (("applied", 700, 0), 200)
    play(database, [recorded(refunded("1", amount="10.00", state=RefundState.FAILED, version=NOW))])
    assert (states(database, member), kept(database).returned) == (("applied", 500, 0), 0)
    sound(database)


def test_used_by_two_orders_the_one_that_is_paid_counts(database: Engine) -> None:
    member = rich(database)
    first = [recorded(bought("1", CODE)), recorded(cancelled("1"))]
    play(database, [redeem(member), *first])
    assert states(database, member) == ("released", 1000, 0)
    play(database, [recorded(bought("2", CODE)), recorded(paid("2"))])
    assert states(database, member) == ("applied", 500, 0)
    play(database, [recorded(cancelled("1", at=NOW, off=False)), recorded(paid("1"))])
    assert states(database, member) == ("applied", 500, 0)
    assert "several orders" in kept(database).flagged or "had gone back" in kept(database).flagged
    sound(database)


def test_an_environment_without_redeeming_asks_nothing_more(sqlite_database: Engine) -> None:
    """The hot path of a shop is as it was: no statement looks for redemptions."""
    configure(sqlite_database, Program.model_validate({"name": "main", "earning": {"rate": "1"}}))
    statements = sent_while(sqlite_database, [recorded(bought("1", CODE)), recorded(paid("1"))])
    assert [one for one in statements if "FROM redemptions" in one or "JOIN redemptions" in one] == []


def test_the_redemptions_of_a_batch_are_found_by_one_statement(sqlite_database: Engine) -> None:
    """However many orders, codes and payments there are; and along the indexes."""
    configure(sqlite_database, MAIN)
    orders = [recorded(bought(str(number), f"C{number}"), paid(str(number))) for number in range(20)]
    few = sent_while(sqlite_database, orders[:1])
    many = sent_while(sqlite_database, orders[1:])
    looks = [[one for one in statements if "redemptions" in one] for statements in (few, many)]
    assert len(looks[0]) == len(looks[1]) == 1
    with sqlite_database.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {looks[0][0].replace('?', '1')}").all()
    read = [row.detail for row in plan if row.detail.startswith(("SEARCH t ", "SCAN t"))]
    assert len(read) == 3
    assert all("USING INDEX" in one or "USING COVERING INDEX" in one for one in read), read


def sent_while(engine: Engine, commands: list[RecordEvent]) -> list[str]:
    """Return the statements that one batch sends."""
    statements: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", hear)
    try:
        play(engine, commands, sizes=[len(commands)])
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    return statements


# --- whatever happens ---------------------------------------------------------------------------------------------------


@st.composite
def uses(draw: st.DrawFn, order: str) -> list[Event]:
    """A random set of things that happened to one order, which uses one of two codes or none."""
    codes = st.sampled_from([(), ("CODE-50",), ("CODE-51",), ("CODE-50", "CODE-51")])
    events = [bought(order, *draw(codes))]
    if draw(st.booleans()):
        events.append(bought(order, *draw(codes), version=NOW))
    events += [
        paid(order, f"p{number}", state=draw(st.sampled_from(list(PaymentState))))
        for number in range(draw(st.integers(0, 2)))
    ]
    for number in range(draw(st.integers(0, 2))):
        state = draw(st.sampled_from([RefundState.COMPLETED, RefundState.COMPLETED, RefundState.FAILED]))
        cents = draw(st.integers(1, 2600))
        events.append(refunded(order, f"r{number}", f"{cents / 100:.2f}", state=state))
    if draw(st.booleans()):
        events.append(cancelled(order))
        if draw(st.booleans()):
            events.append(cancelled(order, at=NOW, off=False))
    return events


@settings(max_examples=120)
@given(st.data())
def test_any_permutation_ends_with_the_same_points_and_redemptions(data: st.DataObject) -> None:
    """Two redemptions, two orders that may use either: 3000 points are enough for both, whatever comes in between."""
    events = [one for order in ("1", "2") for one in data.draw(uses(order))]
    again = data.draw(st.lists(st.sampled_from(events), max_size=3))
    shuffled = data.draw(st.permutations([*events, *again]))
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    ends = []
    for arrival, steps in ((events, [1]), (shuffled, sizes)):
        with fresh(MAIN) as engine:
            play(engine, [recorded(customer("7000"))])
            member = member_of(engine)
            play(engine, [begin(member, 1, CREDIT, 3000, complete=True)])
            play(engine, [redeem(member, 50), redeem(member, 51, reward="one")])
            play(engine, [recorded(one, salt=str(number)) for number, one in enumerate(arrival)], sizes=steps)
            rows = [kept(engine, number) for number in (50, 51)]
            said = [(row.state, row.returned, row.linked, row.order_ref) for row in rows]
            ends.append((snapshot(engine)["balances"], said))
            assert audit(engine) == []
    assert ends[0] == ends[1]
