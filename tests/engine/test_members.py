"""Members by command: enrolled, changed, deleted, restored, erased; and points that one gives another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.events import EventType
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import corrupt
from tests.engine.test_convergence import fresh
from tests.engine.test_histories import proven, read
from tests.engine.test_merging import REDEEMING, done, earned, lots, redeem, sound, two
from tests.engine.test_transactions import CREDIT, DEBIT, MAIN, amounts
from tests.shop import (
    DAY,
    NOW,
    begin,
    cancelled,
    configure,
    customer,
    enrol,
    line,
    member_of,
    merge,
    placed,
    play,
    recorded,
    shipped,
    transfer,
    turn,
    update,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.commands import Command

MATCHING = Program.model_validate({**MAIN.model_dump(), "members": {"match_email": True}})
CLOSED = Program.model_validate({**MAIN.model_dump(), "members": {"auto_enrol": False}})


def person(engine: Engine, member: int) -> tuple[Any, ...] | None:
    columns = t.people.c
    query = select(columns.email, columns.name, columns.birthday, columns.metadata)
    with engine.connect() as connection:
        row = connection.execute(query.where(columns.member == member)).one_or_none()
    return None if row is None else tuple(row)


def heard(engine: Engine) -> list[str]:
    """Return the types of the messages about members."""
    query = select(t.messages.c.type).order_by(t.messages.c.id)
    with engine.connect() as connection:
        return [kind for kind in connection.execute(query).scalars() if kind.startswith("member.")]


def said(engine: Engine) -> bytes:
    """Return all that the stored commands say."""
    with engine.connect() as connection:
        return b"".join(
            connection.execute(select(t.events.c.body).where(t.events.c.source == "@api")).scalars()
        )


def test_somebody_enrolled_is_the_shops_customer(database: Engine) -> None:
    configure(database, MAIN)
    joined = NOW - 400 * DAY
    (outcome,) = done(
        database,
        enrol(5, customer=("shop", "7000"), email="jo@example.com", name="Jo", birthday="1990-02-28",
              metadata={"card": "LM-00123456"}, joined_at=joined),
    )  # fmt: skip
    assert outcome.row is not None
    assert (outcome.state, outcome.row["created_at"]) == ("created", joined)
    assert person(database, 5) == ("jo@example.com", "Jo", "1990-02-28", '{"card":"LM-00123456"}')
    done(database, recorded(placed("1"), shipped("1")))
    assert amounts(database, 5) == (0, 89, 0, 0)
    assert heard(database) == ["member.created"]
    sound(database)


@pytest.mark.parametrize(
    ("program", "again", "refused"),
    [
        (MAIN, {"customer": ("shop", "7000")}, True),
        (MAIN, {"email": "jo@example.com"}, False),
        (MAIN, {"customer": ("shop", "7001"), "email": "jo@example.com"}, False),
        (MAIN, {}, False),
        (MATCHING, {"email": "jo@example.com"}, True),
        (MATCHING, {"customer": ("shop", "7001"), "email": "jo@example.com"}, True),
        (MATCHING, {"email": "bo@example.com"}, False),
    ],
)
@pytest.mark.parametrize("sizes", [[1], [2]])
def test_nobody_is_enrolled_twice(
    database: Engine, program: Program, again: dict[str, Any], refused: bool, sizes: list[int]
) -> None:
    configure(database, program)
    first = enrol(5, customer=("shop", "7000"), email="jo@example.com")
    outcomes = play(database, [first, enrol(6, **again)], sizes=sizes)
    assert [one.error for one in outcomes] == [None, "member_exists" if refused else None]
    if refused:
        assert "mem_0000000000005" in str(outcomes[1].reason)
    sound(database)


def test_who_enrols_finds_the_orders_that_waited(database: Engine) -> None:
    """The program takes in nobody by itself: the order waits, and is Jo's as soon as Jo is a member."""
    configure(database, CLOSED)
    done(database, recorded(placed("1", email="jo@example.com"), shipped("1")))
    done(database, enrol(5, customer=("shop", "7000")))
    assert amounts(database, 5) == (0, 89, 0, 0)
    sound(database)


def test_a_guests_orders_are_whose_address_they_have(database: Engine) -> None:
    configure(database, MATCHING)
    done(
        database,
        recorded(placed("1", customer=None, email="jo@example.com"), shipped("1")),
        recorded(placed("2", customer=None, email="new@example.com"), shipped("2")),
        enrol(5, email="jo@example.com"),
    )
    assert amounts(database, 5) == (0, 89, 0, 0)
    done(database, update(1, 5, email="new@example.com"))
    assert amounts(database, 5) == (0, 178, 0, 0)
    sound(database)


def test_what_is_not_said_stays_and_none_goes(database: Engine) -> None:
    configure(database, MAIN)
    done(database, enrol(5, email="jo@example.com", name="Jo", metadata={"a": "1"}))
    done(database, update(1, 5, birthday="2000-01-01", name=None))
    assert person(database, 5) == ("jo@example.com", None, "2000-01-01", '{"a":"1"}')
    done(database, update(2, 5, metadata={}, email=None, birthday=None))
    assert person(database, 5) == (None, None, None, None)
    assert heard(database) == ["member.created", "member.updated", "member.updated"]
    sound(database)


