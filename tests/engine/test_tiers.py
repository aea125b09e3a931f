"""Tiers: which one a member is on, what moves it and when, as of any instant and whoever comes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from adapter.clock import iso, parse
from adapter.commands import AssignTier
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances, due_members
from adapter.program.days import day_of, months_after
from adapter.program.model import Program
from adapter.program.tiers import TierGroup
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.reading.tiers import places_of, tier_now
from tests.engine.test_audit import read
from tests.engine.test_convergence import fresh
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
    paid,
    placed,
    play,
    publish,
    recorded,
    refunded,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.clock import Millis
    from adapter.commands import Command

LADDER = [{"name": "basic"}, {"name": "silver", "threshold": "100"}, {"name": "gold", "threshold": "500"}]


def program(zone: str = "UTC", **group: Any) -> Program:
    """A program in which 1.00 is a point at once, with one tier group."""
    status = {"name": "status", "measure": "lifetime_points", "downgrade": "real_time", "tiers": LADDER}
    return Program.model_validate({
        "name": "main",
        "timezone": zone,
        "earning": {"rate": "1", "award_on": "order.placed"},
        "tier_groups": [status | group],
    })  # fmt: skip


def sweep(engine: Engine, now: Millis) -> None:
    for due in (due_balances, due_members):
        while commands := due(engine, now, 100):
            play(engine, list(commands), now=now, sizes=[100])


def order(ref: str, amount: str, at: Millis = NOW) -> Command:
    return recorded(placed(ref, line(amount=amount), at=at))


def history(engine: Engine) -> list[tuple[str | None, str]]:
    columns = t.tier_changes.c
    with engine.connect() as connection:
        rows = connection.execute(select(columns.from_tier, columns.to_tier).order_by(columns.n)).all()
    return [(row[0], row[1]) for row in rows]


def stands(engine: Engine) -> tuple[str, str]:
    """Return the tier, and since when."""
    with engine.connect() as connection:
        row = connection.execute(select(t.standings.c.tier, t.standings.c.since)).one()
    return row.tier, iso(row.since)[:16]


def shown(engine: Engine, now: Millis) -> str | None:
    """Return the tier as it is read."""
    with engine.connect() as connection:
        return tier_now(connection, load_catalog(connection), (1, member_of(engine)), "main", now)


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


# --- real time --------------------------------------------------------------------------------------------------------

CROSSINGS = [
    # what happens → the tier, and how it came about
    ([], "basic", []),
    ([order("1", "99.99")], "basic", []),  # 99 points
    ([order("1", "100.00")], "silver", ["silver"]),
    ([order("1", "60.00"), order("2", "40.00")], "silver", ["silver"]),  # 60, 100
    ([order("1", "499.00"), order("2", "1.00")], "gold", ["silver", "gold"]),
    ([order("1", "500.00")], "gold", ["gold"]),  # past silver at once
    ([order("1", "100.00"), recorded(refunded("1", amount="0.50"))], "basic", ["silver", "basic"]),  # 99.50: 99
    ([order("1", "600.00"), recorded(refunded("1", amount="100.00"))], "gold", ["gold"]),  # 500 are left
    ([order("1", "600.00"), recorded(refunded("1", amount="501.00"))], "basic", ["gold", "basic"]),  # 99
    ([order("1", "150.00"), order("2", "400.00"), recorded(cancelled("1"))], "silver", ["silver", "gold", "silver"]),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(("commands", "tier", "moves"), CROSSINGS)
def test_the_tier_follows_the_points_in_the_commit_that_moves_them(
    database: Engine, commands: list[Command], tier: str, moves: list[str], size: int
) -> None:
    configure(database, program())
    play(database, [recorded(customer()), *commands], sizes=[size])
    assert stands(database)[0] == tier == shown(database, NOW)
    assert history(database) == [(None, "basic"), *zip(["basic", *moves[:-1]], moves, strict=False)]
    sound(database)


def test_down_never_keeps_what_was_reached(database: Engine) -> None:
    configure(database, program(downgrade="never"))
    play(database, [order("1", "600.00"), recorded(cancelled("1"))])
    assert stands(database)[0] == "gold"
    sound(database)


@pytest.mark.parametrize("kind", ["credit", "debit"])
def test_what_is_spent_moves_no_tier_and_what_is_credited_does(database: Engine, kind: str) -> None:
    configure(database, program())
    play(database, [order("1", "100.00")])
    play(database, [begin(member_of(database), 5, kind, 100, complete=True)])
    assert stands(database)[0] == "silver"
    play(database, [begin(member_of(database), 6, "credit", 300, complete=True)])
    assert stands(database)[0] == ("gold" if kind == "credit" else "silver")  # 500 or 400 were earned
    sound(database)


@pytest.mark.parametrize(("ends", "tier"), [("completed", "silver"), ("cancelled", "basic")])
def test_a_credit_in_two_phases_counts_once_it_is_completed(database: Engine, ends: str, tier: str) -> None:
    configure(database, program())
    play(database, [recorded(customer())])
    member = member_of(database)
    play(database, [begin(member, 5, "credit", 100)])
    assert stands(database)[0] == "basic"
    play(database, [end(member, 5, ends)])
    assert stands(database)[0] == tier
    sound(database)


def test_points_that_wait_count_once_they_are_posted_however_late_the_sweep_is(database: Engine) -> None:
    waits = program().model_dump() | {"earning": {"rate": "1", "award_on": "order.placed", "hold_days": 3}}
    configure(database, Program.model_validate(waits))
    play(database, [order("1", "100.00")])
    ends = NOW + 3 * DAY
    assert (shown(database, ends - 1), shown(database, ends)) == ("basic", "silver")
    assert stands(database)[0] == "basic"
    play(
        database, [begin(member_of(database), 5, "credit", 1)], now=ends
    )  # no sweep: time passes first all the same
    assert stands(database)[0] == "silver"
    sound(database)


def test_a_move_is_told_with_what_it_brings(database: Engine) -> None:
    ladder = [LADDER[0], LADDER[1] | {"benefits": ["free shipping", {"discount": "5 %"}]}]
    configure(database, program(tiers=ladder))
    play(database, [order("1", "120.00")])
    with database.connect() as connection:
        query = select(t.messages.c.body).where(t.messages.c.type == "tier.updated")
        (body,) = connection.execute(query).scalars()
    told = orjson.loads(body)["data"]
    assert told.pop("member").startswith("mem_")
    assert told.pop("event").startswith("evt_")
    assert told == {
        "source_ids": ["shop:7000"], "program": "main", "group": "status", "from": "basic", "to": "silver",
        "since": iso(NOW), "measure": {"kind": "lifetime_points", "value": 120}, "threshold": 100,
        "benefits": ["free shipping", {"discount": "5 %"}], "cause": "order.placed",
    }  # fmt: skip


def test_nothing_is_told_where_no_threshold_is_crossed(database: Engine) -> None:
    configure(database, program())
    play(database, [order("1", "99.00")])
    with database.connect() as connection:
        query = select(func.count()).where(t.messages.c.type == "tier.updated")
        assert connection.execute(query).scalar_one() == 0


def test_several_groups_move_on_their_own(database: Engine) -> None:
    spend = {"name": "club", "measure": "spend", "currency": "EUR", "tiers": [{"name": "in"}, LADDER[1]]}
    both = program().model_dump()
    both["tier_groups"] = [*both["tier_groups"], spend]
    configure(database, Program.model_validate(both))
    play(database, [order("1", "120.00")])
    with database.connect() as connection:
        rows = connection.execute(select(t.standings.c.tier_group, t.standings.c.tier)).all()
    assert sorted(map(tuple, rows)) == [("club", "silver"), ("status", "silver")]
    sound(database)


# --- spend ------------------------------------------------------------------------------------------------------------

SPENT = [
    ([order("1", "99.99")], "99.99", "basic"),
    ([order("1", "60.005"), order("2", "39.995")], "100.00", "silver"),  # no order is rounded
    ([order("1", "120.00"), recorded(refunded("1", amount="20.01"))], "99.99", "basic"),
    ([order("1", "120.00"), recorded(cancelled("1"))], "0.00", "basic"),
    ([order("1", "120.00"), recorded(cancelled("1")), recorded(cancelled("1", at=NOW, off=False))], "120.00", "silver"),
    ([recorded(refunded("1", amount="20.01")), order("1", "120.00")], "99.99", "basic"),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(("commands", "value", "tier"), SPENT)
def test_spend_is_what_the_orders_facts_say_was_kept(
    database: Engine, commands: list[Command], value: str, tier: str, size: int
) -> None:
    configure(database, program(measure="spend", currency="EUR"))
    play(database, commands, sizes=[size])
    assert stands(database)[0] == tier
    with database.connect() as connection:
        (place,) = places_of(connection, load_catalog(connection), (1, member_of(database)), NOW)
    group = program(measure="spend", currency="EUR").tier_groups[0]
    assert group.shown(place.amount, 0) == value
    sound(database)


def test_spend_counts_from_the_fact_that_awards_and_in_its_currency_only(database: Engine) -> None:
    rules = program(measure="spend", currency="USD").model_dump()
    rules["earning"] = {"rate": "1", "award_on": "payment.completed"}
    rules["tier_groups"][0]["currency"] = "EUR"
    configure(database, Program.model_validate(rules))
    play(database, [order("1", "120.00")])
    assert stands(database)[0] == "basic"
    play(database, [recorded(paid("1"))])
    assert stands(database)[0] == "silver"
    sound(database)


# --- rolling windows ----------------------------------------------------------------------------------------------------


def test_what_drops_out_of_the_window_moves_the_tier_at_that_midnight(database: Engine) -> None:
    """Berlin: 60 on 18 November, 50 on 18 December: together until 18 January, midnight there."""
    configure(database, program("Europe/Berlin", measure="rolling_points", window_months=2))
    play(database, [order("1", "60.00")])
    play(database, [order("2", "50.00", NOW + 30 * DAY)], now=NOW + 30 * DAY)
    assert stands(database)[0] == "silver"
    drops = parse("2027-01-17T23:00:00Z")
    assert (shown(database, drops - 1), shown(database, drops)) == ("silver", "basic")
    assert due_members(database, drops - 1, 9) == []
    sweep(database, drops + 5 * DAY)  # five days late
    assert stands(database) == ("basic", "2027-01-17T23:00")
    sound(database)


def test_a_clawback_counts_on_its_own_day(database: Engine) -> None:
    """120 posted, 120 taken back a month later: within two months 0, then 0 - 120 is nothing rather than less."""
    configure(database, program(measure="rolling_points", window_months=2))
    play(database, [order("1", "120.00")])
    play(database, [recorded(cancelled("1"))], now=NOW + 30 * DAY)
    assert stands(database)[0] == "basic"
    sweep(database, NOW + 70 * DAY)
    assert stands(database)[0] == "basic"
    play(database, [order("2", "220.00", NOW + 70 * DAY)], now=NOW + 70 * DAY)
    assert stands(database)[0] == "silver"  # 220 - 120 are 100
    sound(database)


def test_rolling_spend_is_of_the_day_of_the_order(database: Engine) -> None:
    """An order of three months ago that arrives today counts for nothing in a window of two."""
    configure(database, program(measure="rolling_spend", window_months=2, currency="EUR"))
    play(database, [order("1", "120.00", NOW - 100 * DAY)])
    assert stands(database)[0] == "basic"
    play(database, [order("2", "120.00", NOW - 10 * DAY)])
    assert stands(database)[0] == "silver"
    sound(database)


# --- anniversaries ----------------------------------------------------------------------------------------------------

LEAP = parse("2024-02-29T15:00:00Z")


@pytest.mark.parametrize(
    ("rule", "zone", "joined", "moves_at"),
    [
        ("membership_anniversary", "UTC", NOW, "2027-11-18T00:00"),
        ("membership_anniversary", "Europe/Berlin", NOW, "2027-11-17T23:00"),
        ("membership_anniversary", "UTC", LEAP, "2025-02-28T00:00"),
        ("tier_anniversary", "Pacific/Auckland", LEAP, "2025-02-28T11:00"),  # 1 March already, there
        ("tier_anniversary", "UTC", NOW, "2027-11-18T00:00"),
    ],
)
@pytest.mark.parametrize("late", [0, 3 * DAY])
def test_a_year_later_the_tier_is_what_was_reached(
    database: Engine, rule: str, zone: str, joined: Millis, moves_at: str, late: Millis
) -> None:
    configure(database, program(zone, upgrade=rule, downgrade=rule))
    play(database, [order("1", "600.00", joined)], now=joined)
    assert stands(database)[0] == "basic"
    at = parse(moves_at + "Z")
    assert (shown(database, at - 1), shown(database, at)) == ("basic", "gold")
    sweep(database, at - 1)
    assert stands(database)[0] == "basic"
    sweep(database, at + late)
    assert stands(database) == ("gold", moves_at)
    sound(database)


def test_an_order_past_an_anniversary_finds_the_tier_of_the_anniversary(database: Engine) -> None:
    """The sweep did not come by: the order's own points are not part of what the anniversary saw."""
    configure(database, program(upgrade="membership_anniversary"))
    play(database, [order("1", "100.00")])
    later = parse("2027-11-18T00:00:00Z") + DAY
    play(database, [order("2", "900.00", later)], now=later)
    assert history(database) == [(None, "basic"), ("basic", "silver")]
    with database.connect() as connection:
        kept = connection.execute(select(t.orders.c.standing).order_by(t.orders.c.ref)).scalars().all()
    assert [orjson.loads(one)["stood"]["tier"] for one in kept] == ["basic", "silver"]
    sound(database)


