"""What can be redeemed now, over HTTP: the worked examples, each with its arithmetic, on both databases."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from adapter.commands import BeginRedemption
from adapter.program.model import Program
from adapter.program.redeeming import Limits, least_now, limits_of, most_now, redeemable, worth
from adapter.store import tables as t
from tests.shop import NOW, begin, customer, member_of, publish, recorded

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v1/members/shop:7000/redeemable"
TENS = {"burn_rate": "0.01", "increment": "10.00", "minimum": "10.00", "currency": "EUR"}
SHOWN = ("balance", "available", "redeemable", "least", "most")
TIERS = {
    "tier_groups": [
        {
            "name": "status",
            "measure": "lifetime_points",
            "tiers": [{"name": "bronze", "threshold": 0}, {"name": "gold", "threshold": 10**9}],
        }
    ]
}


def furnished(web: Web, points: int, rules: dict[str, Any], **program: Any) -> int:
    """Return a member with so many points, in a program with these rules of redeeming."""
    said = Program.model_validate({"name": "main", "redeeming": rules, **program})
    with web.engine.begin() as connection:
        publish(connection, said, version=2, at=1)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    web.play(recorded(customer("7000")))
    member = member_of(web.engine)
    if points:
        web.play(begin(member, 1, "credit", points, complete=True))
    return member


def redeem(member: int, number: int, points: int, **more: Any) -> BeginRedemption:
    fields: dict[str, Any] = {"env": 1, "definition": 1, "received_at": NOW, "code": f"CODE-{number}", **more}
    return BeginRedemption(id=number, member=member, points=points, **fields)


def shown(answer: dict[str, Any]) -> dict[str, tuple[int, str]]:
    return {name: (answer[name]["points"], answer[name]["money"]) for name in SHOWN}


BALANCES: list[tuple[str, int, int, dict[str, Any], dict[str, tuple[int, str]]]] = [
    # points posted, of which held; rules; balance, available, redeemable, least and most
    (
        "5500 at 0.01 are 55.00: five increments of 10.00",
        5500, 0, TENS,
        {"balance": (5500, "55.00"), "available": (5500, "55.00"), "redeemable": (5000, "50.00"),
         "least": (1000, "10.00"), "most": (5000, "50.00")},
    ),
    (
        "500 of them are held: the balance is the same, 50.00 are available",
        5500, 500, TENS,
        {"balance": (5500, "55.00"), "available": (5000, "50.00"), "redeemable": (5000, "50.00"),
         "least": (1000, "10.00"), "most": (5000, "50.00")},
    ),
    (
        "7.00 is less than one increment",
        700, 0, TENS,
        {"balance": (700, "7.00"), "available": (700, "7.00"), "redeemable": (0, "0.00"),
         "least": (0, "0.00"), "most": (0, "0.00")},
    ),
    (
        "59.99 are five increments",
        5999, 0, TENS,
        {"balance": (5999, "59.99"), "available": (5999, "59.99"), "redeemable": (5000, "50.00"),
         "least": (1000, "10.00"), "most": (5000, "50.00")},
    ),
    (
        "60.00 are six",
        6000, 0, TENS,
        {"balance": (6000, "60.00"), "available": (6000, "60.00"), "redeemable": (6000, "60.00"),
         "least": (1000, "10.00"), "most": (6000, "60.00")},
    ),
    (
        "9.99 are none",
        999, 0, TENS,
        {"balance": (999, "9.99"), "available": (999, "9.99"), "redeemable": (0, "0.00"),
         "least": (0, "0.00"), "most": (0, "0.00")},
    ),
    (
        "5555 at 0.01 are 55.55, without increments",
        5555, 0, {"burn_rate": "0.01", "currency": "EUR"},
        {"balance": (5555, "55.55"), "available": (5555, "55.55"), "redeemable": (5555, "55.55"),
         "least": (1, "0.01"), "most": (5555, "55.55")},
    ),
    (
        "333 at 0.005 are 1.66, never 1.67; 332 points are worth that",
        333, 0, {"burn_rate": "0.005", "currency": "EUR"},
        {"balance": (333, "1.66"), "available": (333, "1.66"), "redeemable": (332, "1.66"),
         "least": (2, "0.01"), "most": (332, "1.66")},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("why", "posted", "held", "rules", "expected"), BALANCES, ids=[row[0] for row in BALANCES]
)
def test_what_a_balance_is_worth(
    web: Web, why: str, posted: int, held: int, rules: dict[str, Any], expected: dict[str, tuple[int, str]]
) -> None:
    member = furnished(web, posted, rules)
    if held:
        web.play(begin(member, 2, "debit", held))
    answer = web.get(URL)
    assert shown(answer) == expected, why
    assert (answer["reason"] is None) == (expected["most"][0] > 0)
    kept = Program.model_validate({"name": "main", "redeeming": rules}).redeeming
    pure = [function(posted - held, kept, Limits()) for function in (redeemable, least_now, most_now)]
    assert [(one.points, Decimal(expected[name][1])) for one, name in zip(pure, SHOWN[2:], strict=True)] == [
        (one.points, one.money) for one in pure
    ]
    assert worth(posted, kept) == Decimal(expected["balance"][1])


LIMITED: list[tuple[str, dict[str, Any], int, int, str, str]] = [
    # 5500 points, unless said; today's redemptions are of points beside those
    # why, rules, posted, redeemed today; redeemable, most
    ("35.00 of 50.00 are left today", {"per_day": "50.00", "increment": "5.00"}, 5500, 1500, "35.00", "35.00"),
    ("35.00 left are three tens", {"per_day": "35.00"}, 5500, 0, "30.00", "30.00"),
    ("the whole balance shows", {"per_day": "35.00", "full_balance": True}, 5500, 0, "50.00", "30.00"),
    ("25.00 left for the tier", {"tiers": {"bronze": {"per_day": "25.00"}}}, 5500, 0, "50.00", "20.00"),
    ("30.00 left for the tier", {"tiers": {"bronze": {"per_day": "30.00"}}}, 5500, 0, "50.00", "30.00"),
    ("another tier's limit", {"tiers": {"gold": {"per_day": "30.00"}}}, 5500, 0, "50.00", "50.00"),
    ("20.00 a transaction", {"per_transaction": "20.00"}, 5500, 0, "50.00", "20.00"),
    ("20.00 a transaction of the tier", {"tiers": {"bronze": {"per_transaction": "20"}}}, 5500, 0, "50.00", "20.00"),
    ("1200.00 there, 1000.00 a day", {"per_day": "1000"}, 120_000, 0, "1000.00", "1000.00"),
    ("and 500.00 for the tier", {"per_day": "1000", "tiers": {"bronze": {"per_day": "500"}}}, 120_000, 0,
     "1000.00", "500.00"),
    ("with the full balance shown", {"per_day": "1000", "full_balance": True, "tiers": {"bronze": {"per_day": "500"}}},
     120_000, 0, "1200.00", "500.00"),
    ("900.00 there", {"per_day": "1000", "tiers": {"bronze": {"per_day": "500"}}}, 90_000, 0, "900.00", "500.00"),
    ("1000.00 for the tier", {"per_day": "1000", "tiers": {"bronze": {"per_day": "1000"}}}, 120_000, 0,
     "1000.00", "1000.00"),
    ("nothing left today", {"per_day": "20.00"}, 5500, 2000, "0.00", "0.00"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("why", "rules", "posted", "today", "can", "most"), LIMITED, ids=[row[0] for row in LIMITED]
)
def test_what_limits_leave(
    web: Web, why: str, rules: dict[str, Any], posted: int, today: int, can: str, most: str
) -> None:
    """What is shown as the most goes through, and one increment more does not."""
    rules = {**TENS, **rules}
    member = furnished(web, posted + today, rules, **TIERS)
    if today:
        web.play(redeem(member, 10, today))
    answer = web.get(URL)
    assert (answer["redeemable"]["money"], answer["most"]["money"]) == (can, most), why
    assert answer["tier"] == ("bronze" if "tiers" in rules else None)
    assert answer["limits"]["used_today"] == f"{Decimal(today) / 100:.2f}"
    kept = Program.model_validate({"name": "main", "redeeming": rules}).redeeming
    bounds = limits_of(kept, redeemed_today=today, tier="bronze")
    assert (redeemable(posted, kept, bounds).money, most_now(posted, kept, bounds).money) == (
        Decimal(can),
        Decimal(most),
    )
    step = int(kept.increment * 100)
    above = web.parts.submit(redeem(member, 11, answer["most"]["points"] + step))
    assert above.error in (
        "over_limit_per_day",
        "over_limit_of_tier",
        "over_limit_per_transaction",
        "insufficient_balance",
    )
    if answer["most"]["points"]:
        assert web.parts.submit(redeem(member, 12, answer["most"]["points"])).error is None


WHY = [
    # why it is nothing, in a code and in words
    (700, {}, "below_minimum", "7.00 EUR is less than the minimum of 10.00 EUR."),
    (0, {}, "below_minimum", "0.00 EUR is less than the minimum of 10.00 EUR."),
    (5500, {"per_day": "5.00"}, "over_limit_per_day",
     "10.00 EUR is more than the 5.00 EUR that is left of the 5.00 EUR of a day."),
    (5500, {"per_transaction": "5.00"}, "over_limit_per_transaction",
     "10.00 EUR is more than one redemption may be worth: 5.00 EUR."),
]  # fmt: skip


@pytest.mark.parametrize(("posted", "rules", "reason", "explanation"), WHY, ids=lambda value: str(value)[:30])
def test_why_it_is_nothing(
    web: Web, posted: int, rules: dict[str, str], reason: str, explanation: str
) -> None:
    furnished(web, posted, {**TENS, **rules})
    answer = web.get(URL)
    assert (answer["reason"], answer["explanation"]) == (reason, explanation)
    assert (answer["most"]["points"], answer["least"]["points"]) == (0, 0)


def test_block_zeroes_what_can_be_redeemed_and_nothing_else(web: Web) -> None:
    furnished(web, 5500, TENS)
    before = web.get(URL)
    web.ask("PUT", "/v1/members/shop:7000/advice", body={"advice": "REVIEW"})
    assert shown(web.get(URL)) == shown(before)
    web.ask("PUT", "/v1/members/shop:7000/advice", body={"advice": "BLOCK"})
    blocked = web.get(URL)
    assert shown(blocked) == {
        "balance": (5500, "55.00"), "available": (5500, "55.00"),
        "redeemable": (0, "0.00"), "least": (0, "0.00"), "most": (0, "0.00"),
    }  # fmt: skip
    assert (blocked["advice"], blocked["reason"]) == ("BLOCK", "redemption_blocked")
    web.ask("DELETE", "/v1/members/shop:7000/advice")
    assert shown(web.get(URL)) == shown(before)


def test_a_lock_zeroes_what_one_redemption_may_be(web: Web) -> None:
    member = furnished(web, 5500, TENS)
    web.play(redeem(member, 10, 1000, locks_until=NOW + 60_000))
    locked = web.get(URL)
    assert (locked["reason"], locked["locked_until"]) == ("balance_locked", "2026-11-18T11:07:40.000Z")
    assert (locked["most"]["points"], locked["redeemable"]["points"]) == (0, 4000)
    web.now += 60_000
    assert web.get(URL)["most"] == {"points": 4000, "money": "40.00"}


def test_a_paused_program_lets_nothing_out(web: Web) -> None:
    furnished(web, 5500, TENS)
    with web.engine.begin() as connection:
        paused = Program.model_validate({"name": "main", "state": "paused", "redeeming": TENS})
        publish(connection, paused, version=3, at=2)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    answer = web.get(URL)
    assert (answer["reason"], answer["most"]["points"]) == ("program_paused", 0)


def test_cashback_in_cents(web: Web) -> None:
    """12.50 of a balance with two decimals, at 1.00 a unit: steps of 5.00."""
    with web.engine.begin() as connection:
        cash = {"env": 1, "id": 2, "program": "main", "name": "cash", "unit": "EUR", "decimals": 2}
        connection.execute(insert(t.definitions).values(**cash))
    member = furnished(web, 0, {"burn_rate": "1", "increment": "5.00", "currency": "EUR"})
    web.play(begin(member, 2, "credit", 1250, complete=True, definition=2))
    answer = web.get(URL, balance_definition="cash")
    assert answer["available"] == {"points": "12.50", "money": "12.50"}
    assert answer["most"] == {"points": "10.00", "money": "10.00"}
