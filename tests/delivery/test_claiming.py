"""Leases, fences, order, concurrency and rate: who may send what, and when."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DataError

from adapter.delivery import claim, record, switching
from adapter.delivery.answer import Answer
from adapter.delivery.sender import Sender
from adapter.delivery.settings import DeliverySettings
from adapter.errors import ConfigurationError, DatabaseUnavailable
from adapter.ids import show
from adapter.store.configuration import CatalogCache
from adapter.store.database import in_unit_of_work, unit_of_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from tests.delivery.world import Handler, Receiver, Request, World

LONG_S = 60  # what takes this long, on the slowest machine, never comes
LEASE_MS = 20_000  # a timeout of 5 s and a margin of 15 s


def wait_until_blocked(engine: Engine, enough: Callable[[], bool]) -> None:
    """Return once a connection waits for a lock, or what it was to wait with is done."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while not enough():
        with engine.connect() as connection:
            if connection.exec_driver_sql(query).scalar_one():
                return


def claim_all(world: World, endpoint: int) -> list[Any]:
    """Claim as a dispatcher does that then crashes before it sends."""
    with unit_of_work(world.engine) as connection:
        rows = claim.candidates(connection, {(1, endpoint): 100}, world.now)
        return claim.claim(connection, rows, {(1, endpoint): world.now + LEASE_MS}, world.now)


def test_a_crash_after_the_claim_is_mended_when_the_lease_runs_out(world: World, receiver: Receiver) -> None:
    endpoint = world.endpoint(receiver.url)
    world.message(times=3)
    assert len(claim_all(world, endpoint)) == 3
    other = world.dispatcher()
    assert other.run_once() == 0
    world.now += LEASE_MS - 1
    assert other.run_once() == 0
    world.now += 1
    assert other.run_once() == 3
    assert [(row.state, row.fence, row.attempts) for row in world.deliveries()] == [("delivered", 2, 1)] * 3


