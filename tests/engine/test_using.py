"""An order that has a voucher's code uses it: what becomes of the voucher follows from facts, however they arrive."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from adapter.commands import AttributeVoucher, LapseVoucher, MoveVoucher
from adapter.engine.audit import audit
from adapter.engine.batch import Batcher
from adapter.engine.rebuild import rebuild
from adapter.events import PaymentState
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database, unit_of_work
from tests.engine.test_audit import corrupt, read
from tests.engine.test_convergence import fresh
from tests.engine.test_redemptions import redeem as begin_redemption
from tests.engine.test_redemptions import rich, state_of
from tests.engine.test_vouchers import BIG, HUNDREDS, SILVER, STATUS, WELCOME, ruled, sound
from tests.shop import (
    DAY,
    NOW,
    cancelled,
    configure,
    customer,
    line,
    member_of,
    merge,
    paid,
    placed,
    play,
    recorded,
    shipped,
    totals,
)

if TYPE_CHECKING:
    from adapter.commands import Command
    from adapter.events import Event

MAIN = Program.model_validate({"name": "main", "earning": {"rate": "1"}})
GONE, FAILED = PaymentState.CANCELLED, PaymentState.FAILED


def give(member: int, **more: Any) -> AttributeVoucher:
    """Return the command that gives the voucher of a test, by hand."""
    fields: dict[str, Any] = {"id": 90, "program": "main", "code": "GIFT-ME", "percent": "10", **more}
    return AttributeVoucher(env=1, member=member, received_at=NOW, **fields)


def uses(order: str = "1", *codes: str, version: int | None = None, customer: str = "7000") -> Event:
    what = totals(line(1, "60.00"), codes=codes or ("gift-me ",), version=version or NOW - 9)
    return placed(order, what=what, version=version, customer=customer)


def kept(engine: Engine, **named: Any) -> Any:
    """Return the only voucher, or the one that is named."""
    with engine.connect() as connection:
        return connection.execute(select(t.vouchers).filter_by(**named)).one()


def ends(engine: Engine) -> tuple[str, str | None]:
    """Return the voucher's state, and the order that used it."""
    row = kept(engine)
    return row.state, row.order_ref


def known(engine: Engine, program: Program = MAIN) -> int:
    configure(engine, program)
    play(engine, [recorded(customer("7000"))])
    return member_of(engine)


FOLLOWS: list[tuple[list[Event], tuple[str, str | None]]] = [
    # what is told of orders that may use the code → the voucher's state, and the order that used it
    ([uses("1")], ("redeemed", "1")),
    ([uses("1"), paid("1")], ("redeemed", "1")),
    ([uses("1", "other")], ("active", None)),
    ([uses("1"), cancelled("1")], ("active", None)),
    ([uses("1"), paid("1"), cancelled("1")], ("active", None)),
    ([uses("1"), cancelled("1"), cancelled("1", at=NOW, off=False)], ("redeemed", "1")),
    ([uses("1"), paid("1", state=FAILED)], ("active", None)),
    ([uses("1"), paid("1", "p1", state=GONE), paid("1", "p2", state=FAILED)], ("active", None)),
    ([uses("1"), paid("1", "p1", state=FAILED), paid("1", "p2")], ("redeemed", "1")),
    ([uses("1"), uses("1", "other", version=NOW)], ("active", None)),  # the code was taken out again
    ([uses("1", "other"), uses("1", version=NOW)], ("redeemed", "1")),
    ([uses("1"), uses("2")], ("redeemed", "1")),
    ([uses("1"), uses("2"), cancelled("1")], ("redeemed", "2")),
    ([uses("1", customer="7001")], ("redeemed", "1")),  # it is whoever's who has the code
]


@pytest.mark.parametrize(("events", "left"), FOLLOWS, ids=range(len(FOLLOWS)))
def test_in_every_order_of_arrival(events: list[Event], left: tuple[str, str | None]) -> None:
    """Given by hand before, between and after the events that use it."""
    for arrival in permutations([None, *events]):
        with fresh(MAIN) as engine:
            play(engine, [recorded(customer("7000"))])
            member = member_of(engine)
            play(engine, [give(member) if one is None else recorded(one) for one in arrival], sizes=[2, 1])
            play(engine, [recorded(one, salt="again") for one in events], sizes=[9])
            assert ends(engine) == left, arrival
            assert audit(engine) == []


