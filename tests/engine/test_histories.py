"""What the clock, spent points and people do between the events: the book ends where the facts say, and proves it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from adapter import ids
from adapter.book.lots import take
from adapter.book.posting import finish
from adapter.book.state import MEMBER_ACCOUNTS, Account, Balance, Lot
from adapter.book.transfers import Cause, move
from adapter.book.working import WorkingSet
from adapter.commands import Command, Elapse, RecordEvent
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances
from adapter.engine.write import write
from adapter.events import Event, EventType, RefundState
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.reading.balances import balance_now
from adapter.store.rows import BALANCE_COLUMNS, LOT_COLUMNS
from tests.engine.test_convergence import AWARD_ON, fresh, lives
from tests.shop import (
    DAY,
    NOW,
    cancelled,
    customer,
    line,
    placed,
    play,
    publish,
    recorded,
    refunded,
    shipped,
    snapshot,
    totals,
)

if TYPE_CHECKING:
    from adapter.catalog import Source
    from adapter.clock import Millis
    from connectors.base import RawEvent


def program(*, expiry: int | None = None, waived: bool = False, **more: Any) -> Program:
    members = {name: more.pop(name) for name in ("match_email", "auto_enrol") if name in more}
    return Program.model_validate({
        "name": "main",
        "earning": {"rate": "1", "award_on": "order.placed", **more},
        "expiry": {} if expiry is None else {"days": expiry},
        "clawback": {"shortfall": "waived" if waived else "owed"},
        "members": members,
    })  # fmt: skip


def read(source: Source, raw: RawEvent) -> RecordEvent:
    events = msgspec.json.decode(raw.body, type=tuple[Event, ...])
    return recorded(*events, source=source.name, received_at=raw.received_at)


def sweep(engine: Engine, now: Millis) -> None:
    while due := due_balances(engine, now, 100):
        play(engine, due, now=now, sizes=[100])


def spend(engine: Engine, amount: int, *, now: Millis = NOW) -> int:
    """Redeem up to this many points of the richest member by the book's own moves; return how many."""
    with engine.begin() as connection:
        work = WorkingSet(load_catalog(connection), now, lambda: ids.new_id(now))
        columns = [t.balances.c[name] for name in BALANCE_COLUMNS]
        row = connection.execute(select(*columns).order_by(t.balances.c.available.desc())).first()
        if row is None:
            return 0
        balance = Balance(*row)
        work.balances.load(balance.key, balance)
        lots = [Lot(*one) for one in connection.execute(select(*(t.lots.c[name] for name in LOT_COLUMNS)))]
        mine = [one for one in lots if one.balance_key == balance.key and one.live(now)]
        for one in mine:
            work.lots.load(one.key, one)
        parts = take(mine, amount)
        change = work.change(balance.key, Cause("redemption.applied", now))
        move(change, (Account.AVAILABLE, Account.REDEEMED), list(parts), kind="redeem")
        finish(work, change)
        work.keep_lots(change, [one for one, _ in parts])
        write(connection, work, [])
    return sum(part for _, part in parts)


def witness(engine: Engine) -> list[str]:
    """Return what a subscriber would object to: gaps, and changes that do not add up to the balances it was told."""
    told: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    with engine.connect() as connection:
        for row in connection.execute(select(t.messages).where(t.messages.c.sequence.is_not(None))):
            told[row.member, row.definition].append(orjson.loads(row.body)["data"])
        balances = connection.execute(select(t.balances)).all()
    wrong = []
    for row in balances:
        heard = sorted(told[row.member, row.definition], key=lambda data: int(data["sequence"]))
        if [data["sequence"] for data in heard] != list(range(1, row.sequence + 1)):
            wrong.append(f"{row.member} hears {[data['sequence'] for data in heard]}")
        for account in MEMBER_ACCOUNTS if heard else ():
            moved = sum(Decimal(str(data["changes"].get(account, 0))) for data in heard)
            if not moved == Decimal(str(heard[-1]["balances"][account])) == getattr(row, account):
                wrong.append(f"{account} of {row.member} is {getattr(row, account)}, the changes say {moved}")
    return wrong


def proven(engine: Engine) -> list[str]:
    return [*audit(engine), *witness(engine)]


def balances(engine: Engine) -> dict[str, tuple[int, ...]]:
    """Return (pending, available, reserved, owed, earned) by the member's first id at the shop."""
    found = snapshot(engine)["balances"].items()
    return {whose[0] if whose else "nobody": amounts for (whose, _), amounts in found}