def test_up_at_once_and_down_a_year_after_the_tier_was_reached(database: Engine) -> None:
    configure(database, program(downgrade="tier_anniversary"))
    play(database, [order("1", "600.00")])
    play(database, [recorded(cancelled("1"))], now=NOW + 10 * DAY)
    assert stands(database)[0] == "gold"
    sweep(database, parse("2027-11-17T23:59:59.999Z"))
    assert stands(database)[0] == "gold"
    sweep(database, parse("2027-11-18T00:00:00Z"))
    assert stands(database) == ("basic", "2027-11-18T00:00")
    sound(database)


# --- by hand ----------------------------------------------------------------------------------------------------------


def assigned(engine: Engine, tier: str | None, until: Millis | None = None, number: int = 900) -> AssignTier:
    return AssignTier(
        env=1, id=number, member=member_of(engine), program="main", group="status", tier=tier, until=until,
        reason="a friend", received_at=NOW,
    )  # fmt: skip


def test_what_somebody_assigned_no_rule_moves_before_its_time_is_over(database: Engine) -> None:
    configure(database, program())
    play(database, [order("1", "120.00")])
    (outcome,) = play(database, [assigned(database, "gold", NOW + 5 * DAY)])
    assert (outcome.error, (outcome.row or {})["tier"]) == (None, "gold")
    play(database, [recorded(refunded("1", amount="60.00"))])
    assert stands(database)[0] == "gold"
    assert (shown(database, NOW + 5 * DAY - 1), shown(database, NOW + 5 * DAY)) == ("gold", "basic")
    sweep(database, NOW + 6 * DAY)
    assert stands(database) == ("basic", iso(NOW + 5 * DAY)[:16])
    sound(database)


