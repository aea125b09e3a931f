"""When credited points can be used: at once, at the next boundary of a program that posts in batches, or as asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from adapter.commands import Command, Elapse
from adapter.engine.sweep import due_balances
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.reading.balances import balance_now
from adapter.store.reading.lags import read_lags
from tests.engine.test_transactions import CREDIT, DEBIT, MAIN, amounts, sound, told
from tests.shop import DAY, NOW, begin, configure, customer, end, member_of, play, recorded

if TYPE_CHECKING:
    from sqlalchemy import Engine

BATCH: dict[str, Any] = {"processing_mode": "batch", "batch_interval_s": 300}
REALTIME: dict[str, Any] = {}
BOUNDARY = 1_795_000_200_000  # the next whole five minutes after NOW
LATER = NOW + 1_000_000
AFTER_LATER = 1_795_001_100_000  # the boundary after that


def member_in(engine: Engine, mode: dict[str, Any]) -> int:
    configure(engine, Program.model_validate(MAIN.model_dump() | mode))
    play(engine, [recorded(customer("7000"))])
    return member_of(engine)


FLAGS = [
    # mode, what is asked → when the points can be used
    (REALTIME, {}, NOW),
    (REALTIME, {"immediate": False}, NOW),  # the flag never delays a program that posts at once
    (REALTIME, {"immediate": True}, NOW),
    (REALTIME, {"available_at": LATER}, LATER),
    (REALTIME, {"available_at": NOW - 5}, NOW),
    (BATCH, {}, BOUNDARY),
    (BATCH, {"immediate": False}, BOUNDARY),
    (BATCH, {"immediate": True}, NOW),
    (BATCH, {"available_at": LATER}, AFTER_LATER),
    (BATCH, {"available_at": BOUNDARY}, BOUNDARY),
]


@pytest.mark.parametrize("phases", [1, 2])
@pytest.mark.parametrize(("mode", "asked", "at"), FLAGS, ids=str)
def test_flag_and_mode_say_when_points_can_be_used(
    database: Engine, mode: dict[str, Any], asked: dict[str, Any], at: int, phases: int
) -> None:
    member = member_in(database, mode)
    commands: list[Command] = [begin(member, 1, CREDIT, 100, complete=True, **asked)]
    if phases == 2:  # the flag belongs to the completion
        flag = {name: value for name, value in asked.items() if name == "immediate"}
        first = {name: value for name, value in asked.items() if name != "immediate"}
        commands = [begin(member, 1, CREDIT, 100, **first), end(member, 1, "completed", **flag)]
    outcome = play(database, commands)[-1]
    assert outcome.row is not None
    assert (outcome.row["state"], outcome.row["available_at"]) == ("completed", at)
    assert amounts(database, member)[:2] == ((100, 0) if at > NOW else (0, 100))
    for now in (at - 1, at):  # a read does not wait for the sweep
        if now >= NOW:
            with database.connect() as connection:
                seen, _ = balance_now(connection, 1, member, 1, now)
            assert (seen.pending, seen.available) == ((100, 0) if now < at else (0, 100))
    if at > NOW:
        assert due_balances(database, at - 1, 10) == []
        assert due_balances(database, at, 10) == [Elapse(env=1, member=member, definition=1)]
        play(database, due_balances(database, at, 10), now=at)
        assert told(database)[-1] == "balance.updated"
    assert amounts(database, member) == (0, 100, 0, 0)
    with database.connect() as connection:
        assert connection.execute(select(t.lots.c.expires_at)).scalar_one() - at == 365 * DAY
        lags = read_lags(connection, {1: ("acme", "test")}, at)
    assert lags.credit_s == {("acme", "test"): (at - NOW) / 1000}
    sound(database)


@pytest.mark.parametrize("size", [1, 10])
def test_points_that_wait_are_not_spent_before_their_time(database: Engine, size: int) -> None:
    member = member_in(database, BATCH)
    play(database, [begin(member, 1, CREDIT, 100, complete=True)])
    tries: list[Command] = [begin(member, number, DEBIT, 60, complete=True) for number in (2, 3)]
    early = play(database, tries, now=BOUNDARY - 1, sizes=[size])
    assert [outcome.error for outcome in early] == ["insufficient_balance"] * 2
    assert early[0].figures is not None
    assert early[0].figures["pending"] == 100
    late = play(database, tries, now=BOUNDARY, sizes=[size])  # whether or not the sweep has come by
    assert [outcome.error for outcome in late] == [None, "insufficient_balance"]
    assert amounts(database, member) == (0, 40, 0, 0)
    sound(database)


def test_what_is_complete_is_told_while_its_points_still_wait(database: Engine) -> None:
    member = member_in(database, BATCH)
    play(database, [begin(member, 1, CREDIT, 100), end(member, 1, "completed")])
    assert told(database) == ["balance.updated", "transaction.pending", "transaction.completed"]
    (outcome,) = play(database, [end(member, 1, "cancelled")])
    assert outcome.error == "transaction_completed"
    play(database, due_balances(database, BOUNDARY, 10), now=BOUNDARY)
    assert told(database)[3:] == ["balance.updated"]
    with database.connect() as connection:
        (named,) = connection.execute(
            select(t.transfers.c.transaction).where(t.transfers.c.kind == "activate")
        ).scalars()
    assert named == 1, "the ledger says whose points they are"
    sound(database)


def test_a_promotion_is_earned_and_spent_in_one_breath(database: Engine) -> None:
    member = member_in(database, BATCH)
    outcomes = play(
        database,
        [
            begin(member, 1, CREDIT, 500, complete=True, immediate=True),
            begin(member, 2, DEBIT, 500, complete=True),
        ],
        sizes=[2],
    )
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert amounts(database, member) == (0, 0, 0, 0)
    sound(database)


def test_points_that_end_while_they_wait_are_gone_when_they_come(database: Engine) -> None:
    member = member_in(database, BATCH)
    play(database, [begin(member, 1, CREDIT, 100, complete=True, points_end_at=NOW + 5)])
    play(database, due_balances(database, BOUNDARY, 10), now=BOUNDARY)
    assert amounts(database, member) == (0, 0, 0, 0)
    sound(database)
