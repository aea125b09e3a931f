"""Bounds of a balance: what does not fit is refused when it is asked for, and rejected when it is to be completed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from pydantic import ValidationError
from sqlalchemy import select

from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_transactions import CREDIT, DEBIT, amounts, sound, told
from tests.shop import (
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
    shipped,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine


def program(decimals: int = 0, **limits: Any) -> Program:
    definition = {"name": "points", "decimals": decimals, **limits}
    return Program.model_validate(
        {"name": "main", "earning": {"rate": "1"}, "balance_definitions": [definition]}
    )


def member_with(engine: Engine, points: int, **limits: Any) -> int:
    configure(engine, program(**limits))
    play(engine, [recorded(customer("7000"))])
    member = member_of(engine)
    if points:
        play(engine, [begin(member, 1, CREDIT, points, complete=True)])
    return member


ASKED = [
    # limits, what is asked for on 100 points → error, or the amount that is booked
    ({"max_credit": 50}, CREDIT, 50, 50),
    ({"max_credit": 50}, CREDIT, 51, "over_max_credit"),
    ({"max_debit": 50}, DEBIT, 50, 50),
    ({"max_debit": 50}, DEBIT, 51, "over_max_debit"),
    ({"max_debit": 50}, CREDIT, 51, 51),
    ({"min_amount": 30}, DEBIT, 70, 70),
    ({"min_amount": 30}, DEBIT, 71, "below_min_balance"),
    ({"max_amount": 150}, CREDIT, 50, 50),
    ({"max_amount": 150}, CREDIT, 51, "over_max_balance"),
    ({"max_amount": 150, "overtaking": "partial"}, CREDIT, 51, 50),
    ({"max_amount": 100, "overtaking": "partial"}, CREDIT, 1, "over_max_balance"),  # there is no room at all
]


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(("limits", "kind", "amount", "booked"), ASKED, ids=str)
def test_what_does_not_fit_is_refused(
    database: Engine, limits: dict[str, Any], kind: str, amount: int, booked: int | str, complete: bool
) -> None:
    member = member_with(database, 0)
    play(database, [begin(member, 1, CREDIT, 100, complete=True)])
    change(database, **limits)
    (outcome,) = play(database, [begin(member, 2, kind, amount, complete=complete)], now=NOW + 1)
    if isinstance(booked, str):
        assert outcome.error == booked
        assert (outcome.figures or {})["requested"] == amount
        assert amounts(database, member) == (0, 100, 0, 0)
    else:
        assert outcome.row is not None
        assert outcome.row["amount"] == booked
        left = 100 + (booked if kind == CREDIT else -booked)
        pending = {(True, CREDIT): (0, left, 0), (True, DEBIT): (0, left, 0)}
        waiting = {(False, CREDIT): (booked, 100, 0), (False, DEBIT): (0, left, booked)}
        assert amounts(database, member) == (*(pending | waiting)[complete, kind], 0)
    sound(database)


def change(engine: Engine, version: int = 2, **limits: Any) -> None:
    with engine.begin() as connection:
        publish(connection, program(**limits), version=version, at=NOW + 1)
        connection.execute(t.configuration.update().values(version=version))


def test_pending_credits_take_their_room(database: Engine) -> None:
    member = member_with(database, 100, max_amount=150)
    outcomes = play(database, [begin(member, 2, CREDIT, 30), begin(member, 3, CREDIT, 30)])
    assert [outcome.error for outcome in outcomes] == [None, "over_max_balance"]
    assert outcomes[1].figures == {"requested": 30, "room": 20, "limit": 150}
    assert play(database, [end(member, 2, "completed")])[0].state == "completed"
    assert amounts(database, member) == (0, 130, 0, 0)


COMPLETED = [
    # begun on 100 points, limits when it is completed → state, amount, pending, available, reserved
    (DEBIT, 40, {"min_amount": 60}, "completed", 40, (0, 60, 0)),
    (DEBIT, 40, {"min_amount": 61}, "rejected", 40, (0, 100, 0)),
    (CREDIT, 40, {"max_amount": 140}, "completed", 40, (0, 140, 0)),
    (CREDIT, 40, {"max_amount": 139}, "rejected", 40, (0, 100, 0)),
    (CREDIT, 40, {"max_amount": 139, "overtaking": "partial"}, "completed", 39, (0, 139, 0)),
    (CREDIT, 40, {"max_amount": 100, "overtaking": "partial"}, "rejected", 40, (0, 100, 0)),
]


@pytest.mark.parametrize(("kind", "amount", "limits", "state", "booked", "left"), COMPLETED, ids=str)
def test_what_no_longer_fits_is_rejected_and_kept(
    database: Engine,
    kind: str,
    amount: int,
    limits: dict[str, Any],
    state: str,
    booked: int,
    left: tuple[int, int, int],
) -> None:
    member = member_with(database, 100)
    play(database, [begin(member, 2, kind, amount)])
    change(database, **limits)
    (outcome,) = play(database, [end(member, 2, "completed", reason="the till")], now=NOW + 2)
    row = outcome.row or {}
    assert (outcome.error, row["state"], row["amount"]) == (None, state, booked)
    assert row["rejected_at"] == (NOW + 2 if state == "rejected" else None)
    assert amounts(database, member) == (*left, 0)
    assert told(database)[-1] == f"transaction.{state}"
    again = play(database, [end(member, 2, "completed")], now=NOW + 3)[0]
    assert again.error == f"transaction_{state}"
    if state == "rejected":
        with database.connect() as connection:
            body = connection.execute(
                select(t.messages.c.body).where(t.messages.c.type == "transaction.rejected")
            ).scalar_one()
        assert orjson.loads(body)["data"]["reason"] == row["reason"]
    sound(database)


def test_a_clawback_in_between_rejects_the_debit(database: Engine) -> None:
    configure(database, program(min_amount=10))
    play(database, [recorded(placed("1", line(amount="50.00")), shipped("1"))])
    member = member_of(database)
    play(database, [begin(member, 1, CREDIT, 50, complete=True), begin(member, 2, DEBIT, 60)])
    play(database, [recorded(cancelled("1"))])
    (outcome,) = play(database, [end(member, 2, "completed")])
    assert outcome.state == "rejected"
    sound(database)


def test_orders_are_not_bounded(database: Engine) -> None:
    """What an order earns must not depend on what came before it."""
    configure(database, program(max_amount=10, max_credit=1))
    play(database, [recorded(placed("1", line(amount="50.00")), shipped("1"))])
    assert amounts(database, member_of(database)) == (0, 50, 0, 0)
    sound(database)


def test_limits_are_whole_units(database: Engine) -> None:
    member = member_with(database, 0, decimals=2, max_amount="12.50")
    outcomes = play(database, [begin(member, number, CREDIT, 1250, complete=True) for number in (1, 2)])
    assert [outcome.error for outcome in outcomes] == [None, "over_max_balance"]


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"min_amount": 5, "max_amount": 4}, "min_amount: it is more than max_amount"),
        ({"max_credit": "1.5"}, "max_credit: this balance has 0 decimals"),
        ({"max_amount": -1}, "greater than or equal to 0"),
        ({"overtaking": "some"}, "'strict' or 'partial'"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        program(**limits)
