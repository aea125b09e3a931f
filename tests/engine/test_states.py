"""A program that is a draft, paused or over books nothing; orders go by what it was when they were placed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_transactions import CREDIT, DEBIT, amounts, enrolled, sound
from tests.shop import DAY, NOW, begin, end, line, placed, play, publish, recorded, refunded, shipped

if TYPE_CHECKING:
    from sqlalchemy import Engine

RULES = {
    "name": "main",
    "balance_definitions": [{"name": "points"}, {"name": "cash", "decimals": 2}],
    "earning": {"rate": "1"},
}
ENDS = "2026-11-20"  # NOW is 2026-11-18T11:06:40Z
MIDNIGHT = 1_795_219_200_000  # 2026-11-21T00:00:00Z, the first instant after that day


def say(engine: Engine, *, at: int = NOW, version: int = 2, **changes: Any) -> None:
    """Publish a changed program."""
    with engine.begin() as connection:
        publish(connection, Program.model_validate(RULES | changes), version=version, at=at)
        connection.execute(t.configuration.update().values(version=version))


REFUSED = [
    # what the program says, when → what a credit and a debit are told
    ({}, NOW, None, None),
    ({"state": "paused"}, NOW, "program_paused", "program_paused"),
    ({"state": "ended"}, NOW, "program_ended", "program_ended"),
    ({"ends": ENDS}, MIDNIGHT - 1, None, None),
    ({"ends": ENDS}, MIDNIGHT, "program_ended", "program_ended"),
    ({"ends": ENDS, "spend_until": "2026-11-30"}, MIDNIGHT, "program_ended", None),
    ({"ends": ENDS, "spend_until": "2026-11-30"}, MIDNIGHT + 10 * DAY - 1, "program_ended", None),
    ({"ends": ENDS, "spend_until": "2026-11-30"}, MIDNIGHT + 10 * DAY, "program_ended", "program_ended"),
    ({"ends": ENDS, "timezone": "Europe/Berlin"}, MIDNIGHT - 3_600_000, "program_ended", "program_ended"),
    ({"state": "ended", "spend_until": ENDS}, NOW, "program_ended", None),
    ({"state": "paused", "ends": ENDS}, MIDNIGHT, "program_ended", "program_ended"),
    ({"starts": ENDS}, NOW, "program_not_published", "program_not_published"),
    ({"starts": "2026-11-21"}, MIDNIGHT - 1, "program_not_published", "program_not_published"),
    ({"starts": "2026-11-21"}, MIDNIGHT, None, None),
    ({"state": "draft"}, NOW, None, None),  # beside the one that is published nothing goes by it
]


@pytest.mark.parametrize(("says", "now", "credit", "debit"), REFUSED, ids=str)
def test_a_program_books_only_while_it_runs(
    database: Engine, says: dict[str, Any], now: int, credit: str | None, debit: str | None
) -> None:
    member = enrolled(database, 100)
    say(database, **says)
    outcomes = play(database, [begin(member, 2, CREDIT, 5), begin(member, 3, DEBIT, 5)], now=now)
    assert [outcome.error for outcome in outcomes] == [credit, debit]
    assert amounts(database, member)[:3] == (0 if credit else 5, 100 if debit else 95, 0 if debit else 5)


def test_one_that_was_never_published_says_when_it_begins(database: Engine) -> None:
    member = enrolled(database)
    with database.begin() as connection:
        connection.execute(t.programs.delete())
    say(database, state="draft", starts="2026-12-01", version=1)
    (outcome,) = play(database, [begin(member, 2, CREDIT, 5)])
    assert outcome.error == "program_not_published"
    assert outcome.reason == "The program 'main' is not published yet; it begins on 2026-12-01."


def test_what_was_begun_before_the_end_is_ended_after_it(database: Engine) -> None:
    member = enrolled(database, 100)
    play(database, [begin(member, 2, DEBIT, 30), begin(member, 3, CREDIT, 5)])
    say(database, state="ended", at=NOW + 1)
    outcomes = play(database, [end(member, 2, "completed"), end(member, 3, "completed")], now=NOW + 1)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert amounts(database, member) == (0, 75, 0, 0)
    sound(database)


AWARDS = [
    # what the program says since NOW, when the order is placed → its reason
    ({"state": "ended"}, NOW - 1, None),
    ({"state": "ended"}, NOW, "program_ended"),
    ({"ends": ENDS}, MIDNIGHT - 1, None),
    ({"ends": ENDS}, MIDNIGHT, "program_ended"),
    ({"starts": "2026-11-21"}, MIDNIGHT - 1, "program_not_published"),
    ({"starts": "2026-11-21"}, MIDNIGHT, None),
    ({"state": "paused"}, NOW, "program_paused"),
    ({"state": "draft"}, NOW, None),
]


@pytest.mark.parametrize(("says", "at", "reason"), AWARDS, ids=str)
def test_an_order_goes_by_the_day_it_was_placed(
    database: Engine, says: dict[str, Any], at: int, reason: str | None
) -> None:
    member = enrolled(database)
    say(database, **says)
    late = MIDNIGHT + 30 * DAY
    events = [
        placed("1", line(amount="80.00"), at=at),
        shipped("1", at=late),
        refunded("1", amount="20.00", at=late),
    ]
    play(database, [recorded(event) for event in events], now=late)
    with database.connect() as connection:
        assert connection.execute(select(t.orders.c.reason)).scalar_one() == reason
    assert amounts(database, member)[1] == (0 if reason else 60), "those placed before its end still settle"
    sound(database)


def test_what_a_draft_gave_nothing_stays_so_once_it_is_published(database: Engine) -> None:
    enrolled(database)
    with database.begin() as connection:
        connection.execute(t.programs.delete())
    say(database, state="draft", version=1)
    play(database, [recorded(placed("1", at=NOW + 1))], now=NOW + 1)
    say(database, at=NOW + DAY, version=2)
    play(database, [recorded(shipped("1", at=NOW + DAY)), recorded(placed("2", at=NOW + DAY))], now=NOW + DAY)
    with database.connect() as connection:
        rows = connection.execute(
            select(t.orders.c.reason, t.orders.c.retained).order_by(t.orders.c.ref)
        ).all()
    assert [tuple(row) for row in rows] == [("program_not_published", 0), (None, 89)]
    sound(database)