def test_a_stalled_dispatcher_records_too_late_and_is_dropped(world: World, receiver: Receiver) -> None:
    released = threading.Event()
    arrived = threading.Event()

    def stall_first(handler: Handler, request: Request) -> None:
        if len(receiver.requests) == 1:
            arrived.set()
            released.wait(LONG_S)
            handler.answer(500)
        else:
            handler.answer(200)

    receiver.respond = stall_first
    world.endpoint(receiver.url)
    world.message()
    stalled, quick = world.dispatcher(), world.dispatcher()
    thread = threading.Thread(target=stalled.run_once)
    thread.start()
    assert arrived.wait(LONG_S)
    world.now += LEASE_MS
    assert quick.run_once() == 1
    released.set()
    thread.join()
    assert stalled.counts["late"] == 1
    (delivery,) = world.deliveries()
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 200)
    assert len(world.attempts()) == 1
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_two_dispatchers_at_once_send_each_delivery_once(world: World, receiver: Receiver) -> None:
    world.endpoint(receiver.url)
    world.message(times=120)
    dispatchers = [world.dispatcher(), world.dispatcher()]
    threads = [threading.Thread(target=dispatcher.run_once) for dispatcher in dispatchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert (len(ids), len(set(ids))) == (120, 120)
    assert set(world.states()) == {"delivered"}
    assert sum(dispatcher.counts["delivered"] for dispatcher in dispatchers) == 120


def test_a_disabled_endpoint_is_not_claimed(small_world: World, receiver: Receiver) -> None:
    endpoint = small_world.endpoint(receiver.url)
    small_world.message()
    with unit_of_work(small_world.engine) as connection:
        switching.disable(connection, 1, endpoint, now=small_world.now)
    assert small_world.states() == ["held"]
    assert small_world.dispatcher().run_once() == 0
    with unit_of_work(small_world.engine) as connection:
        assert switching.enable(connection, 1, endpoint, now=small_world.now) == 1
    assert small_world.dispatcher().run_once() == 1


def most_at_once(receiver: Receiver, company: int) -> Callable[[], int]:
    """Let the receiver count how many requests it holds at the same moment; each waits for `company` of them."""
    lock, now, most = threading.Lock(), [0], [0]
    together = threading.Barrier(company)

    def respond(handler: Handler, request: Request) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait(LONG_S)
        with lock:
            now[0] -= 1
        handler.answer(200)

    receiver.respond = respond
    return lambda: most[0]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_endpoint_never_has_more_in_flight_than_it_allows(
    small_world: World, receiver: Receiver, concurrency: int
) -> None:
    most = most_at_once(receiver, company=1)
    small_world.endpoint(receiver.url, concurrency=concurrency)
    small_world.message(times=30)
    assert small_world.dispatcher().run_once() == 30
    assert most() <= concurrency


def test_an_endpoint_has_as_many_in_flight_as_it_allows(small_world: World, receiver: Receiver) -> None:
    most = most_at_once(receiver, company=2)
    small_world.endpoint(receiver.url, concurrency=2)
    small_world.message(times=30)
    assert small_world.dispatcher().run_once() == 30
    assert most() == 2


def test_a_rate_limit_holds_in_every_second(small_world: World, receiver: Receiver) -> None:
    seconds = [0.0]
    small_world.endpoint(receiver.url, rate_per_s=10, concurrency=50)
    small_world.message(times=25)
    dispatcher = small_world.dispatcher(monotonic=lambda: seconds[0])
    for later, sent in ((0.0, 10), (0.5, 0), (0.499, 0), (0.001, 10), (0.999, 0), (0.001, 5)):
        seconds[0] += later
        assert dispatcher.run_once() == sent
    assert len(receiver.requests) == 25


def test_an_ordered_endpoint_hears_of_each_member_in_order(world: World, receiver: Receiver) -> None:
    receiver.answers(500, 200)
    world.endpoint(receiver.url, ordered=True, concurrency=8)
    first = world.message(member=1)
    rest = world.message(member=1, times=3)
    (other,) = world.message(member=2)
    dispatcher = world.dispatcher()
    assert dispatcher.run_once() == 2  # the member's first, which fails, and the other member's
    world.now += 4_999
    assert dispatcher.run_once() == 0
    world.now += 2  # the first is due again; its followers wait until it is done
    assert dispatcher.run_once() == 4
    heard = [request.headers["webhook-id"] for request in receiver.requests]
    assert heard[0] in (show("msg", first[0]), show("msg", other))
    mine = [each for each in heard if each != show("msg", other)]
    assert mine == [show("msg", each) for each in [first[0], *first, *rest]]
    assert set(world.states()) == {"delivered"}


def test_a_dead_letter_lets_its_followers_go(world: World, receiver: Receiver) -> None:
    receiver.answers(500, 500, 200)
    world.endpoint(receiver.url, ordered=True, schedule=[5])
    world.message(member=1, times=3)
    dispatcher = world.dispatcher()
    dispatcher.run_once()
    assert world.states() == ["due", "due", "due"]
    world.now += 5_000
    dispatcher.run_once()
    assert world.states() == ["dead", "delivered", "delivered"]


def test_whoever_is_put_off_while_it_is_let_go_goes(world: World, receiver: Receiver) -> None:
    """One dispatcher records a delivery while another one, that cannot see it yet, puts off the delivery after it."""
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    number = world.endpoint(receiver.url, ordered=True)
    first, second = world.message(member=7, times=2)
    with unit_of_work(world.engine) as connection:
        rows = claim.candidates(connection, {(1, number): 1}, world.now)
        (claimed,) = claim.claim(connection, rows, {(1, number): world.now + LEASE_MS}, world.now)
    endpoint = CatalogCache(world.engine).get().endpoints[1, number]
    attempt = record.Attempt(claimed, endpoint, world.now, Answer(200, 1))

    def note(connection: Connection) -> Any:
        return record.record(connection, [attempt], DeliverySettings(), now=world.now, random=lambda: 0.0)

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work(world.engine) as other:
            (row,) = claim.candidates(other, {(1, number): 1}, world.now)
            assert (claimed.message, row.message) == (first, second)
            assert claim.put_off_blocked(other, [row], world.now)
            noted = pool.submit(in_unit_of_work, world.engine, note)
            wait_until_blocked(world.engine, noted.done)
        assert noted.result(LONG_S).delivered == 1
    assert [row.next_attempt_at for row in world.deliveries(state="due")] == [world.now]


def test_what_is_not_ordered_does_not_wait(small_world: World, receiver: Receiver) -> None:
    receiver.answers(500, 200)
    small_world.endpoint(receiver.url, ordered=False, concurrency=1)
    small_world.message(member=1, times=3)
    small_world.dispatcher().run_once()
    assert sorted(small_world.states()) == ["delivered", "delivered", "due"]


@pytest.mark.parametrize("name", ["lease_margin_s", "workers", "slow_workers", "poll_s", "replay_chunk"])
def test_settings_that_cannot_work_are_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"delivery.{name} must be at least") as refused:
        DeliverySettings(**{name: 0})  # type: ignore[arg-type]  # - names come from the table
    assert refused.value.field == f"delivery.{name}"