@pytest.mark.parametrize("size", [1, 5])
def test_on_both_databases(database: Engine, size: int) -> None:
    member = known(database)
    play(database, [give(member), recorded(uses("1")), recorded(uses("1"), salt="again")], sizes=[size])
    assert ends(database) == ("redeemed", "1")
    assert heard(database) == ["voucher.attributed", "voucher.redeemed"]
    sound(database)
    play(database, [recorded(cancelled("1"))])
    assert ends(database) == ("active", None)
    assert heard(database)[2:] == ["voucher.attributed"]
    sound(database)


def heard(engine: Engine) -> list[str]:
    query = select(t.messages.c.type).where(t.messages.c.type.like("voucher.%")).order_by(t.messages.c.id)
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def test_past_its_end_an_order_of_before_redeems_it_all_the_same(database: Engine) -> None:
    """The shop granted it: late news of that order must not end differently."""
    member = known(database)
    play(database, [give(member, ends_at=NOW + DAY)])
    play(database, [LapseVoucher(env=1, member=member, voucher=90)], now=NOW + DAY)
    assert ends(database) == ("expired", None)
    play(database, [recorded(uses("1"))], now=NOW + 2 * DAY)
    assert ends(database) == ("redeemed", "1")
    sound(database)
    play(database, [recorded(cancelled("1"))], now=NOW + 2 * DAY)
    assert ends(database) == ("expired", None)
    sound(database)


@pytest.mark.parametrize("state", ["redeemed", "revoked"])
def test_what_the_api_moved_no_order_moves_any_more(database: Engine, state: str) -> None:
    member = known(database)
    moved = MoveVoucher(env=1, voucher=90, member=member, state=state, received_at=NOW)
    play(database, [give(member), moved])
    for event in (uses("1"), cancelled("1")):
        play(database, [recorded(event)])
        assert ends(database) == (state, None)
    sound(database)


# --- the codes of rules -------------------------------------------------------------------------------------------------


def test_the_code_of_a_rule_is_the_same_in_a_book_made_anew(database: Engine) -> None:
    """So the shop's order redeems it there too; and a code that somebody wrote over is found."""
    ruled(database, WELCOME, {"when": "order_completed", "revocable": True})
    play(database, [recorded(placed("1")), recorded(shipped("1"))])
    welcome, thanks = kept(database, rule="rule0"), kept(database, rule="rule1")
    assert re.fullmatch(r"GIFT-[0-9A-Z]{12}", welcome.code)
    assert welcome.code != thanks.code
    play(database, [recorded(uses("2", welcome.code, thanks.code))])
    assert [kept(database, rule=rule).state for rule in ("rule0", "rule1")] == ["redeemed"] * 2
    sound(database)
    with database.begin() as connection:
        connection.execute(t.vouchers.update().where(t.vouchers.c.id == welcome.id).values(code="GIFT-MINE"))
    (difference,) = rebuild(database, read)
    assert "GIFT-MINE" in difference


def test_of_another_environment_it_is_another_code(sqlite_database: Engine) -> None:
    codes = []
    for secret in (b"one", b"two"):
        with sqlite_database.begin() as connection:
            for table in reversed(t.metadata.sorted_tables):
                connection.execute(table.delete())
        ruled(sqlite_database, WELCOME)
        with sqlite_database.begin() as connection:
            connection.execute(t.environments.update().values(secret=secret))
        play(sqlite_database, [recorded(customer("7000"))])
        codes.append(kept(sqlite_database).code)
    assert codes[0] != codes[1]


def test_members_who_merge_keep_their_codes(database: Engine) -> None:
    ruled(database, WELCOME)
    play(database, [recorded(customer("7000")), recorded(customer("7001"))])
    gone, there = member_of(database), member_of(database, "7001")
    codes = {kept(database, member=member).code for member in (gone, there)}
    play(database, [merge(gone, there)])
    play(database, [recorded(uses("1", *codes))])
    with database.connect() as connection:
        rows = connection.execute(select(t.vouchers.c.member, t.vouchers.c.state)).all()
    assert [tuple(row) for row in rows] == [(there, "redeemed")] * 2
    sound(database)


USED = [
    # an order of 60.00 gives occasion to the voucher, another one uses it → what is left
    ([cancelled("1")], "redeemed"),
    ([cancelled("2")], "active"),
    ([cancelled("1"), cancelled("2")], "revoked"),
    ([cancelled("1"), cancelled("1", at=NOW, off=False), cancelled("2")], "active"),
    ([cancelled("1"), cancelled("2"), cancelled("2", at=NOW, off=False)], "redeemed"),
]


