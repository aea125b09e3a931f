"""Events in: the same effect as webhooks, once, whatever comes again; nothing is finished before it is durable."""

from __future__ import annotations

import json
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, func, insert, select
from standardwebhooks import Webhook

from adapter import clock
from adapter.engine.door import Door
from adapter.errors import ConfigurationError, DatabaseUnavailable, Unavailable
from adapter.intake import command_of
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import open_database
from adapter.stream.broker import Backlog
from adapter.stream.consumer import Consumer, consumer_of
from connectors import CONNECTORS
from connectors.base import RawEvent
from tests.shop import NOW, configure, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.commands import Command
    from adapter.outcome import Outcome
    from adapter.stream.nats import NatsBroker
    from tests.stream.conftest import Streams

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MAIN = Program.model_validate({"name": "main", "earning": {"rate": "1"}})

Signed = tuple[bytes, dict[str, str]]


def shop(engine: Engine) -> None:
    configure(engine, MAIN, sources=())  # ours has a real secret
    source = {"env": 1, "name": "till", "connector": "standard", "program": "main", "orders_of": "till"}
    with engine.begin() as connection:
        connection.execute(insert(t.sources).values(**source, secrets=json.dumps([SECRET]), options="{}"))


def signed(name: str, event: Any) -> Signed:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    at = datetime.now(UTC)
    signature = Webhook(SECRET).sign(name, at, body.decode())
    stamped = str(int(at.timestamp()))
    return body, {"webhook-id": name, "webhook-timestamp": stamped, "webhook-signature": signature}


def life(order: int) -> list[Signed]:
    """Return the events of one order: placed, shipped, partly refunded."""
    told: dict[str, Any] = {"occurred_at": "2026-11-18T10:00:00Z", "order": {"id": str(order)}}
    bought = {"currency": "EUR", "lines": [{"id": "1", "amount": "89.99"}]}
    placed = told | {"order": told["order"] | bought, "customer": {"id": str(order % 40)}}
    events = {
        "order.placed": placed,
        "order.shipped": told | {"shipment": {"id": "S"}},
        "order.refunded": told | {"refund": {"id": "R", "amount": "30.00"}},
    }
    return [
        signed(f"{kind}-{order}".replace(".", "-"), {"type": kind} | event) for kind, event in events.items()
    ]


def consumer(
    engine: Engine,
    broker: NatsBroker,
    streams: Streams,
    offer: Callable[[Command], Future[Outcome]],
    **settings: Any,
) -> Consumer:
    given = streams.settings(retry_after_s=0.05, **settings)
    catalog = CatalogCache(engine)
    return Consumer("till", streams.shop, broker, offer, catalog, connectors=CONNECTORS, settings=given)


def events(engine: Engine) -> dict[str, int]:
    columns = t.events.c
    with engine.connect() as connection:
        rows = connection.execute(select(columns.state, func.count()).group_by(columns.state))
        return {row[0]: row[1] for row in rows}


def balances(engine: Engine) -> dict[str, tuple[int, ...]]:
    columns, named = t.balances.c, t.identities.c
    query = select(
        named.customer, columns.available, columns.pending, columns.owed, columns.sequence
    ).join_from(t.identities, t.balances, (named.env == columns.env) & (named.member == columns.member))
    with engine.connect() as connection:
        return {row[0]: tuple(row[1:4]) for row in connection.execute(query)}


def test_a_thousand_events_give_the_balances_that_webhooks_give(
    database: Engine, tmp_path: Any, streams: Streams, broker: NatsBroker
) -> None:
    shop(database)
    sent = [one for order in range(334) for one in life(order)]
    streams.send(sent)
    with Door(database, clock.now) as door:
        one = consumer(database, broker, streams, door.offer)
        while one.turn(wait_s=0.2):
            pass
    assert events(database) == {"applied": len(sent)}
    beside = posted(tmp_path, sent)
    assert balances(database) == beside
    assert len(beside) == 40
    assert all(available > 0 for available, *_ in beside.values())
    assert broker.backlog(streams.shop, consumer_of("till")) == Backlog(0, 0)