# --- the clock --------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[RecordEvent], int, list[RecordEvent], list[int]]:
    """Webhooks, after how many of them time passes, the same ones shuffled, and batch sizes."""
    events = [event for order in ("1001", "1002") for event in draw(lives(order))]
    teller = st.sampled_from(["shop", "pay"])
    commands = [recorded(event, source="shop" if event.totals else draw(teller)) for event in events]
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    return commands, draw(st.integers(0, len(commands))), draw(st.permutations(commands)), sizes


@settings(max_examples=60)
@given(
    histories(), st.sampled_from(AWARD_ON), st.sampled_from([0, 2]), st.sampled_from(["last", "pro_rata"]),
    st.sampled_from([None, 3, 12]), st.integers(-9, 2), st.booleans(),
)  # fmt: skip
def test_time_that_passes_between_the_events_changes_nothing_in_the_end(
    history: tuple[list[RecordEvent], int, list[RecordEvent], list[int]], award_on: str, hold_days: int,
    partial: str, expiry: int | None, early: int, swept: bool,
) -> None:  # fmt: skip
    """A part of the events, the clock and perhaps the sweep, then the rest: as if all had come at the end at once."""
    commands, cut, shuffled, sizes = history
    rules = program(award_on=award_on, hold_days=hold_days, partial_shipments=partial, expiry=expiry)
    end = NOW + 4 * DAY
    with fresh(rules, ("shop", "pay")) as parted, fresh(rules, ("shop", "pay")) as whole:
        play(parted, commands[:cut], now=NOW + early * DAY)
        if swept:
            sweep(parted, NOW + (early + 1) * DAY)
        play(parted, commands[cut:], now=NOW + 3 * DAY, sizes=sizes)
        play(whole, shuffled, now=end, sizes=sizes)
        for engine in (parted, whole):
            sweep(engine, end)
            assert proven(engine) == []
        assert snapshot(parted) == snapshot(whole)


@settings(max_examples=10)
@given(histories(), st.sampled_from([0, 2]), st.sampled_from([None, 3]), st.booleans())
def test_the_stored_events_explain_every_history(
    history: tuple[list[RecordEvent], int, list[RecordEvent], list[int]], hold_days: int, expiry: int | None,
    swept: bool,
) -> None:  # fmt: skip
    """The rebuilt book sweeps at other instants than the real one did, and some members were never swept at all."""
    _, cut, commands, sizes = history
    with fresh(program(hold_days=hold_days, expiry=expiry), ("shop", "pay")) as engine:
        play(engine, commands[:cut], now=NOW - 8 * DAY, sizes=sizes)
        if swept:
            sweep(engine, NOW - 5 * DAY)
        play(engine, commands[cut:], now=NOW, sizes=sizes)
        assert rebuild(engine, read) == []


def test_an_end_that_a_later_fact_moves_gives_points_back() -> None:
    """Shipped 40 days ago, 30 to live: over. That shipment was called off, the real one is 20 days old: alive."""
    with fresh(program(award_on="order.shipped", expiry=30)) as engine:
        play(engine, [recorded(placed(at=NOW - 41 * DAY)), recorded(shipped(at=NOW - 40 * DAY))])
        assert balances(engine) == {"shop:7000": (0, 0, 0, 0, 89)}
        play(engine, [recorded(shipped(at=NOW - 40 * DAY, cancelled=True, version=NOW))])
        assert balances(engine) == {"shop:7000": (89, 0, 0, 0, 0)}
        play(engine, [recorded(shipped(shipment="s2", at=NOW - 20 * DAY))])
        assert balances(engine) == {"shop:7000": (0, 89, 0, 0, 89)}
        assert proven(engine) == []


def test_points_that_come_back_to_life_repay_a_debt_first() -> None:
    """Order 1 ran out; order 2 was spent and half refunded: 44 owed. Then 1 turns out to be alive: 89 - 45."""
    with fresh(program(award_on="order.shipped", expiry=30)) as engine:
        play(engine, [recorded(placed("2", at=NOW)), recorded(shipped("2", at=NOW))])
        assert spend(engine, 89) == 89
        play(engine, [recorded(placed("1", at=NOW - 41 * DAY)), recorded(shipped("1", at=NOW - 40 * DAY))])
        play(engine, [recorded(refunded("2", amount="45.00"))])
        assert balances(engine) == {
            "shop:7000": (0, 0, 0, 45, 133)
        }  # floor(89 * 44.99 / 89.99) = 44 stay of 89
        moved = [
            shipped("1", at=NOW - 40 * DAY, cancelled=True, version=NOW),
            shipped("1", "s2", at=NOW - DAY),
        ]
        play(engine, [recorded(*moved)])
        assert balances(engine) == {"shop:7000": (0, 44, 0, 0, 133)}
        assert proven(engine) == []


