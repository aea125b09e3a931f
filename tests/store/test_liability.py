"""The liability report agrees with the ledger, whatever happened, and says its money exactly."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select

from adapter.book.state import MEMBER_ACCOUNTS
from adapter.clock import parse
from adapter.engine.audit import audit
from adapter.engine.sweep import due_balances
from adapter.errors import NotFound
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.reading.holders import ranges
from adapter.store.reading.liability import COLUMNS, Asked, liability, rows
from adapter.store.reading.outstanding import add_up
from tests.engine.test_convergence import fresh, lives
from tests.shop import DAY, NOW, configure, paid, placed, play, recorded, refunded, shipped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.clock import Millis
    from adapter.commands import Elapse
    from adapter.events import Event

PARTS = ("pending", "available", "reserved", "owed")
SHIPPED = NOW - 8 * DAY  # 2026-11-10: points end a year later


def program(**more: Any) -> Program:
    given_ = {"name": "main", "earning": {"rate": "1"}, "expiry": {"months": 12}, **more}
    return Program.model_validate(given_)


WORTH = {"point_value": "0.005", "currency": "EUR"}


def told(engine: Engine, *, now: Millis = NOW, as_of: Millis | None = None, name: str | None = None) -> Any:
    with engine.connect() as connection:
        return liability(connection, load_catalog(connection), Asked(1, now, as_of, name))


def lived(engine: Engine, events: Iterable[Event], *, now: Millis = NOW) -> None:
    play(engine, [recorded(one) for one in events], now=now)


def one_of(found: Any) -> Any:
    assert len(found["definitions"]) == 1
    return found["definitions"][0]


def test_what_is_outstanding_by_month_and_in_money(database: Engine) -> None:
    configure(database, program(point_value="0.0047", currency="EUR"))
    lived(database, [placed("1"), shipped("1"), placed("2", customer="7001"), shipped("2"), placed("3")])
    one = one_of(told(database))
    assert one["by_expiry"] == [
        {"expires": "2027-11", "pending": 0, "available": 178, "reserved": 0, "points": 178, "value": "0.84"},
        {
            "expires": "undecided",
            "pending": 89,
            "available": 0,
            "reserved": 0,
            "points": 89,
            "value": "0.42",
        },
    ]
    assert (one["outstanding"], one["value"]) == (267, "1.25")  # 267 * 0.0047, not 0.84 + 0.42
    assert told(database)["totals"] == [{"currency": "EUR", "value": "1.25"}]


@pytest.mark.parametrize(
    ("expiry", "word"), [({}, "never"), ({"months": 12}, "undecided")], ids=["never", "undecided"]
)
def test_what_waits_in_a_program_without_expiry_never_ends(
    sqlite_database: Engine, expiry: dict[str, int], word: str
) -> None:
    configure(sqlite_database, program(expiry=expiry))
    lived(sqlite_database, [placed()])
    one = one_of(told(sqlite_database))
    assert [(held["expires"], held["points"], held["value"]) for held in one["by_expiry"]] == [
        (word, 89, None)
    ]
    assert (one["value"], told(sqlite_database)["totals"]) == (None, [])


def test_what_members_owe_is_less_and_the_lines_add_up(database: Engine) -> None:
    configure(database, program(**WORTH))
    lived(database, [placed("1"), shipped("1"), placed("2", customer="7001"), shipped("2")])
    spent(database, 89)
    lived(database, [refunded("1", amount="89.99")])
    found = told(database)
    one = one_of(found)
    assert (one["available"], one["owed"], one["outstanding"], one["value"]) == (89, 89, 0, "0.00")
    table = [dict(zip(COLUMNS, row, strict=True)) for row in rows(found)]
    parts, total = table[:-1], table[-1]
    assert [row["expires"] for row in table] == ["2027-11", "owed", "total"]
    assert sum(row["outstanding"] for row in parts) == total["outstanding"] == 0


def spent(engine: Engine, amount: int) -> None:
    """Let the first member have spent points, as the book would write it."""
    with engine.begin() as connection:
        row = connection.execute(
            select(t.lots).where(t.lots.c.available >= amount).order_by(t.lots.c.id)
        ).first()
        assert row is not None
        key = {"env": 1, "member": row.member, "definition": row.definition, "sequence": 1000}
        moved = {"from_account": "available", "to_account": "redeemed", "amount": amount, "kind": "redeem"}
        posted = {"occurred_at": NOW, "posted_at": NOW, "hash": b""}
        connection.execute(insert(t.transfers).values(**key, n=0, **moved, **posted))
        connection.execute(insert(t.allocations).values(**key, n=0, lot=row.id, amount=amount))
        connection.execute(
            t.lots.update().where(t.lots.c.id == row.id).values(available=row.available - amount)
        )
        mine = (t.balances.c.member == row.member, t.balances.c.definition == row.definition)
        left = t.balances.c.available - amount
        connection.execute(t.balances.update().where(*mine).values(available=left, sequence=1000))


def test_what_is_over_counts_as_over_before_the_sweep_and_as_breakage_after(database: Engine) -> None:
    configure(database, program(**WORTH))
    lived(database, [placed(), shipped()])
    later = SHIPPED + 400 * DAY
    before = one_of(told(database, now=later))
    assert (before["outstanding"], before["lapsed"], before["expired"], before["by_expiry"]) == (0, 89, 0, [])
    swept(database, later)
    after = one_of(told(database, now=later))
    assert (after["outstanding"], after["lapsed"], after["expired"]) == (0, 0, 89)
    assert after["breakage_rate"] == "1.0000"
    assert [(month["month"], month["issued"], month["expired"]) for month in after["by_month"]] == [
        ("2026-11", 89, 0),
        ("2027-12", 0, 89),
    ]
    then = one_of(told(database, now=later, as_of=NOW))
    assert (then["outstanding"], then["lapsed"], then["expired"]) == (89, 0, 0)


def swept(engine: Engine, now: Millis) -> None:
    due: list[Elapse] = due_balances(engine, now, 1000)
    play(engine, due, now=now)


def test_months_are_those_of_the_programs_time_zone(database: Engine) -> None:
    configure(database, program(timezone="Pacific/Auckland"))
    at = parse("2026-10-31T12:00:00Z")  # November there
    lived(database, [placed(at=at - DAY), shipped(at=at)], now=at)
    one = one_of(told(database, now=at))
    assert [held["expires"] for held in one["by_expiry"]] == ["2027-11"]
    assert [month["month"] for month in one["by_month"]] == ["2026-11"]


def test_the_past_is_what_was_posted_until_then(database: Engine) -> None:
    configure(database, program())
    lived(database, [placed("1")], now=NOW)
    lived(database, [shipped("1"), placed("2", customer="7001")], now=NOW + 1)
    for as_of, parts in ((NOW - 1, (0, 0)), (NOW, (89, 0)), (NOW + 1, (89, 89)), (None, (89, 89))):
        one = one_of(told(database, now=NOW + 2, as_of=as_of))
        assert (one["pending"], one["available"]) == parts, as_of


def test_a_program_is_chosen_by_name(sqlite_database: Engine) -> None:
    units = [{"name": "points"}, {"name": "cashback", "decimals": 2}]
    configure(sqlite_database, program(balance_definitions=units, **WORTH))
    assert [one["balance_definition"] for one in told(sqlite_database, name="main")["definitions"]] == [
        "points",
        "cashback",
    ]
    assert told(sqlite_database)["definitions"][1]["outstanding"] == "0.00"
    with pytest.raises(NotFound, match="there are: main"):
        told(sqlite_database, name="gold")


def test_ranges_cover_every_holder_once(database: Engine) -> None:
    configure(database, program())
    lived(database, [placed(str(number), customer=str(number)) for number in range(5)])
    with database.connect() as connection:
        found = list(ranges(connection, 1, size=2))
        members = sorted(connection.execute(select(t.balances.c.member)).scalars())
    assert [upto for _, upto in found] == [members[1], members[3], members[4]]
    assert [after for after, _ in found] == [-1, members[1], members[3]]


def ledger(engine: Engine) -> Counter[str]:
    """Add up the members' accounts as the audit does: from the balances, which it proves from the transfers."""
    sums: Counter[str] = Counter()
    with engine.connect() as connection:
        for row in connection.execute(select(*(t.balances.c[account.value] for account in MEMBER_ACCOUNTS))):
            sums.update(dict(zip(PARTS, row, strict=True)))
    return sums


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.tuples(lives("1001"), lives("1002")), st.sampled_from([0, 30, 360, 366, 800]), st.booleans())
def test_report_agrees_with_the_audited_accounts(
    orders: tuple[list[Event], list[Event]], days: int, sweeping: bool
) -> None:
    now = NOW + days * DAY
    with fresh(program(**WORTH)) as engine:
        lived(engine, [event for events in orders for event in events])
        if sweeping:
            swept(engine, now)
        assert audit(engine) == []
        accounts = ledger(engine)
        for as_of in (None, now):
            one = one_of(told(engine, now=now, as_of=as_of))
            one["available"] += one["lapsed"]
            assert {part: one[part] for part in PARTS} == {part: accounts[part] for part in PARTS}
            months = Counter(one["by_month"] and {"pending": 0})
            for held in one["by_expiry"]:
                months.update({part: held[part] for part in ("pending", "available", "reserved")})
            assert sum(months.values()) == one["outstanding"] + one["owed"]
            flows = {
                name: sum(month[name] for month in one["by_month"])
                for name in ("issued", "expired", "revoked")
            }
            assert flows == {name: one[name] for name in flows}
            assert one["outstanding"] + one["lapsed"] == flows["issued"] - flows["expired"] - flows["revoked"]
            assert not (sweeping and one["lapsed"])


def test_progress_is_told(sqlite_database: Engine) -> None:
    configure(sqlite_database, program())
    lived(sqlite_database, [placed(), paid()])
    done: list[int] = []
    with sqlite_database.connect() as connection:
        add_up(connection, 1, {1: "UTC"}, now=NOW, progress=done.append)
    assert done == [1]