def test_what_a_shop_said_before_does_not_undo_a_change(database: Engine) -> None:
    configure(database, MAIN)
    done(database, recorded(customer("7000", email="old@example.com", at=NOW - 2 * DAY)))
    member = member_of(database)
    done(database, update(1, member, email="new@example.com"))
    late = customer("7000", email="late@example.com", at=NOW - DAY, type=EventType.CUSTOMER_UPDATED)
    done(database, recorded(late))
    assert (person(database, member) or ())[0] == "new@example.com"
    newer = customer("7000", email="newer@example.com", at=NOW + DAY, type=EventType.CUSTOMER_UPDATED)
    done(database, recorded(newer))
    assert (person(database, member) or ())[0] == "newer@example.com"


def test_an_address_of_another_person_is_refused(database: Engine) -> None:
    configure(database, MATCHING)
    done(database, enrol(5, email="jo@example.com"), enrol(6, email="bo@example.com"))
    (outcome,) = play(database, [update(1, 6, email="jo@example.com")])
    assert outcome.error == "member_exists"
    done(database, update(2, 5, email="jo@example.com", name="Jo"))
    sound(database)


def test_deleted_restored_erased(database: Engine) -> None:
    configure(database, MAIN)
    done(
        database,
        enrol(5, customer=("shop", "7000"), email="jo@example.com"),
        begin(5, 1, CREDIT, 9, complete=True),
    )
    steps = [
        ("active", "member_active"), ("deleted", None), ("deleted", "member_deleted"), ("active", None),
        ("deleted", None), ("erased", None), ("erased", "member_erased"), ("active", "member_erased"),
        ("deleted", "member_erased"),
    ]  # fmt: skip
    for number, (state, error) in enumerate(steps):
        (outcome,) = play(database, [turn(number, 5, state)])
        assert (outcome.error, number) == (error, number)
    assert amounts(database, 5) == (0, 9, 0, 0)
    assert heard(database) == [
        "member.created", "member.deleted", "member.updated", "member.deleted", "member.deleted",
    ]  # fmt: skip
    sound(database)


def test_an_erased_member_is_named_by_no_row_and_no_stored_command(database: Engine) -> None:
    configure(database, MAIN)
    secrets = {
        "email": "jo@example.com",
        "name": "Jo Secret",
        "birthday": "1990-02-28",
        "metadata": {"vip": "code7"},
    }
    done(
        database,
        enrol(5, customer=("shop", "7000"), **secrets),
        enrol(6, name="Jo Secret", email="second@example.com"),
        update(1, 5, name="Joanna Secret", metadata={"vip": "code8"}),
        recorded(placed("1"), shipped("1")),
        begin(6, 1, CREDIT, 5, complete=True),
        merge(6, 5),
        enrol(7, name="Somebody Else"),
    )
    done(database, turn(2, 5, "erased"))
    told = said(database)
    for word in (b"jo@example.com", b"Secret", b"1990", b"code7", b"code8", b"second@"):
        assert word not in told
    assert b"Somebody Else" in told
    with database.connect() as connection:
        assert connection.execute(select(t.people.c.name)).scalars().all() == ["Somebody Else"]
        assert connection.execute(select(t.identities)).all() == []
    assert amounts(database, 5) == (0, 94, 0, 0)
    sound(database)


def test_where_something_was_sent_to_is_erased_too(database: Engine) -> None:
    ada, bea = two(database, REDEEMING)
    sent = msgspec.structs.replace(redeem(ada, 10, 60), shipping={"street": "Secret Lane 7"})
    done(database, begin(ada, 1, CREDIT, 100, complete=True), sent, merge(ada, bea))
    assert b"Secret Lane" in said(database)
    done(database, turn(2, bea, "erased"))
    assert b"Secret Lane" not in said(database)
    with database.connect() as connection:
        assert connection.execute(select(t.redemptions.c.shipping)).scalar_one() is None
    sound(database)


def test_a_shops_redaction_empties_the_commands_too(database: Engine) -> None:
    configure(database, MAIN)
    done(database, enrol(5, customer=("shop", "7000"), name="Jo Secret"))
    done(database, recorded(customer("7000", type=EventType.CUSTOMER_REDACTED, at=NOW)))
    assert b"Secret" not in said(database)
    sound(database)


# --- points that one gives another -------------------------------------------------------------------------------------


def test_points_are_given_in_the_order_of_use_and_keep_their_ends(database: Engine) -> None:
    ada, bea = two(database)
    for number, (amount, days) in enumerate([(30, 5), (20, 2), (10, 5), (40, 9)], 1):
        done(database, begin(ada, number, CREDIT, amount, complete=True, points_end_at=NOW + days * DAY))
    (outcome,) = done(database, transfer(50, ada, bea, 65))
    assert outcome.row is not None
    assert (outcome.row["debit"]["id"], outcome.row["credit"]["id"]) == (50, 51)
    assert amounts(database, ada) == (0, 35, 0, 0)
    assert lots(database, bea) == [
        (None, 0, 20, 0, NOW + 2 * DAY), (None, 0, 40, 0, NOW + 5 * DAY), (None, 0, 5, 0, NOW + 9 * DAY),
    ]  # fmt: skip
    assert (earned(database, ada), earned(database, bea)) == (100, 0)
    sound(database)