def test_an_assignment_for_good_ends_by_hand(database: Engine) -> None:
    configure(database, program(downgrade="never"))
    play(database, [order("1", "120.00")])
    play(database, [assigned(database, "basic")])
    play(database, [order("2", "500.00")])
    sweep(database, NOW + 4000 * DAY)
    assert stands(database)[0] == "basic"
    play(database, [assigned(database, None, number=901)])
    assert stands(database)[0] == "gold"
    sound(database)


def test_an_assignment_ends_though_the_clock_went_back_behind_the_last_look(database: Engine) -> None:
    configure(database, program())
    play(database, [order("1", "120.00")])
    play(database, [assigned(database, "gold", NOW - DAY)], now=NOW - 2 * DAY)
    sweep(database, NOW - DAY)
    assert stands(database)[0] == "silver"
    sweep(database, NOW + DAY)
    assert history(database) == [(None, "basic"), ("basic", "silver"), ("silver", "gold"), ("gold", "silver")]
    sound(database)


def test_a_tier_that_is_gone_is_refused(database: Engine) -> None:
    configure(database, program())
    play(database, [recorded(customer())])
    (outcome,) = play(database, [assigned(database, "ruby")])
    assert outcome.error == "tier_unknown"
    assert history(database) == [(None, "basic")]