def test_the_sweep_and_a_new_order_in_one_batch_forget_no_deadline() -> None:
    """The sweep posts one order's points while another begins its wait: the end of that wait is kept."""
    with fresh(program(hold_days=3)) as engine:
        play(engine, [recorded(placed("1", at=NOW - 2 * DAY))])
        later = NOW + DAY
        batch: list[Command] = [recorded(placed("2", at=later)), *due_balances(engine, later, 9)]
        assert isinstance(batch[1], Elapse)
        play(engine, batch, now=later, sizes=[2])
        assert proven(engine) == []
        sweep(engine, later + 3 * DAY)
        assert balances(engine) == {"shop:7000": (0, 178, 0, 0, 178)}


def test_a_read_before_the_sweep_sees_the_whole_shipment() -> None:
    """Two of three lines go in one parcel: 30 + 30 of 100 points post together after the hold."""
    rules = program(award_on="order.shipped", hold_days=3, partial_shipments="pro_rata")
    parcel = shipped(lines=[("1", "1"), ("2", "1")], at=NOW)
    with fresh(rules) as engine:
        play(engine, [recorded(placed("1001", line(1, "30"), line(2, "30"), line(3, "40")), parcel)])
        with engine.connect() as connection:
            key = connection.execute(
                select(t.balances.c.env, t.balances.c.member, t.balances.c.definition)
            ).one()
            seen, _ = balance_now(connection, *key, NOW + 3 * DAY)
        assert (seen.pending, seen.available) == (40, 60)


@pytest.mark.parametrize("days", [4, 6])
def test_a_refund_finds_the_clock_as_it_is_and_not_as_the_sweep_left_it(days: int) -> None:
    """Before or after the end of the points, swept or not: lifetime earned is what is kept of the award."""
    with fresh(program(expiry=5)) as swept, fresh(program(expiry=5)) as unswept:
        for engine in (swept, unswept):
            play(engine, [recorded(placed(at=NOW))])
        sweep(swept, NOW + days * DAY)
        for engine in (swept, unswept):
            play(engine, [recorded(refunded(at=NOW))], now=NOW + days * DAY)
            assert balances(engine) == {"shop:7000": (0, 59 if days == 4 else 0, 0, 0, 59)}
            assert proven(engine) == []
            assert rebuild(engine, read) == []


def test_in_batch_mode_points_post_at_the_next_boundary() -> None:
    """Placed 1 ms after a full hour, one hold day: usable at the first full hour after that day, not a moment before."""
    hour = 3_600_000
    start = NOW - NOW % hour + 1
    rules = program(hold_days=1, expiry=30).model_copy(
        update={"processing_mode": "batch", "batch_interval_s": 3600}
    )
    boundary = start - 1 + DAY + hour
    with fresh(rules) as engine:
        play(engine, [recorded(placed(at=start))], now=start)
        for now, ends in ((boundary - 1, (89, 0, 0, 0, 0)), (boundary, (0, 89, 0, 0, 89))):
            sweep(engine, now)
            assert balances(engine) == {"shop:7000": ends}
        assert next(iter(snapshot(engine)["lots"].values()))[0][4] == boundary + 30 * DAY
        assert proven(engine) == []
        assert rebuild(engine, read) == []


# --- spent points -----------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    histories(),
    st.lists(st.integers(1, 200), min_size=1, max_size=4),
    st.sampled_from([None, 3]),
    st.integers(1, 4),
)
def test_what_was_spent_is_never_lost_and_never_given_twice(
    history: tuple[list[RecordEvent], int, list[RecordEvent], list[int]], spends: list[int], expiry: int | None,
    step: int,
) -> None:  # fmt: skip
    """What members have, less what they owe, is what their orders hold, less what was spent and what ran out."""
    _, _, commands, sizes = history
    with fresh(program(expiry=expiry), ("shop", "pay")) as engine:
        spent = 0
        for number, amount in enumerate([*spends, 0]):
            now = NOW + (number - len(spends)) * DAY
            part = commands[number * step : (number + 1) * step] if amount else commands[number * step :]
            play(engine, part, now=now, sizes=sizes)
            spent += spend(engine, amount, now=now) if amount else 0
        assert proven(engine) == []
        with engine.connect() as connection:
            have = sum(b.pending + b.available - b.owed for b in connection.execute(select(t.balances)))
            held = sum(order.credited - order.taken for order in connection.execute(select(t.orders)))
            over = sum(lot.expired for lot in connection.execute(select(t.lots)))
        assert have == held - spent - over


