"""Anniversaries of members and of their tiers: each told once, when its day begins, and yearly ones some days before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import select

from adapter.clock import iso, parse
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_members
from adapter.program.anniversaries import Anniversaries, Anniversary, next_of_each
from adapter.program.days import day_of
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import read
from tests.shop import DAY, NOW, begin, configure, customer, member_of, play, recorded, turn

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.clock import Millis

LADDER = {
    "name": "status",
    "measure": "lifetime_points",
    "tiers": [{"name": "basic"}, {"name": "silver", "threshold": "100"}],
}


def program(**anniversaries: Any) -> Program:
    return Program.model_validate({"name": "main", "anniversaries": anniversaries, "tier_groups": [LADDER]})


def enrolled(engine: Engine, **anniversaries: Any) -> int:
    """Somebody who is a member from 18 November 2026, 11:06 UTC on."""
    configure(engine, program(**anniversaries))
    play(engine, [recorded(customer("7000"))])
    return member_of(engine)


def sweep_daily(engine: Engine, days: int) -> None:
    """Let the sweep come by each noon."""
    for number in range(days + 1):
        now = parse("2026-11-18T12:00:00Z") + number * DAY
        play(engine, list(due_members(engine, now, 10)), now=now)
        assert due_members(engine, now, 10) == []


def told(engine: Engine) -> list[tuple[str, str, int, int]]:
    """Return what subscribers heard: when, the type, after how many months, in how many days."""
    columns = t.messages.c
    query = select(columns.type, columns.created_at, columns.body).where(columns.type.like("%.anniversary%"))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(columns.created_at, columns.type, columns.id)).all()
    said = [(iso(row.created_at)[:10], row.type, orjson.loads(row.body)["data"]) for row in rows]
    return [(day, kind, data["months"], data["in_days"]) for day, kind, data in said]


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


def test_each_is_told_once(database: Engine) -> None:
    """Basic since the enrolment, silver since 5 December: the tier's months begin anew with it."""
    member = enrolled(database, every="month", days_before=[7])
    play(database, [begin(member, 1, "credit", 100, complete=True)], now=parse("2026-12-05T00:00:00Z"))
    sweep_daily(database, 50)
    assert told(database) == [
        ("2026-12-18", "member.anniversary", 1, 0),
        ("2027-01-05", "tier.anniversary", 1, 0),
    ]
    sound(database)


def test_a_year_has_its_reminders(database: Engine) -> None:
    member = enrolled(database, every="year", days_before=[1, 30])
    sweep_daily(database, 370)
    both = ("member.anniversary", "tier.anniversary")
    assert told(database) == [
        *(("2027-10-19", f"{kind}_coming", 12, 30) for kind in both),
        *(("2027-11-17", f"{kind}_coming", 12, 1) for kind in both),
        *(("2027-11-18", kind, 12, 0) for kind in both),
    ]
    with database.connect() as connection:
        query = select(t.messages.c.body).where(t.messages.c.type == "tier.anniversary")
        data = orjson.loads(connection.execute(query).scalar_one())["data"]
    assert (data["program"], data["group"], data["tier"]) == ("main", "status", "basic")
    assert (data["since"], data["source_ids"]) == (iso(NOW), ["shop:7000"])
    assert member_of(database) == member
    sound(database)


def test_a_late_sweep_tells_of_all_that_it_missed(database: Engine) -> None:
    """Three months at once, each with its own number; then nothing until the fourth."""
    enrolled(database, every="month")
    for now in (NOW + 100 * DAY, NOW + 101 * DAY):
        play(database, list(due_members(database, now, 10)), now=now)
    assert [months for _, kind, months, _ in told(database) if kind == "member.anniversary"] == [1, 2, 3]
    sound(database)


@pytest.mark.parametrize("state", ["deleted", "erased"])
def test_who_is_gone_has_none(database: Engine, state: str) -> None:
    member = enrolled(database, every="month")
    play(database, [turn(1, member, state)])
    sweep_daily(database, 40)
    assert told(database) == []


def test_a_program_that_does_not_ask_has_none(database: Engine) -> None:
    enrolled(database)
    sweep_daily(database, 40)
    assert told(database) == []


def ms(day: str) -> Millis:
    return parse(f"{day}T00:00:00Z")


@pytest.mark.parametrize(
    ("start", "rules", "after", "found"),
    [
        ("2025-01-31", {"every": "month"}, "2025-02-01", [("2025-02-28", 1, 0)]),
        ("2025-01-31", {"every": "month"}, "2025-02-28", [("2025-03-31", 2, 0)]),  # after, not at
        ("2024-02-29", {"every": "year"}, "2024-03-01", [("2025-02-28", 12, 0)]),
        ("2024-02-29", {"every": "month", "days_before": [2]}, "2024-03-01",
         [("2024-03-29", 1, 0), ("2025-02-26", 12, 2)]),
        ("2025-06-01", {"every": "year", "days_before": [7]}, "2026-05-26",  # that year's was the day before
         [("2026-06-01", 12, 0), ("2027-05-25", 24, 7)]),
        ("2025-06-01", {"days_before": [7]}, "2026-05-26", []),
    ],
)  # fmt: skip
def test_what_comes_next(
    start: str, rules: dict[str, Any], after: str, found: list[tuple[str, int, int]]
) -> None:
    expected = [Anniversary(ms(day), months, days) for day, months, days in found]
    said = Anniversaries.model_validate(rules)
    assert list(next_of_each(day_of(ms(start), "UTC"), said, "UTC", ms(after))) == expected