# --- programs change --------------------------------------------------------------------------------------------------


def test_members_from_before_the_tiers_take_part_from_their_next_event_on(database: Engine) -> None:
    configure(
        database,
        Program.model_validate({"name": "main", "earning": {"rate": "1", "award_on": "order.placed"}}),
    )
    play(database, [order("1", "120.00")])
    with database.begin() as connection:
        assert connection.execute(select(func.count()).select_from(t.memberships)).scalar_one() == 0
        publish(connection, program(), version=2, at=NOW + 1)
        connection.execute(update(t.configuration).values(version=2))
    assert shown(database, NOW + 2) == "silver"
    play(database, [order("2", "10.00", NOW + 2)], now=NOW + 2)
    assert history(database) == [(None, "basic"), ("basic", "silver")]
    sound(database)


def test_other_thresholds_hold_for_whoever_comes_by_and_when_the_sweep_does(database: Engine) -> None:
    configure(database, program())
    play(database, [order("1", "120.00")])
    with database.begin() as connection:
        higher = program(tiers=[LADDER[0], {"name": "silver", "threshold": "200"}])
        publish(connection, higher, version=2, at=NOW + 1)
        connection.execute(update(t.configuration).values(version=2))
        connection.execute(update(t.memberships).values(next_due_at=NOW + 1))  # as `apply` does
    assert shown(database, NOW + 2) == "basic"
    sweep(database, NOW + 2)
    assert stands(database)[0] == "basic"
    assert due_members(database, NOW + 4000 * DAY, 9) == []
    sound(database)


# --- always -----------------------------------------------------------------------------------------------------------