@pytest.mark.parametrize("waits", [False, True])
def test_a_clawback_sees_what_its_own_batch_made_available(waits: bool) -> None:
    """Order 1 is spent. One batch makes order 2 available, new or at the end of its wait, and refunds order 1."""
    with fresh(program(award_on="order.shipped")) as engine:
        play(engine, [recorded(placed("1"), shipped("1"))])
        assert spend(engine, 89) == 89
        play(engine, [recorded(placed("2"))] if waits else [])
        news = [shipped("2")] if waits else [placed("2"), shipped("2")]
        play(engine, [recorded(*news), recorded(refunded("1", amount="89.99"))], sizes=[2])
        assert balances(engine) == {"shop:7000": (0, 0, 0, 0, 89)}
        assert proven(engine) == []


def test_a_clawback_passes_over_points_that_ran_out_before_the_sweep_came() -> None:
    """Order 1 is spent, order 2 is over and not swept: its points expire, and the refund of 1 is owed."""
    with fresh(program(expiry=5)) as engine:
        play(engine, [recorded(placed("1", at=NOW))])
        assert spend(engine, 89) == 89
        play(engine, [recorded(placed("2", at=NOW))])
        (outcome,) = play(engine, [recorded(refunded("1", amount="89.99"))], now=NOW + 6 * DAY)
        assert outcome.state == "applied"
        assert balances(engine) == {"shop:7000": (0, 0, 0, 89, 89)}
        assert proven(engine) == []


def test_edits_after_the_points_were_spent() -> None:
    """89 spent; the award falls to 20: 69 owed. It rises to 120: the 100 more repay them, 31 are left."""
    with fresh(program()) as engine:
        play(engine, [recorded(placed())])
        assert spend(engine, 89) == 89
        for amount, version, ends in (("20", NOW - 1, (0, 0, 0, 69, 20)), ("120", NOW, (0, 31, 0, 0, 120))):
            play(
                engine, [recorded(placed(version=version, what=totals(line(amount=amount), version=version)))]
            )
            assert balances(engine) == {"shop:7000": ends}
        assert proven(engine) == []


# --- one fact and its opposite ------------------------------------------------------------------------------------------


def test_what_is_called_off_can_be_called_on_again() -> None:
    with fresh(program()) as engine:
        for event, available in (
            (placed(), 89), (cancelled(), 0), (cancelled(at=NOW - DAY, off=False), 89), (refunded(), 59),
            (refunded(state=RefundState.FAILED, version=NOW), 89),
        ):  # fmt: skip
            play(engine, [recorded(event)])
            assert sum(amounts[1] for amounts in balances(engine).values()) == available
        assert proven(engine) == []


@pytest.mark.parametrize("swapped", [False, True])
def test_two_tellers_of_one_refund_take_it_once(swapped: bool) -> None:
    """The shop names two refunds of 15 and 15, the payment provider one running total of 30."""
    of_shop = [recorded(refunded(refund=name, amount="15.00")) for name in ("r1", "r2")]
    of_pay = [
        recorded(
            refunded(refund="ch_1", amount=amount, payment="pi_1", cumulative=True, version=version),
            source="pay",
        )
        for amount, version in (("15.00", 1), ("30.00", 2))
    ]
    single = recorded(refunded(refund="re_2", amount="15.00", payment="pi_1"), source="pay")
    told = [*of_shop, *of_pay, single]
    with fresh(program(), ("shop", "pay")) as engine:
        play(engine, [recorded(placed()), *(reversed(told) if swapped else told)])
        assert balances(engine) == {"shop:7000": (0, 59, 0, 0, 59)}
        assert proven(engine) == []


def test_a_refund_is_counted_by_the_rules_of_the_day_the_order_was_placed() -> None:
    """Two points for one under version 1, paused under version 2: floor(179 * 59.99 / 89.99) = 119 stay."""
    with fresh(program(rate="2")) as engine:
        play(engine, [recorded(placed("1"))])
        paused = program(rate="3").model_copy(update={"state": "paused"})
        with engine.begin() as connection:
            publish(connection, paused, version=2, at=NOW)
            connection.execute(t.configuration.update().values(version=2))
        play(engine, [recorded(refunded("1")), recorded(placed("2", at=NOW + 1))], now=NOW + DAY)
        assert balances(engine) == {"shop:7000": (0, 119, 0, 0, 119)}
        assert snapshot(engine)["orders"]["shop", "2"][1:3] == ("nothing", "program_paused")
        assert proven(engine) == []
        assert rebuild(engine, read) == []