def test_the_receivers_debt_is_repaid_first(database: Engine) -> None:
    ada, bea = two(database)
    done(
        database,
        begin(ada, 1, CREDIT, 50, complete=True),
        recorded(placed("1", line(amount="30.00"), customer="7001"), shipped("1")),
        begin(bea, 2, DEBIT, 30, complete=True),
        recorded(cancelled("1", at=NOW)),
        transfer(50, ada, bea, 40),
    )
    assert (amounts(database, ada), amounts(database, bea)) == ((0, 10, 0, 0), (0, 10, 0, 0))
    sound(database)


def test_a_transfer_that_cannot_be_moves_nothing(database: Engine) -> None:
    ada, bea = two(database)
    done(
        database,
        begin(ada, 1, CREDIT, 50, complete=True),
        begin(ada, 2, DEBIT, 20),
        enrol(5),
        turn(1, 5, "deleted"),
    )
    for command, error in (
        (transfer(50, ada, bea, 31), "insufficient_balance"),
        (transfer(50, ada, ada, 5), "same_member"),
        (transfer(50, ada, 77, 5), "member_unknown"),
        (transfer(50, ada, 5, 5), "member_deleted"),
        (transfer(50, bea, ada, 5, definition=2), "insufficient_balance"),
    ):
        (outcome,) = play(database, [command])
        assert outcome.error == error
    (outcome,) = play(database, [transfer(50, ada, bea, 31)])
    assert outcome.figures is not None
    assert (outcome.figures["requested"], outcome.figures["available"], outcome.figures["reserved"]) == (
        31,
        30,
        20,
    )
    assert (amounts(database, ada), amounts(database, bea)) == ((0, 30, 20, 0), (0, 0, 0, 0))
    sound(database)


BOUNDED = Program.model_validate({
    **MAIN.model_dump(),
    "balance_definitions": [{"name": "points", "min_amount": 10, "max_amount": 60, "overtaking": "partial"}],
})  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "amount", "error"),
    # of 50 points 10 have to stay; nobody may have more than 60, and a gift is whole or none
    [(0, 40, None), (0, 41, "below_min_balance"), (30, 30, None), (30, 31, "over_max_balance")],
)
def test_a_gift_keeps_both_balances_within_their_bounds(
    database: Engine, theirs: int, amount: int, error: str | None
) -> None:
    ada, bea = two(database, BOUNDED)
    done(database, begin(ada, 1, CREDIT, 50, complete=True))
    if theirs:
        done(database, begin(bea, 2, CREDIT, theirs, complete=True))
    (outcome,) = play(database, [transfer(50, ada, bea, amount)])
    assert outcome.error == error
    moved = 0 if error else amount
    assert (amounts(database, ada)[1], amounts(database, bea)[1]) == (50 - moved, theirs + moved)
    sound(database)


GIFT = st.tuples(st.just("give"), st.booleans(), st.integers(1, 60))
CHANCE = st.tuples(st.just("earn"), st.booleans(), st.integers(1, 60), st.none() | st.integers(1, 5))


@given(
    steps=st.lists(GIFT | CHANCE | st.tuples(st.just("days"), st.integers(1, 3)), max_size=20),
    size=st.integers(1, 5),
)
@settings(suppress_health_check=list(HealthCheck), max_examples=40)
def test_giving_makes_no_points_and_loses_none(steps: list[Any], size: int) -> None:
    with fresh(MAIN) as engine:
        play(engine, [enrol(5), enrol(6)])
        now, numbers = NOW, iter(range(100, 10_000, 2))
        waiting: list[Command] = []
        for step in steps:
            if step[0] == "give":
                giver, receiver = (5, 6) if step[1] else (6, 5)
                waiting.append(transfer(next(numbers), giver, receiver, step[2]))
            elif step[0] == "earn":
                ends = None if step[3] is None else now + step[3] * DAY
                member = 5 if step[1] else 6
                waiting.append(
                    begin(member, next(numbers), CREDIT, step[2], complete=True, points_end_at=ends)
                )
            else:
                play(engine, waiting, now=now, sizes=[size])
                waiting, now = [], now + step[1] * DAY
        play(engine, waiting, now=now, sizes=[size])
        assert proven(engine) == []
        assert rebuild(engine, read) == []


def test_audit_names_points_that_were_given_and_not_taken(sqlite_database: Engine) -> None:
    ada, bea = two(sqlite_database)
    done(sqlite_database, begin(ada, 1, CREDIT, 50, complete=True), transfer(50, ada, bea, 40))
    corrupt(sqlite_database, "UPDATE transfers SET amount = 39 WHERE kind = 'transfer_in'")
    assert any("moved 1 that nobody has" in violation for violation in audit(sqlite_database))