STEP = st.tuples(
    st.sampled_from(["order", "order", "refund", "cancel", "credit", "wait"]),
    st.integers(0, 40),  # days that pass before
    st.integers(1, 30000),  # cents, or points
    st.booleans(),  # whether the sweep comes by
)


@settings(max_examples=25)
@given(
    st.lists(STEP, min_size=1, max_size=14),
    st.sampled_from([None, 1, 2, 6]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    st.sampled_from([0, 5]),
)
def test_a_tier_in_real_time_is_always_what_the_transfers_add_up_to(
    steps: list[tuple[str, int, int, bool]], months: int | None, zone: str, hold_days: int
) -> None:
    rolls = {"measure": "rolling_points", "window_months": months} if months else {}
    rules = program(zone, upgrade="real_time", **rolls).model_dump()
    rules["earning"] = {"rate": "1", "award_on": "order.placed", "hold_days": hold_days}
    now, orders = NOW, 0
    with fresh(Program.model_validate(rules)) as engine:
        play(engine, [recorded(customer())])
        for number, (what, days, amount, swept) in enumerate(steps, 1):
            now += days * DAY + 3_600_000
            command: Command | None = None
            if what == "order":
                orders += 1
                command = recorded(placed(str(orders), line(amount=f"{amount / 100:.2f}"), at=now))
            elif what == "credit":
                command = begin(
                    member_of(engine), number, "credit", amount // 50 + 1, complete=True, received_at=now
                )
            elif orders and what == "refund":
                command = recorded(refunded(str(orders), f"r{number}", f"{amount / 100:.2f}", at=now))
            elif orders and what == "cancel":
                command = recorded(cancelled(str(orders), at=now))
            play(engine, [] if command is None else [command], now=now)
            before = shown(engine, now)
            if swept:
                sweep(engine, now)
                assert stands(engine)[0] == shown(engine, now) == before == recomputed(engine, rules, now)
        sweep(engine, now)
        assert stands(engine)[0] == recomputed(engine, rules, now)
        assert audit(engine) == []
        assert rebuild(engine, read) == []


def recomputed(engine: Engine, rules: dict[str, Any], now: Millis) -> str:
    """Add the tier's measure up from the history of transfers."""
    group = TierGroup.model_validate(rules["tier_groups"][0])
    today = day_of(now, rules["timezone"])
    posted, taken = {"available", "owed"}, {"revoked", "pending"}
    amount = 0
    with engine.connect() as connection:
        for row in connection.execute(select(t.transfers)):
            day = day_of(row.posted_at, rules["timezone"])
            if group.window_months and today >= months_after(day, group.window_months):
                continue
            if row.from_account in ("issued", "pending") and row.to_account in posted:
                amount += row.amount
            elif row.from_account in (*posted, "expired") and row.to_account in taken:
                amount -= row.amount
    return group.tiers[group.reached(amount, 0)].name


# --- audit ------------------------------------------------------------------------------------------------------------

CORRUPTED = [
    ("UPDATE standings SET tier = 'gold'", "is gold, its history says"),
    ("UPDATE standings SET changes = 9", "has 9 changes"),
    ("DELETE FROM tier_changes WHERE n = 1", "its history [2]"),
    ("UPDATE tier_changes SET from_tier = 'gold' WHERE n = 2", "its history says"),
    (
        "UPDATE standings SET tier = 'gold'; UPDATE tier_changes SET to_tier = 'gold' WHERE n = 2",
        "is gold, but 120.00 reach silver",
    ),
    ("UPDATE measures SET amount = amount - 1", "counts 119999999 EUR on 0, its orders 120000000"),
    ("DELETE FROM measures", "counts nothing of EUR on 0, its orders 120000000"),
]


@pytest.mark.parametrize(("statements", "says"), CORRUPTED)
def test_audit_names_what_is_wrong_with_a_tier(database: Engine, statements: str, says: str) -> None:
    configure(database, program(measure="spend", currency="EUR"))
    play(database, [order("1", "120.00")])
    assert audit(database) == []
    with database.begin() as connection:
        for statement in statements.split("; "):
            connection.execute(text(statement))
    assert any(says in violation for violation in audit(database)), audit(database)


def test_rebuild_finds_a_tier_that_the_events_do_not_explain(database: Engine) -> None:
    configure(database, program(downgrade="never"))
    play(database, [order("1", "120.00")])
    with database.begin() as connection:
        connection.execute(text("UPDATE standings SET tier = 'gold'"))
    (difference,) = rebuild(database, read)
    assert difference.startswith("tier environment 1 shop:7000 main status: the book has [('gold'")