# --- people -----------------------------------------------------------------------------------------------------------

ADDRESSES = {"7000": ["ada@example.com", "ada@example.org"], "7001": ["bob@example.com"]}


@st.composite
def crowds(draw: st.DrawFn) -> list[Event]:
    """Customers with addresses of their own, guests who use them, and orders that change hands."""
    events = [
        customer(number, email=address, at=NOW - (9 - days) * DAY, type=EventType.CUSTOMER_UPDATED)
        for number, known in ADDRESSES.items()
        for days, address in enumerate(known)
    ]
    people: list[tuple[str | None, str | None]] = [
        (None, address) for known in ADDRESSES.values() for address in known
    ]
    people += [("7000", None), ("7000", "ada@example.com"), ("7001", "bob@example.com")]
    for order in ("1", "2", "3"):
        for version in draw(st.lists(st.integers(1, 9), min_size=1, max_size=2, unique=True)):
            who, address = draw(st.sampled_from(people))
            events.append(placed(order, customer=who, email=address, version=NOW - version * DAY))
    return events


@settings(max_examples=25)
@given(crowds(), st.data())
def test_whoever_is_told_first_an_address_leads_to_the_same_member(
    events: list[Event], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(events))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    with fresh(program(match_email=True)) as one, fresh(program(match_email=True)) as other:
        play(one, [recorded(event) for event in events])
        play(other, [recorded(event) for event in shuffled], sizes=sizes)
        assert snapshot(one) == snapshot(other)
        assert proven(other) == []


def test_a_customers_order_brings_earlier_orders_as_a_guest_along() -> None:
    guest = placed("1", customer=None, email="ada@example.com")
    with fresh(program(match_email=True)) as engine:
        play(engine, [recorded(guest), recorded(placed("2", email="ada@example.com"))])
        assert balances(engine) == {"shop:7000": (0, 178, 0, 0, 178)}
        with engine.connect() as connection:
            assert set(connection.execute(select(t.events.c.state)).scalars()) == {"applied"}


def test_an_order_handed_to_somebody_who_is_no_member_leaves_its_points_with_nobody() -> None:
    with fresh(program()) as engine:
        play(engine, [recorded(placed())])
        with engine.begin() as connection:
            publish(connection, program(auto_enrol=False), version=2, at=NOW)
            connection.execute(t.configuration.update().values(version=2))
        play(engine, [recorded(placed(customer="7001", version=NOW))], now=NOW + DAY)
        assert balances(engine) == {}
        assert snapshot(engine)["orders"]["shop", "1001"][:3] == (None, "parked", "not_enrolled")
        assert proven(engine) == []
        assert rebuild(engine, read) == []


@pytest.mark.parametrize("sizes", [[1], [4]])
def test_somebody_who_was_forgotten_comes_back_as_somebody_new(sizes: list[int]) -> None:
    """Old orders stay with the erased member, a new one begins a new member: in one batch as in several."""
    gone = customer("7000", type=EventType.CUSTOMER_REDACTED, at=NOW)
    commands = [recorded(placed("1")), recorded(gone), recorded(refunded("1")), recorded(placed("2"))]
    with fresh(program()) as engine:
        play(engine, commands, sizes=sizes)
        assert balances(engine) == {"nobody": (0, 59, 0, 0, 59), "shop:7000": (0, 89, 0, 0, 89)}
        assert proven(engine) == []
        assert rebuild(engine, read) == []


@pytest.mark.parametrize("late", [False, True])
def test_what_an_order_used_to_say_of_its_guest_teaches_nobody_anything(late: bool) -> None:
    """Bob's address was on Ada's order by mistake, and was corrected: Bob's own points never become hers."""
    wrong = placed(customer=None, email="bob@example.com", version=NOW - 2 * DAY)
    right = placed(customer=None, email="ada@example.com", version=NOW - DAY)
    ada, bob = (
        customer(number, email=f"{name}@example.com") for number, name in (("7000", "ada"), ("7001", "bob"))
    )
    with fresh(program(match_email=True)) as engine:
        play(
            engine,
            [recorded(event) for event in ((right, ada, wrong, bob) if late else (wrong, right, bob, ada))],
        )
        play(engine, [recorded(placed("2", customer="7001"))])
        assert balances(engine) == {"shop:7000": (0, 89, 0, 0, 89), "shop:7001": (0, 89, 0, 0, 89)}
        assert proven(engine) == []