@pytest.mark.parametrize(("events", "state"), USED, ids=range(len(USED)))
def test_its_occasion_and_its_use_in_any_order(
    sqlite_database: Engine, events: list[Event], state: str
) -> None:
    for arrival in permutations(events):
        with sqlite_database.begin() as connection:
            for table in reversed(t.metadata.sorted_tables):
                connection.execute(table.delete())
        ruled(sqlite_database, BIG)
        play(sqlite_database, [recorded(placed("1", line(amount="60.00"))), recorded(shipped("1"))])
        code = kept(sqlite_database).code
        play(sqlite_database, [recorded(uses("2", code))])
        play(sqlite_database, [recorded(one) for one in arrival], sizes=[2, 1])
        assert kept(sqlite_database, code=code).state == state, arrival
        sound(sqlite_database)


def test_what_is_on_again_comes_back_only_within_the_limit(sqlite_database: Engine) -> None:
    ruled(sqlite_database, {**BIG, "limit_per_member": 1})

    def told(*events: Event) -> list[str]:
        play(sqlite_database, [recorded(one) for one in events])
        sound(sqlite_database)
        with sqlite_database.connect() as connection:
            query = select(t.vouchers.c.state).order_by(t.vouchers.c.id)
            return list(connection.execute(query).scalars())

    assert told(placed("1"), shipped("1")) == ["active"]
    assert told(cancelled("1")) == ["revoked"]
    assert told(placed("2"), shipped("2")) == ["revoked", "active"]
    assert told(cancelled("1", at=NOW, off=False)) == ["revoked", "active"]


@settings(max_examples=60)
@given(st.data())
def test_any_permutation_ends_with_the_same_vouchers(data: st.DataObject) -> None:
    """Two vouchers by hand, three orders that may use either, in any order, repeated, in batches of any size."""
    events: list[Event] = []
    for order in data.draw(st.lists(st.sampled_from("123"), min_size=1, max_size=3, unique=True)):
        codes = st.lists(st.sampled_from(["GIFT-ME", "GIFT-2"]), unique=True, min_size=1)
        events.append(uses(order, *data.draw(codes)))
        if data.draw(st.booleans()):
            events.append(uses(order, *data.draw(codes), version=NOW))
        events += data.draw(
            st.lists(st.sampled_from([cancelled(order), paid(order), paid(order, "p2", state=FAILED)]))
        )
    shuffled = data.draw(st.permutations(events))
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    left = []
    for arrival, steps in ((events, [1]), (shuffled, sizes)):
        with fresh(MAIN) as engine:
            play(engine, [recorded(customer("7000"))])
            member = member_of(engine)
            play(engine, [give(member), give(member, id=91, code="GIFT-2")])
            play(engine, [recorded(one, salt=str(number)) for number, one in enumerate(arrival)], sizes=steps)
            rows = [kept(engine, id=number) for number in (90, 91)]
            left.append([(row.state, row.linked, row.order_ref) for row in rows])
            assert audit(engine) == []
    assert left[0] == left[1]


# --- what the audit finds -------------------------------------------------------------------------------------------------

BY_HAND = "WHERE rule IS NULL"
CORRUPTIONS = [
    ("redeemed_at = NULL WHERE state = 'redeemed'", "is redeemed, and its redeemed_at is None"),
    ("expired_at = 5 WHERE state = 'active'", "is active, and its expired_at is 5"),
    (f"state = 'redeemed', redeemed_at = 5, decided = 0 {BY_HAND}", "is redeemed, and no order uses it"),
    ("state = 'active', redeemed_at = NULL WHERE rule = 'rule0'", "is active, and an order uses it"),
    (f"state = 'revoked', revoked_at = 5 {BY_HAND}", "is revoked, and its occasion was not taken back"),
    ("withdrawn = 1 WHERE rule = 'rule1'", "is active, and its occasion is no more"),
    (f"state = 'expired', expired_at = 5 {BY_HAND}", "has expired at 5, and ends at None"),
    ("linked = NULL WHERE rule = 'rule0'", "has heard nothing of order shop:9, which says open"),
    (f"linked = '[{{\"source\":\"shop\",\"ref\":\"77\"}}]' {BY_HAND}",
     "has heard open of order shop:77, which says nothing"),
    ("order_ref = '5' WHERE rule = 'rule0'", "names the order shop:5, and is used by shop:9"),
    ("percent = '50' WHERE rule = 'rule1'", "is not worth what its rule rule1 says"),
    ("occasion = 'points:150' WHERE rule = 'rule1'", "is for 150 points, one for each 100"),
    ("occasion = 'points:300' WHERE rule = 'rule1'", "its member earned 120"),
    ("occasion = 'tier:status:bronze' WHERE rule = 'rule2'", "is for the tier bronze of status"),
    ("occasion = 'order:shop:77' WHERE rule = 'rule3'", "is for the order shop:77, which is not there"),
    ("occasion = 'order:shop:9' WHERE rule = 'rule3'",
     "is for the order shop:9, which is not completed"),
    (f"rule = 'rule4', occasion = 'order:shop:9' {BY_HAND}",
     "has 2 vouchers of the rule rule4, which gives 1"),
]  # fmt: skip


