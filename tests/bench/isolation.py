"""What healthy endpoints notice of hanging ones: 1,000 endpoints, of which none, or one in ten, hangs until its timeout.

Messages are queued at a steady rate, each for some of the endpoints in turn. How long the healthy ones' deliveries waited
from queued to answered is measured with and without the hanging ones, by turns.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from adapter.clock import now
from adapter.delivery.dispatcher import Dispatcher
from adapter.delivery.switching import new_delivery
from adapter.ids import new_id
from adapter.store import tables as t
from adapter.store.bulk import bulk_insert
from adapter.store.configuration import CatalogCache, raise_version
from adapter.store.database import open_database, unit_of_work
from adapter.store.rows import DELIVERY_COLUMNS
from tests.bench import sending
from tests.bench.service import fresh
from tests.delivery.world import World

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Pipe

    from rich.console import Console

    from adapter.catalog import Endpoint

ENDPOINTS, HANGING = 1_000, 10  # one in so many
TIMEOUT_S = 5
MESSAGES, EACH = 10, 20  # a second, and for how many endpoints
SECONDS, ROUNDS = 10, 2
PATIENCE_S = 20  # how long the last ones may take


def show(console: Console, name: str, url: str) -> None:
    """Print both p95s, and their ratio."""
    fresh(url)
    engine = open_database(url)
    world = World(engine)
    world.environment(1, "test")
    with sending.receiver() as address, sending.receiver(_hang) as deaf:
        _add_endpoints(world, address)
        waits: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(ROUNDS):
            for hanging, measured in waits.items():
                _point(world, deaf if hanging else address)
                measured.append(_p95(world))
    engine.dispose()
    without, beside = (statistics.median(each) for each in waits.values())
    console.print(
        f"{name}: {ENDPOINTS} endpoints, {MESSAGES * EACH} deliveries a second, queued to answered: p95 {without:.0f} ms; "
        f"beside {ENDPOINTS // HANGING} endpoints that hang {beside:.0f} ms; ratio [bold]{beside / without:.2f}[/]"
    )


def _hang(pipe: Pipe) -> None:
    """Be a receiver that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    pipe.send(listener.getsockname()[1])
    held = []
    while True:
        held.append(listener.accept())


def _add_endpoints(world: World, address: str) -> None:
    """Add one as an operator would, and the others like it."""
    first = world.endpoint(f"{address}/0", timeout=TIMEOUT_S)
    row = dict(world.endpoint_row(first)._mapping)
    with unit_of_work(world.engine) as connection:
        for number in range(1, ENDPOINTS):
            new = row | {"id": new_id(now()), "url": f"{address}/{number}"}
            connection.execute(t.endpoints.insert().values(**new))
        raise_version(connection)


def _point(world: World, address: str) -> None:
    """Point one endpoint in ten at an address; nothing is left of what happened before."""
    with unit_of_work(world.engine) as connection:
        for table in (t.attempts, t.deliveries, t.messages):
            connection.execute(table.delete())
        for endpoint in _endpoints(world)[::HANGING]:
            path = endpoint.url.rpartition("/")[2]
            mine = t.endpoints.c.id == endpoint.id
            connection.execute(update(t.endpoints).where(mine).values(url=f"{address}/{path}"))
        raise_version(connection)


def _endpoints(world: World) -> list[Endpoint]:
    found = CatalogCache(world.engine).get().endpoints.values()
    return sorted(found, key=lambda endpoint: endpoint.id)


def _p95(world: World) -> float:
    """Queue at a steady rate beside a dispatcher; return for how long all but each tenth endpoint's deliveries waited."""
    endpoints, stop = _endpoints(world), threading.Event()
    dispatcher = Dispatcher(world.engine, CatalogCache(world.engine), now)
    running = threading.Thread(target=dispatcher.run, args=(stop,))
    running.start()
    for number in sending.steadily(MESSAGES, SECONDS):
        _queue(world, [endpoints[(number * EACH * 7 + n * 7) % ENDPOINTS] for n in range(EACH)])
    healthy = {endpoint.id for number, endpoint in enumerate(endpoints) if number % HANGING}
    deadline = time.monotonic() + PATIENCE_S
    while float("inf") in _waited(world, healthy) and time.monotonic() < deadline:
        time.sleep(0.2)
    stop.set()
    running.join()
    waited = sorted(_waited(world, healthy))
    return waited[int(len(waited) * 0.95)]


def _queue(world: World, endpoints: list[Endpoint]) -> None:
    at = now()
    message = new_id(at)
    with unit_of_work(world.engine) as connection:
        row = {"env": 1, "id": message, "type": "balance.updated", "created_at": at, "body": sending.BODY}
        bulk_insert(connection, t.messages, [row], tuple(row))
        made = [new_delivery(endpoint, message, at, None) for endpoint in endpoints]
        bulk_insert(connection, t.deliveries, made, DELIVERY_COLUMNS)


def _waited(world: World, healthy: set[int]) -> list[float]:
    """Return the milliseconds from queued to answered of the deliveries to these endpoints; of none is forgotten."""
    d, a = t.deliveries.c, t.attempts.c
    first = (a.env == d.env) & (a.delivery == d.id) & (a.number == 1)
    query = select(d.endpoint, a.started_at + a.duration_ms - d.created_at)
    with world.engine.connect() as connection:
        rows = connection.execute(query.select_from(t.deliveries.outerjoin(t.attempts, first))).all()
    return [
        float("inf") if waited is None else float(waited) for endpoint, waited in rows if endpoint in healthy
    ]