@pytest.mark.parametrize("timeout_s", [1, 5, 30])
def test_a_lease_is_always_longer_than_its_request(timeout_s: int) -> None:
    assert DeliverySettings(lease_margin_s=1).lease_ms(timeout_s) > timeout_s * 1000


def test_the_loop_survives_a_database_that_is_away(
    small_world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_world.endpoint(receiver.url)
    small_world.message()
    dispatcher = small_world.dispatcher()
    real, away = in_unit_of_work, [True, True]

    def sometimes(*args: Any, **options: Any) -> Any:
        if away:
            away.pop()
            raise DatabaseUnavailable("gone")
        return real(*args, **options)

    monkeypatch.setattr("adapter.delivery.dispatcher.in_unit_of_work", sometimes)
    assert [dispatcher.run_once() for _ in range(3)] == [0, 0, 1]
    assert small_world.states() == ["delivered"]


def test_stopping_finishes_and_records_what_is_in_flight(world: World, receiver: Receiver) -> None:
    arrived, released = threading.Event(), threading.Event()

    def respond(handler: Handler, request: Request) -> None:
        arrived.set()
        released.wait(LONG_S)
        handler.answer(200)

    receiver.respond = respond
    world.endpoint(receiver.url)
    stop = threading.Event()
    dispatcher = world.dispatcher(poll_s=2 * LONG_S)
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    world.message()
    dispatcher.wake()  # or it would look only after the test has given up
    assert arrived.wait(LONG_S)
    stop.set()
    dispatcher.wake()
    released.set()
    thread.join(LONG_S)
    assert not thread.is_alive()
    assert world.states() == ["delivered"]


def test_an_answer_that_no_database_takes_does_not_hold_up_the_others(
    small_world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_world.endpoint(receiver.url)
    small_world.message(times=3)
    poisoned = small_world.deliveries()[1].id
    real = record.record

    def refuses_one(connection: Any, attempts: Any, *args: Any, **options: Any) -> Any:
        if any(attempt.claimed.id == poisoned for attempt in attempts):
            raise DataError("INSERT", {}, ValueError("out of range"))
        return real(connection, attempts, *args, **options)

    monkeypatch.setattr("adapter.delivery.dispatcher.record", refuses_one)
    stop = threading.Event()
    dispatcher = small_world.dispatcher(poll_s=0.01)
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    give_up = time.monotonic() + LONG_S
    while dispatcher.counts["delivered"] < 2 and time.monotonic() < give_up:
        time.sleep(0.01)
    stop.set()
    thread.join()
    assert small_world.states() == ["delivered", "claimed", "delivered"]  # its lease runs out by itself


def test_a_worker_survives_what_nobody_thought_of(
    small_world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_world.endpoint(receiver.url)
    small_world.message()

    def surprise(*_args: Any) -> None:
        raise KeyError("what nobody thought of")

    monkeypatch.setattr(Sender, "send", surprise)
    small_world.dispatcher().run_once()
    assert small_world.deliveries()[0].last_error == "internal: KeyError"


def test_stopping_without_a_database_leaves_the_rest_to_the_lease(
    small_world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = small_world.endpoint(receiver.url)
    small_world.message()

    def away(*_args: Any, **_options: Any) -> None:
        raise DatabaseUnavailable("gone")

    dispatcher = small_world.dispatcher()
    with monkeypatch.context() as patched:

        def respond(handler: Handler, request: Request) -> None:
            patched.setattr("adapter.delivery.dispatcher.in_unit_of_work", away)
            handler.answer(200)

        receiver.respond = respond
        stop = threading.Event()
        thread = threading.Thread(target=dispatcher.run, args=(stop,))
        thread.start()
        while not receiver.requests:
            time.sleep(0.01)
        stop.set()
        dispatcher.wake()
        thread.join()
    assert small_world.states() == ["claimed"]
    receiver.respond = lambda handler, _request: handler.answer(200)
    small_world.now += LEASE_MS
    assert small_world.dispatcher().run_once() == 1
    assert [row.state for row in small_world.deliveries(endpoint=endpoint)] == ["delivered"]


def test_whom_to_wait_for_is_found_in_tables_that_postgresql_never_looked_at(
    postgres_database: Engine,
) -> None:
    """Without statistics it takes tables for empty; and then each of these went through all deliveries there are."""
    asked = 20
    with postgres_database.connect() as connection:
        for name in ("messages", "deliveries"):  # temporary ones, which nothing ever looks at by itself
            connection.execute(text(f"CREATE TEMP TABLE {name} (LIKE {name} INCLUDING ALL)"))
        connection.execute(text(
            "INSERT INTO messages (env, id, type, member, created_at, body)"
            " SELECT 1, n, 'balance.updated', n % 10, 0, '' FROM generate_series(1, 600) AS n"
        ))  # fmt: skip
        connection.execute(text(
            "INSERT INTO deliveries (env, id, endpoint, message, member, state, attempts, step, next_attempt_at, fence,"
            " created_at, updated_at) SELECT 1, id, 1, id, member, 'due', 0, 0, 0, 0, 0, 0 FROM messages"
        ))  # fmt: skip
        rows = connection.execute(
            text("SELECT * FROM deliveries ORDER BY id DESC LIMIT :n"), {"n": asked}
        ).all()

        sent: list[tuple[str, Any]] = []
        event.listen(
            connection,
            "before_cursor_execute",
            lambda _c, _cursor, sql, values, *_more: sent.append((sql, values)),
        )
        assert len(claim.put_off_blocked(connection, rows, 1)) == asked
        question, values = sent[0]
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {question}", values)
        (read,) = [one["Plan"]["Local Hit Blocks"] for one in plan.scalar_one()]
        connection.rollback()
    assert read < 20 * asked


def test_each_endpoint_belongs_to_one_of_several_dispatchers(world: World, receiver: Receiver) -> None:
    endpoints = [world.endpoint(f"{receiver.url}/{number}") for number in range(5)]
    world.message(times=2)
    for which in range(2):
        world.dispatcher(part=(which, 2)).run_once()
        mine = {row.endpoint for row in world.deliveries(state="delivered")}
        assert mine == {endpoint for endpoint in endpoints if endpoint % 2 <= which}


def test_a_dispatcher_without_endpoints_asks_for_no_deliveries_however_often_it_is_woken(
    world: World, receiver: Receiver
) -> None:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    endpoint = world.endpoint(receiver.url)
    others, mine = (
        world.dispatcher(part=(part % 2, 2), housekeeping_s=3600) for part in (endpoint + 1, endpoint)
    )
    world.message()
    event.listen(world.engine, "before_cursor_execute", note)
    assert others.run_once() == 0
    assert not [one for one in asked if "FROM deliveries" in one]
    assert mine.run_once() == 1
    assert [one for one in asked if "FROM deliveries" in one]