def lived(engine: Engine) -> None:
    """Vouchers of each kind: a welcome that order 9 uses, 100 points, a tier and order 1, and one by hand."""
    limited = {"when": "order_completed", "limit_per_member": 1}
    ruled(engine, WELCOME, HUNDREDS, SILVER, BIG, limited, tier_groups=[STATUS])
    play(engine, [recorded(placed("1", line(amount="120.00"))), recorded(shipped("1"))])
    code = kept(engine, rule="rule0").code
    play(engine, [recorded(uses("9", code)), give(member_of(engine))])
    assert audit(engine) == []


@pytest.mark.parametrize(("change", "named"), CORRUPTIONS, ids=[row[1] for row in CORRUPTIONS])
def test_audit_names_each_corruption_of_a_voucher(sqlite_database: Engine, change: str, named: str) -> None:
    lived(sqlite_database)
    corrupt(sqlite_database, f"UPDATE vouchers SET {change}")
    found = audit(sqlite_database)
    assert any(named in violation for violation in found), found


def test_audit_names_an_occasion_that_has_two(sqlite_database: Engine) -> None:
    lived(sqlite_database)
    with sqlite_database.begin() as connection:
        connection.exec_driver_sql("DROP INDEX uq_vouchers_occasion")
    corrupt(
        sqlite_database, "UPDATE vouchers SET rule = 'rule0', occasion = 'x' WHERE rule IN ('rule1', 'rule2')"
    )
    assert "occasion x (environment 1): more than one voucher has it" in audit(sqlite_database)


# --- two doors at the very same moment ------------------------------------------------------------------------------------


def at_once(url: str, first: Command, second: Command) -> None:
    """Let one door decide the first command; before it commits, another one begins with the second."""
    one, other = open_database(url), open_database(url)
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work(one) as connection:
            Batcher(lambda: NOW)(connection, [first])
            late = pool.submit(play, other, [second])
            while not late.done() and not _waits(one):
                pass
        late.result(30)
    one.dispose()
    other.dispose()


def _waits(engine: Engine) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with engine.connect() as connection:
        return bool(connection.exec_driver_sql(query).scalar_one())


@pytest.mark.parametrize("turned", [False, True], ids=["the voucher first", "the order first"])
def test_a_voucher_and_its_order_at_once(
    postgres_database: Engine, empty_postgres_url: str, turned: bool
) -> None:
    member = known(postgres_database)
    both: list[Command] = [give(member), recorded(uses("1", customer="7001"))]
    at_once(empty_postgres_url, *(both[::-1] if turned else both))
    assert ends(postgres_database) == ("redeemed", "1")
    sound(postgres_database)


@pytest.mark.parametrize("turned", [False, True], ids=["the redemption first", "the order first"])
@pytest.mark.parametrize("asked", [{"order": ("shop", "1")}, {"payment": "p1"}], ids=["order", "payment"])
def test_a_redemption_and_its_orders_first_event_at_once(
    postgres_database: Engine, empty_postgres_url: str, asked: dict[str, Any], turned: bool
) -> None:
    """Neither has a row yet that the other could wait for."""
    member = rich(postgres_database)
    bought = recorded(placed("1", customer="7001"), paid("1", "p1"))
    both: list[Command] = [begin_redemption(member, **asked), bought]
    at_once(empty_postgres_url, *(both[::-1] if turned else both))
    assert state_of(postgres_database) == "applied"
    sound(postgres_database)
