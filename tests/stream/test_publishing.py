"""Messages out: each once, in order, whatever dies in between; and the book does not wait for any of it."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, event, func, insert, select

from adapter import ids
from adapter.engine.batch import Batcher
from adapter.engine.door import Door
from adapter.engine.retention import prune
from adapter.errors import BrokerUnavailable
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import in_unit_of_work, open_database
from adapter.store.retention import RetentionSettings
from adapter.stream import outbox
from adapter.stream.nats import NatsBroker
from adapter.stream.publisher import LEASE_MS, Publisher
from tests.shop import DAY, NOW, configure, paid, placed, recorded, shipped
from tests.stream.conftest import Streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.stream.broker import Broker, Parcel
    from tests.stream.servers import OwnServer

LONG_S = 60.0
"""Nobody waits as long as this: whoever is not woken fails by it."""
MAIN = Program.model_validate({"name": "main", "earning": {"rate": "1"}})


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards is done."""


class Dying:
    """A broker whose publisher is killed once the broker has everything and before it is marked."""

    def __init__(self, broker: NatsBroker) -> None:
        self._broker = broker

    def publish(self, stream: str, parcels: Sequence[Parcel]) -> int:
        self._broker.publish(stream, parcels)
        raise Killed


def begun(engine: Engine) -> None:
    configure(engine, MAIN)
    in_unit_of_work(engine, outbox.begin)


def book(engine: Engine, *orders: int) -> None:
    """Place and ship orders, each by a customer of its own."""
    with Door(engine, lambda: NOW) as door:
        commands = [
            recorded(event)
            for one in orders
            for event in (placed(f"{one}", customer=f"{one}"), shipped(f"{one}"))
        ]
        for future in [door.offer(command) for command in commands]:
            future.result(60)


def publisher(
    engine: Engine,
    broker: Broker | Dying,
    streams: Streams,
    holder: str = "one",
    now: int = NOW,
    **changed: Any,
) -> Publisher:
    taken: Any = broker  # `Dying` can only publish
    settings = streams.settings(publish_batch=7, **changed)
    return Publisher(engine, CatalogCache(engine), taken, lambda: now, settings, holder=holder)


def drain(one: Publisher) -> None:
    while one.turn():
        pass


def messages(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(t.messages).order_by(t.messages.c.id)))


def waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(t.publications)).scalar_one())


def check_published(engine: Engine, streams: Streams) -> None:
    """Everything that was written is in the stream: once, in the order of ids, to the byte."""
    held = streams.held()
    written = messages(engine)
    assert [one.headers["webhook-id"] for one in held] == [ids.show("msg", row.id) for row in written]
    assert [one.body for one in held] == [row.body for row in written]
    assert waiting(engine) == 0