def posted(folder: Any, sent: list[Signed]) -> dict[str, tuple[int, ...]]:
    """Return the balances of a shop that posted the same to the receiver, in a book of its own."""
    engine = open_database(f"sqlite:///{folder}/posted.db")
    t.metadata.create_all(engine)
    shop(engine)
    source = CatalogCache(engine).get().sources["till"]
    play(
        engine,
        [command_of(source, CONNECTORS["standard"], RawEvent(h, b, NOW)) for b, h in sent],
        sizes=[250],
    )
    found = balances(engine)
    engine.dispose()
    return found


def test_what_comes_again_changes_nothing(database: Engine, streams: Streams, broker: NatsBroker) -> None:
    shop(database)
    streams.send(life(1) + life(1) + life(1))
    with Door(database, clock.now) as door:
        one = consumer(database, broker, streams, door.offer, consume_batch=2)
        while one.turn(wait_s=0.2):
            pass
        before = balances(database)
        streams.send(life(1))
        assert one.turn(wait_s=60)
    assert events(database) == {"applied": 3}
    assert balances(database) == before == {"1": (59, 0, 0)}


def test_what_is_not_understood_is_kept_as_rejected_and_does_not_come_again(
    sqlite_database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    shop(sqlite_database)
    streams.send(
        [signed("broken", b'{"type": "order.placed", "data": 7}'), signed("no-json", b"{"), *life(1)]
    )
    with Door(sqlite_database, clock.now) as door:
        one = consumer(sqlite_database, broker, streams, door.offer)
        assert one.turn(wait_s=60)
        assert not one.turn(wait_s=0.2)
    assert events(sqlite_database) == {"applied": 3, "rejected": 2}


def test_what_the_source_did_not_sign_leaves_no_trace_unless_the_stream_is_trusted(
    sqlite_database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    shop(sqlite_database)
    forged = [(body, headers | {"webhook-signature": "v1,AAAA"}) for body, headers in life(1)]
    bare = [(body, {"Nats-Msg-Id": f"bare-{number}"}) for number, (body, _) in enumerate(life(2))]
    streams.send(forged + bare)
    with Door(sqlite_database, clock.now) as door:
        one = consumer(sqlite_database, broker, streams, door.offer)
        assert one.turn(wait_s=60)
        assert not one.turn(wait_s=0.2)
        assert events(sqlite_database) == {}
        streams.send([(body, {"Nats-Msg-Id": f"again-{n}"}) for n, (body, _) in enumerate(bare)])
        assert consumer(sqlite_database, broker, streams, door.offer, trusted=True).turn(wait_s=60)
    assert balances(sqlite_database) == {"2": (59, 0, 0)}


def test_nothing_is_finished_while_the_database_is_away(
    sqlite_database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    shop(sqlite_database)
    streams.send(life(1))

    def away(_command: Command) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        future.set_exception(DatabaseUnavailable())
        return future

    with pytest.raises(Unavailable, match=r"3 events .* come again"):
        consumer(sqlite_database, broker, streams, away).turn(wait_s=60)
    assert broker.backlog(streams.shop, consumer_of("till")).unfinished == 3
    with Door(sqlite_database, clock.now) as door:
        one = consumer(sqlite_database, broker, streams, door.offer)
        while sum(events(sqlite_database).values()) < 3:
            one.turn(wait_s=10)
    assert balances(sqlite_database) == {"1": (59, 0, 0)}


def test_a_source_that_is_not_applied_yet_is_waited_for(
    sqlite_database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    streams.send(life(1))
    with Door(sqlite_database, clock.now) as door:
        one = consumer(sqlite_database, broker, streams, door.offer)
        with pytest.raises(ConfigurationError, match="no source 'till'"):
            one.turn()
        shop(sqlite_database)
        one._catalog.get(fresh=True)
        assert one.turn(wait_s=60)
    assert balances(sqlite_database) == {"1": (59, 0, 0)}
