"""Vouchers that rules attribute: one for each occasion, in its commit, whatever is repeated and in whatever order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import select

from adapter.commands import MoveVoucher
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import read
from tests.shop import (
    DAY,
    NOW,
    begin,
    cancelled,
    configure,
    customer,
    line,
    member_of,
    placed,
    play,
    recorded,
    refunded,
    shipped,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.commands import Command

TEN_PERCENT = {"percent": "10"}
STATUS = {
    "name": "status",
    "measure": "lifetime_points",
    "downgrade": "real_time",
    "tiers": [{"name": "bronze"}, {"name": "silver", "threshold": "100"}],
}


def ruled(engine: Engine, *rules: dict[str, Any], **more: Any) -> None:
    said = [{"name": f"rule{number}", **TEN_PERCENT, **rule} for number, rule in enumerate(rules)]
    program = {"name": "main", "earning": {"rate": "1"}, "voucher_rules": said, **more}
    configure(engine, Program.model_validate(program))


def vouchers(engine: Engine) -> list[tuple[str, str, str]]:
    """Return rule, occasion and state of each, sorted."""
    columns = t.vouchers.c
    with engine.connect() as connection:
        rows = connection.execute(select(columns.rule, columns.occasion, columns.state)).all()
    return sorted((row.rule, row.occasion, row.state) for row in rows)


def told(engine: Engine) -> list[tuple[str, str]]:
    query = select(t.messages.c.type, t.messages.c.body).where(t.messages.c.type.like("voucher.%"))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(t.messages.c.id)).all()
    return [(kind, orjson.loads(body)["data"]["occasion"]) for kind, body in rows]


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


WELCOME = {"when": "enrolled"}
HUNDREDS = {"when": "points_earned", "every_points": 100, "revocable": True}
BIG = {"when": "order_completed", "minimum": "50.00", "revocable": True}
SILVER = {"when": "tier_reached", "tier": "silver", "revocable": True}

LIVES: list[tuple[str, dict[str, Any], list[Any], list[tuple[str, str]]]] = [
    # the rule, what happens, the vouchers: occasion and state
    ("who enrols", WELCOME, [customer("7000")], [("enrolled", "active")]),
    ("who buys is enrolled", WELCOME, [placed()], [("enrolled", "active")]),
    ("89 points are no hundred", HUNDREDS, [placed(), shipped()], []),
    ("250 points are two", HUNDREDS, [placed("1", line(amount="250.00")), shipped("1")],
     [("points:100", "active"), ("points:200", "active")]),
    ("pending points are not earned", HUNDREDS, [placed("1", line(amount="250.00"))], []),
    ("60 and 60 are one", HUNDREDS,
     [placed("1", line(amount="60.00")), shipped("1"), placed("2", line(amount="60.00")), shipped("2")],
     [("points:100", "active")]),
    ("60.00 of 250.00 back: 190 keep one", HUNDREDS,
     [placed("1", line(amount="250.00")), shipped("1"), refunded("1", amount="60.00")],
     [("points:100", "active"), ("points:200", "revoked")]),
    ("an order of 89.99", BIG, [placed(), shipped()], [("order:shop:1001", "active")]),
    ("one that is not shipped", BIG, [placed()], []),
    ("one of 49.99", BIG, [placed("1", line(amount="49.99")), shipped("1")], []),
    ("one that was cancelled", BIG, [placed(), shipped(), cancelled()], [("order:shop:1001", "revoked")]),
    ("one that was cancelled and is on again", BIG,
     [placed(), shipped(), cancelled(), cancelled(at=NOW - DAY, off=False)], [("order:shop:1001", "active")]),
    ("one that went back", BIG, [placed(), shipped(), refunded(amount="89.99")], [("order:shop:1001", "revoked")]),
    ("a tier", SILVER, [placed("1", line(amount="100.00")), shipped("1")], [("tier:status:silver", "active")]),
    ("a tier that was lost", SILVER, [placed("1", line(amount="100.00")), shipped("1"), refunded("1", amount="1.00")],
     [("tier:status:silver", "revoked")]),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize(("why", "rule", "life", "left"), LIVES, ids=[row[0] for row in LIVES])
def test_occasions(
    database: Engine, why: str, rule: dict[str, Any], life: list[Any], left: list[tuple[str, str]], size: int
) -> None:
    ruled(database, rule, tier_groups=[STATUS])
    commands: list[Command] = [recorded(one) for one in life]
    play(database, [*commands, *commands], sizes=[size])
    assert [(occasion, state) for _, occasion, state in vouchers(database)] == left, why
    sound(database)


def test_news_and_worth(database: Engine) -> None:
    ruled(
        database,
        {"when": "order_completed", "percent": None, "value": "5.00", "currency": "EUR", "valid_days": 30},
    )
    play(database, [recorded(placed()), recorded(shipped())])
    assert told(database) == [("voucher.attributed", "order:shop:1001")]
    with database.connect() as connection:
        row = connection.execute(select(t.vouchers)).one()
    assert (row.value, row.currency, row.expires_at) == (500, "EUR", NOW + 30 * DAY)
    assert row.code.startswith("GIFT-")


@pytest.mark.parametrize("size", [1, 20])
def test_a_limit_for_each_member(database: Engine, size: int) -> None:
    ruled(database, {"when": "order_completed", "limit_per_member": 2})
    life = [event for number in "1234" for event in (placed(number), shipped(number))]
    play(database, [recorded(one) for one in life], sizes=[size])
    assert len(vouchers(database)) == 2
    play(database, [recorded(placed("9", customer="7001")), recorded(shipped("9"))])
    assert len(vouchers(database)) == 3
    sound(database)


def test_what_is_not_revocable_stays(database: Engine) -> None:
    ruled(database, {"when": "order_completed"})
    play(database, [recorded(one) for one in (placed(), shipped(), cancelled())])
    assert [state for *_, state in vouchers(database)] == ["active"]


def test_a_used_voucher_is_not_taken_back(database: Engine) -> None:
    ruled(database, BIG)
    play(database, [recorded(one) for one in (placed(), shipped())])
    member = member_of(database)
    with database.connect() as connection:
        number = connection.execute(select(t.vouchers.c.id)).scalar_one()
    whose = ("main", "rule0", "order:shop:1001")
    used = MoveVoucher(
        env=1, voucher=number, member=member, occasion=whose, state="redeemed", received_at=NOW
    )
    assert play(database, [used])[0].error is None
    play(database, [recorded(cancelled())])
    assert [state for *_, state in vouchers(database)] == ["redeemed"]
    sound(database)


def test_points_of_the_api_count_too(database: Engine) -> None:
    ruled(database, HUNDREDS)
    play(database, [recorded(customer("7000"))])
    play(database, [begin(member_of(database), 5, "credit", 320, complete=True)])
    assert [occasion for _, occasion, _ in vouchers(database)] == ["points:100", "points:200", "points:300"]
    sound(database)


EVENTS = [
    placed("1", line(amount="120.00")), shipped("1"), refunded("1", amount="30.00"),
    placed("2", line(amount="130.00")), shipped("2"), cancelled("2"),
    placed("3", line(amount="55.00")), shipped("3"),
]  # fmt: skip


@settings(max_examples=30)
@given(order=st.permutations(range(len(EVENTS))), size=st.sampled_from([1, 3, 20]))
def test_any_order_of_arrival_ends_in_the_same_vouchers(
    sqlite_database: Engine, order: list[int], size: int
) -> None:
    """Order 1 keeps 90 of 120, 2 nothing, 3 all of its 55: 145 points are one hundred, 1 and 3 are completed."""
    with sqlite_database.begin() as connection:
        for table in reversed(t.metadata.sorted_tables):
            connection.execute(table.delete())
    ruled(sqlite_database, WELCOME, HUNDREDS, BIG)
    play(sqlite_database, [recorded(EVENTS[number]) for number in order], sizes=[size])
    live = [(rule, occasion) for rule, occasion, state in vouchers(sqlite_database) if state == "active"]
    assert live == [
        ("rule0", "enrolled"), ("rule1", "points:100"), ("rule2", "order:shop:1"), ("rule2", "order:shop:3"),
    ]  # fmt: skip
    assert audit(sqlite_database) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": "tier_reached"},
        {"when": "enrolled", "tier": "silver"},
        {"when": "points_earned"},
        {"when": "enrolled", "minimum": "5"},
        {"when": "enrolled", "percent": None},
        {"when": "enrolled", "value": "5", "currency": "EUR"},
        {"when": "enrolled", "percent": None, "value": "5"},
        {"when": "enrolled", "percent": None, "value": "5.001", "currency": "EUR"},
        {"when": "enrolled", "percent": None, "reward": "boat"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Program.model_validate({"name": "main", "voucher_rules": [{"name": "a", **TEN_PERCENT, **wrong}]})


def test_without_rules_nothing_is_looked_up(sqlite_database: Engine) -> None:
    from sqlalchemy import event

    ruled(sqlite_database)
    sent: list[str] = []
    event.listen(sqlite_database, "before_cursor_execute", lambda _c, _cursor, sql, *_more: sent.append(sql))
    play(sqlite_database, [recorded(placed()), recorded(shipped())], sizes=[2])
    assert [sql for sql in sent if "vouchers" in sql] == []
