"""The door: answers when durable, keeps neighbours apart, and lets several doors share one database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import Engine, func, select, text

from adapter.commands import Elapse, Once, RecordEvent
from adapter.engine.audit import audit
from adapter.engine.batch import Batcher
from adapter.engine.door import Door, DoorSettings
from adapter.engine.remote import DoorServer
from adapter.errors import Busy, DatabaseUnavailable, Unavailable
from adapter.events import Event, EventType
from adapter.outcome import EventState
from adapter.program.model import Program
from adapter.program.reasons import Reason
from adapter.store import tables as t
from adapter.store.database import open_database, unit_of_work
from tests.engine.remotely import attached
from tests.shop import (
    DAY,
    NOW,
    begin,
    configure,
    customer,
    end,
    enrol,
    paid,
    placed,
    play,
    recorded,
    refunded,
    shipped,
    snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAIN = Program.model_validate({"name": "main", "earning": {"rate": "1"}, "expiry": {"months": 12}})


def door(engine: Engine, **settings: float) -> Door:
    return Door(engine, lambda: NOW, DoorSettings(**settings))  # type: ignore[arg-type]  # - one type for all knobs


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(
            connection.execute(select(func.count()).select_from(t.metadata.tables[table])).scalar_one()
        )


def test_an_answer_means_durable(database: Engine, database_url: str) -> None:
    configure(database, MAIN)
    with door(database) as one:
        outcome = one.submit(recorded(placed(), shipped()))
        assert (outcome.state, outcome.duplicate) == (EventState.APPLIED, False)
        other = open_database(database_url)
        with other.connect() as connection:
            assert connection.execute(select(t.balances.c.available)).scalar_one() == 89
        other.dispose()


def test_a_repeat_is_answered_with_the_first_ones_event(database: Engine) -> None:
    configure(database, MAIN)
    with door(database) as one:
        first = one.submit(recorded(placed()))
        again = one.submit(recorded(placed()))
    assert again == msgspec.structs.replace(first, duplicate=True)
    assert count(database, "events") == 1


def test_the_same_webhook_twice_in_one_batch_is_one_event(database: Engine) -> None:
    configure(database, MAIN)
    first, again, other = play(
        database, [recorded(placed()), recorded(placed()), recorded(paid())], sizes=[3]
    )
    assert (first.duplicate, again.duplicate, other.duplicate) == (False, True, False)
    assert again.event == first.event
    assert count(database, "events") == 2


def test_many_threads_and_two_doors_never_double_anything(database: Engine, database_url: str) -> None:
    """Two doors on one database, 16 threads, every webhook sent to both: as if each had come once."""
    configure(database, MAIN)
    second = open_database(database_url)
    commands = [
        recorded(event)
        for number in range(12)
        for event in (
            placed(f"{number}", customer=f"{number % 3}"),
            shipped(f"{number}"),
            refunded(f"{number}"),
        )
    ]
    with (
        door(database, answer_timeout_s=30) as one,
        door(second, answer_timeout_s=30) as other,
        ThreadPoolExecutor(16) as pool,
    ):
        jobs = [(where, command) for command in commands for where in (one, other)]
        outcomes = list(pool.map(lambda job: job[0].submit(job[1]), jobs))
    second.dispose()
    assert sum(not outcome.duplicate for outcome in outcomes) == len(commands)
    assert count(database, "events") == len(commands)
    # floor(89 * 59.99 / 89.99) = 59 for each of twelve orders, four a member
    assert {value[1] for value in snapshot(database)["balances"].values()} == {4 * 59}
    assert audit(database) == []


def test_a_bad_command_never_harms_its_neighbours(database: Engine) -> None:
    """A command whose source is unknown cannot be decided: it is kept as rejected, the others take effect."""
    configure(database, MAIN)
    stranger = msgspec.structs.replace(recorded(placed("9")), source="nobody")
    one = door(database)
    futures = [one.offer(command) for command in (recorded(placed("1")), stranger, recorded(placed("2")))]
    with one:  # what waits before it opens is one batch
        states = [future.result(30).state for future in futures]
    assert states == [EventState.APPLIED, EventState.REJECTED, EventState.APPLIED]
    with database.connect() as connection:
        reason = connection.execute(
            select(t.events.c.reason).where(t.events.c.source == "nobody")
        ).scalar_one()
    assert reason.startswith("internal error: KeyError")
    assert count(database, "orders") == 2


def test_what_no_database_holds_is_kept_apart(database: Engine) -> None:
    """Half a surrogate pair breaks the writing of its whole batch; cut in two, it stands alone."""
    configure(database, MAIN)
    broken = msgspec.structs.replace(placed("9", customer="1"), order_name="\ud800")
    commands = [msgspec.structs.replace(recorded(placed("9")), events=(broken,)), recorded(customer("8"))]
    one = door(database)
    futures = [one.offer(command) for command in commands]
    with one:
        assert [future.result(30).state for future in futures] == [EventState.REJECTED, EventState.APPLIED]


def test_a_full_queue_says_busy_and_a_closed_door_unavailable(sqlite_database: Engine) -> None:
    configure(sqlite_database, MAIN)
    shut = door(sqlite_database, queue_max=1)
    shut.offer(recorded(placed()))
    with pytest.raises(Busy):
        shut.offer(recorded(shipped()))
    with shut:
        pass
    with pytest.raises(Unavailable):
        shut.submit(recorded(paid()))
    assert count(sqlite_database, "orders") == 1  # what had been taken in was finished


def test_no_answer_in_time_is_unavailable(sqlite_database: Engine) -> None:
    configure(sqlite_database, MAIN)
    shut = door(sqlite_database, answer_timeout_s=0.01)
    with pytest.raises(Unavailable):
        shut.submit(recorded(placed()))
    with shut:
        pass


def test_a_database_without_tables_is_not_a_lost_webhook(tmp_path: Path) -> None:
    """What cannot be kept is not promised: the shop is told to send it again."""
    engine = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    with door(engine, answer_timeout_s=30) as one, pytest.raises(DatabaseUnavailable):
        one.submit(recorded(placed()))
    engine.dispose()


def test_a_clawback_asks_for_other_lots_only_when_it_must(database: Engine) -> None:
    """Order 1's points were spent; its refund is taken from order 2's, in one batch with others."""
    configure(database, MAIN)
    play(database, [recorded(placed("1"), shipped("1")), recorded(placed("2"), shipped("2"))])
    with database.begin() as connection:
        connection.execute(text("UPDATE lots SET available = 0 WHERE order_ref = '1'"))
        connection.execute(text("UPDATE balances SET available = 89"))
    play(database, [recorded(refunded("1", amount="89.99")), recorded(placed("3"))], sizes=[2])
    with database.connect() as connection:
        balance = connection.execute(select(t.balances)).one()
    assert (balance.available, balance.owed, balance.pending) == (0, 0, 89)


def test_time_posts_and_expires(database: Engine) -> None:
    """Three hold days after shipping, and the end of twelve months after that, each at its very millisecond."""
    program = Program.model_validate(
        {
            "name": "main",
            "earning": {"rate": "1", "hold_days": 3},
            "expiry": {"months": 12},
        }
    )
    configure(database, program)
    play(database, [recorded(placed(at=NOW - 9), shipped(at=NOW))], now=NOW)
    with database.connect() as connection:
        member = connection.execute(select(t.balances.c.member)).scalar_one()
    lapse = Elapse(env=1, member=member, definition=1)
    ends = NOW + 3 * DAY + 365 * DAY  # no 29 February between
    for now, pending, available in (
        (NOW + 3 * DAY - 1, 89, 0),
        (NOW + 3 * DAY, 0, 89),
        (ends - 1, 0, 89),
        (ends, 0, 0),
        (ends + DAY, 0, 0),
    ):
        play(database, [lapse], now=now)
        with database.connect() as connection:
            row = connection.execute(select(t.balances)).one()
        assert (row.pending, row.available) == (pending, available), now
    with database.connect() as connection:
        types = list(connection.execute(select(t.messages.c.type).order_by(t.messages.c.id)).scalars())
    assert types.count("points.expired") == 1
    assert types.count("balance.updated") == 3
    assert audit(database) == []


def test_time_has_nothing_to_do_with_a_stranger(database: Engine) -> None:
    configure(database, MAIN)
    play(database, [Elapse(env=1, member=5, definition=1)])
    assert count(database, "transfers") == 0


# --- people -----------------------------------------------------------------------------------------------------------


def program(**members: bool) -> Program:
    return Program.model_validate({"name": "main", "earning": {"rate": "1"}, "members": members})


def test_a_guest_waits_until_the_shop_names_a_customer(database: Engine) -> None:
    configure(database, MAIN)
    guest = placed(customer=None, email="ada@example.com")
    parked, waiting, named = play(
        database,
        [
            recorded(guest),
            recorded(shipped()),
            recorded(placed(customer="7000", version=NOW)),
        ],
    )
    assert (parked.state, parked.reason) == (EventState.PARKED, Reason.UNKNOWN_MEMBER)
    assert (waiting.state, named.state) == (EventState.PARKED, EventState.APPLIED)
    assert snapshot(database)["balances"] == {(("shop:7000",), 1): (0, 89, 0, 0, 89)}
    with database.connect() as connection:
        assert set(connection.execute(select(t.events.c.state)).scalars()) == {"applied"}


@pytest.mark.parametrize("first", ["order", "customer"])
def test_a_guest_is_found_by_address_where_the_program_says_so(database: Engine, first: str) -> None:
    configure(database, program(match_email=True))
    guest, known = (
        recorded(placed(customer=None, email="ada@example.com"), shipped()),
        recorded(
            customer("7000", email="ada@example.com"),
        ),
    )
    play(database, [guest, known] if first == "order" else [known, guest])
    assert snapshot(database)["balances"] == {(("shop:7000",), 1): (0, 89, 0, 0, 89)}


def test_one_address_is_one_member_only_where_the_program_says_so(database: Engine) -> None:
    configure(database, program(match_email=True))
    play(
        database,
        [
            recorded(placed("1", customer="7000", email="ada@example.com"), shipped("1")),
            recorded(placed("2", customer="7001", email="ada@example.com"), shipped("2")),
        ],
    )
    assert snapshot(database)["balances"] == {(("shop:7000", "shop:7001"), 1): (0, 178, 0, 0, 178)}


def test_without_enrolment_an_order_waits_with_the_reason(database: Engine) -> None:
    configure(database, program(auto_enrol=False))
    outcome, person = play(database, [recorded(placed()), recorded(customer())])
    assert (outcome.state, outcome.reason) == (EventState.PARKED, Reason.NOT_ENROLLED)
    assert (person.state, person.reason) == (EventState.PARKED, Reason.NOT_ENROLLED)


def test_an_order_that_changes_hands_takes_its_points_along(database: Engine) -> None:
    configure(database, MAIN)
    play(database, [recorded(placed(), shipped()), recorded(placed(customer="7001", version=NOW))])
    assert snapshot(database)["balances"] == {(("shop:7001",), 1): (0, 89, 0, 0, 89)}
    assert audit(database) == []


def test_a_deleted_member_keeps_points_and_an_erased_one_leaves_no_trace(database: Engine) -> None:
    configure(database, MAIN)
    gone = customer("7000", type=EventType.CUSTOMER_DELETED, at=NOW)
    forgotten = customer("7000", type=EventType.CUSTOMER_REDACTED, at=NOW)
    play(
        database,
        [recorded(placed(email="ada@example.com"), shipped()), recorded(gone), recorded(gone, salt="2")],
    )
    with database.connect() as connection:
        assert connection.execute(select(t.members.c.state)).scalar_one() == "deleted"
    play(database, [recorded(forgotten), recorded(refunded())])
    with database.connect() as connection:
        assert connection.execute(select(t.members.c.state)).scalar_one() == "erased"
        assert connection.execute(select(t.balances.c.available)).scalar_one() == 59
        types = list(connection.execute(select(t.messages.c.type).order_by(t.messages.c.id)).scalars())
    assert (count(database, "people"), count(database, "identities")) == (0, 0)
    assert types.count("member.deleted") == 2
    assert audit(database) == []


def test_what_is_learned_of_a_person_is_told_once(database: Engine) -> None:
    configure(database, MAIN)
    play(
        database,
        [
            recorded(customer(email="old@example.com", name="Ada", at=NOW - 3)),
            recorded(customer(email="new@example.com", at=NOW - 1, type=EventType.CUSTOMER_UPDATED)),
            recorded(customer(email="late@example.com", at=NOW - 2, type=EventType.CUSTOMER_UPDATED)),
        ],
    )
    with database.connect() as connection:
        person = connection.execute(select(t.people)).one()
        types = list(connection.execute(select(t.messages.c.type).order_by(t.messages.c.id)).scalars())
    assert (person.email, person.name) == ("new@example.com", "Ada")
    assert types == ["member.created", "member.updated"]


# --- replays of events, and other currencies ---------------------------------------------------------------------------


def test_a_rejected_event_can_be_taken_in_again(database: Engine) -> None:
    configure(database, MAIN)
    refused = msgspec.structs.replace(
        recorded(placed(), shipped()), events=(), refusal=("rejected", "not understood")
    )
    (first,) = play(database, [refused])
    assert first.event is not None
    fixed = msgspec.structs.replace(recorded(placed(), shipped()), event_id=first.event)
    (again,) = play(database, [fixed])
    assert (again.state, again.event, again.duplicate) == (EventState.APPLIED, first.event, False)
    assert count(database, "events") == 1
    assert snapshot(database)["balances"] == {(("shop:7000",), 1): (0, 89, 0, 0, 89)}


def test_a_refund_in_another_currency_is_set_aside(database: Engine) -> None:
    configure(database, MAIN)
    _, outcome = play(database, [recorded(placed(), shipped()), recorded(refunded(currency="USD"))])
    assert (outcome.state, outcome.reason) == (EventState.PARKED, Reason.REFUND_CURRENCY)
    assert snapshot(database)["balances"] == {(("shop:7000",), 1): (0, 89, 0, 0, 89)}


@pytest.mark.parametrize(("live", "points"), [(True, 0), (False, 89)])
def test_a_test_order_earns_only_in_the_test_environment(
    database: Engine, *, live: bool, points: int
) -> None:
    configure(database, MAIN, live=live)
    play(database, [recorded(placed(test=True), shipped())])
    assert sum(value[1] for value in snapshot(database)["balances"].values()) == points


# --- the door behind a socket -------------------------------------------------------------------------------------------


@contextmanager
def served(engine: Engine, path: Path) -> Iterator[None]:
    with door(engine) as one:
        server = DoorServer(one, path)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield
        finally:
            server.close()
            thread.join()


def test_a_door_in_another_process_is_the_same_call(sqlite_database: Engine, tmp_path: Path) -> None:
    configure(sqlite_database, MAIN)
    path = tmp_path / "door"
    remote = attached(path)
    assert not remote.ready()
    with pytest.raises(Unavailable):
        remote.submit(recorded(placed()))
    with served(sqlite_database, path):
        assert remote.ready()
        commands: list[RecordEvent] = [
            recorded(placed(f"{number}"), shipped(f"{number}")) for number in range(40)
        ]
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(remote.submit, commands))
        assert {outcome.state for outcome in outcomes} == {"applied"}
        assert remote.waiting == 0
    remote.close()
    assert count(sqlite_database, "events") == 40


def test_a_restarted_door_is_found_again(sqlite_database: Engine, tmp_path: Path) -> None:
    configure(sqlite_database, MAIN)
    path = tmp_path / "door"
    remote = attached(path)
    with served(sqlite_database, path):
        remote.submit(recorded(placed()))
    remote.close()
    with served(sqlite_database, path):
        outcome = None
        while outcome is None:
            try:
                outcome = remote.submit(recorded(shipped()))
            except Unavailable:  # the old connection's end may be noticed only now
                continue
        assert outcome.state == "applied"
    remote.close()


def test_busy_crosses_the_socket(sqlite_database: Engine, tmp_path: Path) -> None:
    configure(sqlite_database, MAIN)
    full = door(sqlite_database, queue_max=0)
    server = DoorServer(full, tmp_path / "door")
    threading.Thread(target=server.serve, daemon=True).start()
    remote = attached(tmp_path / "door")
    with pytest.raises(Busy):
        remote.submit(recorded(placed()))
    with pytest.raises(Busy):
        attached(tmp_path / "door", in_flight_max=0).submit(recorded(placed()))
    remote.close()
    server.close()


# --- two doors at the very same moment -----------------------------------------------------------------------------------


def wait_until_blocked(engine: Engine) -> None:
    """Return once another connection waits for a lock; SQLite's waits before it has read anything."""
    while engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            if connection.exec_driver_sql(query).scalar_one():
                return