def test_a_message_is_published_as_a_webhook_carries_it(
    database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    begun(database)
    book(database, 1)
    drain(publisher(database, broker, streams))
    check_published(database, streams)
    rows = [row for row in messages(database) if row.type == "balance.updated"]
    held = [one for one in streams.held() if one.subject == f"{streams.subject}.acme.test.balance.updated"]
    assert [one.headers["loyalty-sequence"] for one in held] == [str(row.sequence) for row in rows]
    assert {one.headers["loyalty-member"] for one in held} == {ids.show("mem", rows[0].member)}
    assert held[0].headers["webhook-timestamp"] == str(NOW // 1000)


def test_all_types_are_published_though_no_endpoint_asks_for_them(
    sqlite_database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    begun(sqlite_database)
    with sqlite_database.begin() as connection:
        connection.execute(t.endpoints.delete())
        connection.execute(t.configuration.update().values(version=99))
    book(sqlite_database, 1)
    drain(publisher(sqlite_database, broker, streams))
    types = {one.subject.removeprefix(f"{streams.subject}.acme.test.") for one in streams.held()}
    assert {"balance.updated", "transaction.pending", "transaction.completed", "member.created"} <= types


def test_a_publisher_killed_before_its_mark_publishes_nothing_twice(
    database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    begun(database)
    book(database, *range(10))
    one = publisher(database, broker, streams)
    assert one.turn()
    with pytest.raises(Killed):
        publisher(database, Dying(broker), streams).turn()
    assert not publisher(database, broker, streams, "two").turn()  # the lease of the dead still holds
    assert waiting(database) > 0
    drain(publisher(database, broker, streams))  # but not for whoever takes its place
    check_published(database, streams)


def test_another_one_takes_over_when_the_lease_of_the_dead_is_over(
    sqlite_database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    begun(sqlite_database)
    book(sqlite_database, *range(10))
    with pytest.raises(Killed):
        publisher(sqlite_database, Dying(broker), streams).turn()
    assert not publisher(sqlite_database, broker, streams, "two").turn()
    drain(publisher(sqlite_database, broker, streams, "two", NOW + LEASE_MS))
    check_published(sqlite_database, streams)


def test_two_publishers_at_once_publish_everything_once(
    database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    """Each believes that the other's lease is over, as after a long sleep of its machine."""
    begun(database)
    book(database, *range(20))
    other = NatsBroker(streams.settings())
    later = [NOW]

    def never_waits() -> int:
        later[0] += 2 * LEASE_MS
        return later[0]

    def run(one: NatsBroker) -> None:
        mine = Publisher(
            database,
            CatalogCache(database),
            one,
            never_waits,
            streams.settings(publish_batch=3),
            holder=str(id(one)),
        )
        while waiting(database):
            try:
                mine.turn()
            except (
                BrokerUnavailable
            ):  # its batch began with what the other one had just published, and went on after it
                continue

    threads = [threading.Thread(target=run, args=(one,)) for one in (broker, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.close()
    check_published(database, streams)


def test_a_smaller_id_that_commits_later_is_not_skipped(
    postgres_database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    """Two doors: the one that drew its ids first commits last."""
    begun(postgres_database)
    slow = open_database(postgres_database.url.render_as_string(hide_password=False))
    with slow.connect() as connection, connection.begin():
        write(connection, 1000)
        with postgres_database.begin() as quick:
            write(quick, 2000)
        one = publisher(postgres_database, broker, streams)
        drain(one)
    drain(one)
    slow.dispose()
    assert [held.headers["webhook-id"] for held in streams.held()] == [
        ids.show("msg", 2000),
        ids.show("msg", 1000),
    ]
    assert waiting(postgres_database) == 0


def write(connection: Any, number: int) -> None:
    row = {
        "env": 1,
        "id": number,
        "type": "tier.updated",
        "created_at": NOW,
        "body": b"{}",
        "format": "native",
    }
    connection.execute(insert(t.messages).values(row))
    connection.execute(insert(t.publications).values(env=1, message=number))


def test_the_book_goes_on_without_the_broker_and_catches_up(database: Engine, own_server: OwnServer) -> None:
    streams = Streams(own_server.url, "AWAY")
    broker = NatsBroker(streams.settings())
    begun(database)
    one = publisher(database, broker, streams)
    book(database, 1)
    drain(one)
    own_server.stop()
    book(database, 2, 3)
    with pytest.raises(BrokerUnavailable):
        one.turn()
    book(database, 4)
    assert waiting(database) > 0
    own_server.start()
    drain(one)
    check_published(database, streams)
    broker.close()


@pytest.mark.parametrize("size", [1, 40])
def test_marking_costs_one_statement_a_batch_and_nothing_without_a_stream(
    database: Engine, size: int
) -> None:
    configure(database, MAIN)
    plain = statements(database, 0, size)
    in_unit_of_work(database, outbox.begin)
    marking = statements(database, 1000, size)
    assert [one for one in plain if "publications" in one] == []
    assert [one.split(" (")[0] for one in marking if "publications" in one] == ["INSERT INTO publications"]


def statements(engine: Engine, first: int, size: int) -> list[str]:
    """Return the statements of one batch with so many new orders, after one that warmed up what is kept."""
    batch = Batcher(lambda: NOW)
    heard: list[str] = []

    def hear(*told: Any) -> None:
        heard.append(told[2])

    for begin in (first, first + 500):
        commands = [
            recorded(one)
            for order in range(begin, begin + size)
            for one in (placed(f"{order}"), paid(f"{order}"))
        ]
        heard.clear()
        event.listen(engine, "before_cursor_execute", hear)
        in_unit_of_work(engine, partial(batch, commands=commands))
        event.remove(engine, "before_cursor_execute", hear)
    return heard


def test_what_is_turned_off_marks_nothing_and_forgets(sqlite_database: Engine) -> None:
    begun(sqlite_database)
    book(sqlite_database, 1)
    waited = waiting(sqlite_database)
    assert in_unit_of_work(sqlite_database, outbox.end) == waited > 0
    book(sqlite_database, 2)
    assert waiting(sqlite_database) == 0


def test_what_the_stream_lacks_is_kept_however_old_it_is(
    database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    begun(database)
    with database.begin() as connection:
        connection.execute(t.endpoints.delete())  # else nobody has taken what was for it
    book(database, 1)
    later = NOW + 1000 * DAY
    written = len(messages(database))
    assert prune(database, RetentionSettings(), later, pause=lambda _seconds: False)["messages"] == 0
    drain(publisher(database, broker, streams))
    check_published(database, streams)
    assert prune(database, RetentionSettings(), later, pause=lambda _seconds: False)["messages"] == written


def test_who_publishes_is_woken_by_a_ring_and_who_does_not_is_not(
    database: Engine, broker: NatsBroker, streams: Streams
) -> None:
    begun(database)
    first, second = (publisher(database, broker, streams, holder, poll_s=LONG_S) for holder in ("one", "two"))
    book(database, 1)
    drain(first)
    book(database, 2)
    assert not second.turn()  # the lease is the first one's
    second.wake()
    assert not second._woken.is_set()
    stop = threading.Event()
    for end in (first.wake, stop.set):
        resting = threading.Thread(target=first.rest, args=(stop,), daemon=True)
        resting.start()
        end()
        resting.join(LONG_S / 2)
        assert not resting.is_alive()