@pytest.mark.parametrize(
    "second", [shipped("1"), placed("2"), customer("7000", name="Ada"), placed("1", version=NOW)]
)
def test_what_two_doors_begin_at_once_meets_in_one_book(
    database: Engine,
    database_url: str,
    second: Event,
) -> None:
    """One door has decided a first order and not committed; the other begins the same order, or the same member."""
    configure(database, MAIN)
    other = open_database(database_url)
    batcher = Batcher(lambda: NOW)
    with door(other, answer_timeout_s=30) as late:
        with unit_of_work(database) as connection:
            batcher(connection, [recorded(placed("1"))])
            future = late.offer(recorded(second))
            wait_until_blocked(database)
        assert future.result(30).state == "applied"
    other.dispose()
    in_turn = snapshot(database)
    with database.begin() as connection:
        for table in reversed(t.metadata.sorted_tables):
            connection.execute(table.delete())
    configure(database, MAIN)
    play(database, [recorded(placed("1")), recorded(second)])
    assert in_turn == snapshot(database)
    assert audit(database) == []


def test_a_repeat_at_another_door_waits_and_is_answered_alike(database: Engine, database_url: str) -> None:
    """Once the first door has cancelled it there is nothing left to cancel; the repeat is no refusal all the same."""
    configure(database, MAIN)
    key = sha256(b"cancel it").digest()
    once = Once(key=key, request=key, ends_at=NOW + DAY)
    cancel = end(5, 100, "cancelled", once=once)
    play(database, [enrol(5), begin(5, 100, "credit", 50)])
    other = open_database(database_url)
    with door(other, answer_timeout_s=30) as late:
        with unit_of_work(database) as connection:
            (first,) = Batcher(lambda: NOW)(connection, [cancel])
            future = late.offer(cancel)
            wait_until_blocked(database)
        assert first.error is None
        assert future.result(30) == msgspec.structs.replace(first, duplicate=True)
    other.dispose()
    assert audit(database) == []
