"""How fast the dispatcher is, beside two bare loops on as many threads: of `Session.post`, and of our own way to send.

All send the same signed bodies to the same receiver, a process of its own. They take turns, and the medians
count. Our own way is what the dispatcher does, without claiming and recording.
"""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from sqlalchemy import select

from adapter.clock import now
from adapter.delivery import signing
from adapter.delivery.dispatcher import Dispatcher
from adapter.delivery.sender import Parcel, Sender
from adapter.delivery.settings import DeliverySettings
from adapter.ids import new_id
from adapter.processes import keep_what_is_loaded
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import open_database
from tests.bench.service import fresh
from tests.delivery.world import SECRET, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection as Pipe

    from rich.console import Console

THREADS = 32
RATE, RATE_SECONDS = 50, 5  # messages a second, each to four endpoints
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BODY = b'{"type": "balance.updated", "data": "' + b"x" * 900 + b'"}'


def receive(pipe: Pipe, heard: Callable[[], object] = lambda: None) -> None:
    """Be a receiver that costs as little as Python can: answer 200 to whatever ends a request; `heard` is told of each."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    pipe.send(listener.getsockname()[1])
    chosen = selectors.DefaultSelector()
    chosen.register(listener, selectors.EVENT_READ)
    pending: dict[Any, bytes] = {}
    while True:
        for key, _ in chosen.select():
            if key.fileobj is listener:
                connection, _address = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                chosen.register(connection, selectors.EVENT_READ)
                pending[connection] = b""
            else:
                heard()
                _serve(key.fileobj, chosen, pending)


def _serve(connection: Any, chosen: selectors.BaseSelector, pending: dict[Any, bytes]) -> None:
    piece = connection.recv(65_536)
    if not piece:
        chosen.unregister(connection)
        connection.close()
        del pending[connection]
        return
    pending[connection] += piece
    head, found, body = pending[connection].partition(b"\r\n\r\n")
    if found:
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) >= length:
            pending[connection] = b""
            connection.sendall(ANSWER)


@contextmanager
def receiver(be: Callable[[Pipe], None] = receive) -> Iterator[str]:
    """Run a receiver as a process of its own; yield its URL."""
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=be, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{mine.recv()}/hook"
    finally:
        process.terminate()
        process.join()


def bare_loop(url: str, count: int) -> float:
    """Return posts per second of sessions in threads, signing each."""
    key = signing.decode_secret(SECRET)

    def post_many(share: int) -> None:
        with requests.Session() as session:
            for number in range(share):
                headers = signing.headers(f"msg_{number}", now(), BODY, [key])
                headers["content-type"] = "application/json"
                session.post(url, data=BODY, headers=headers, timeout=15).raise_for_status()

    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(post_many, [count // THREADS] * THREADS))
    return count // THREADS * THREADS / (time.perf_counter() - started)


def own_loop(world: World, count: int) -> float:
    """Return posts per second of the product's own way to sign and send, on as many threads and without a database."""
    endpoints = list(CatalogCache(world.engine).get().endpoints.values())
    sender = Sender(DeliverySettings(workers=THREADS))

    def send_many(share: int) -> None:
        for number in range(share):
            parcel = Parcel(endpoints[number % len(endpoints)], False, number, BODY)
            if not sender.send(parcel, now()).delivered:
                raise RuntimeError("the receiver does not answer")

    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(send_many, [count // THREADS] * THREADS))
    took_s = time.perf_counter() - started
    sender.close()
    return count // THREADS * THREADS / took_s


def dispatched(world: World, count: int) -> float:
    """Return deliveries per second: claimed, signed, sent and recorded, durably."""
    world.now = now()
    world.message(times=count // 4)  # four endpoints
    dispatcher = Dispatcher(world.engine, CatalogCache(world.engine), now, DeliverySettings(workers=THREADS))
    started = time.perf_counter()
    made = dispatcher.run_once()
    took_s = time.perf_counter() - started
    dispatcher.drain()
    assert made == dispatcher.counts["delivered"] == count // 4 * 4
    return made / took_s


def steadily(rate: int, seconds: int) -> Iterator[int]:
    """Count from 0, so many numbers a second, each at its own moment however long the one before took."""
    begun = time.perf_counter()
    for number in range(rate * seconds):
        time.sleep(max(begun + number / rate - time.perf_counter(), 0))
        yield number


def waits(world: World) -> list[int]:
    """Return for how many milliseconds each message waited for its answer, while so many a second are queued."""
    first, stop = new_id(now()), threading.Event()
    dispatcher = Dispatcher(world.engine, CatalogCache(world.engine), now)
    running = threading.Thread(target=dispatcher.run, args=(stop,))
    running.start()
    for _ in steadily(RATE, RATE_SECONDS):
        world.now = now()
        world.message()
    stop.set()
    running.join()
    dispatcher = Dispatcher(world.engine, CatalogCache(world.engine), now)
    dispatcher.run_once()  # what was queued last
    dispatcher.drain()
    sent = t.attempts.c.started_at + t.attempts.c.duration_ms - t.deliveries.c.created_at
    same = (t.attempts.c.env == t.deliveries.c.env) & (t.attempts.c.delivery == t.deliveries.c.id)
    query = select(sent).select_from(t.attempts.join(t.deliveries, same)).where(t.deliveries.c.id >= first)
    with world.engine.connect() as connection:
        return sorted(connection.execute(query).scalars())


def show(console: Console, name: str, url: str, *, count: int = 2_000, rounds: int = 3) -> None:
    """Print the medians and their ratio, and how long a message waits under a steady load."""
    fresh(url)
    keep_what_is_loaded()  # as each process of a service does
    engine = open_database(url)
    world = World(engine)
    world.environment(1, "test")
    with receiver() as address:
        for number in range(4):
            world.endpoint(f"{address}/{number}", concurrency=THREADS)
        turns = [
            (dispatched(world, count), bare_loop(address, count), own_loop(world, count))
            for _ in range(rounds)
        ]
        waited = waits(world)
    engine.dispose()
    ours, sessions, own = (statistics.median(each) for each in zip(*turns, strict=True))
    console.print(
        f"{name}: {ours:.0f} deliveries/s claimed, signed, sent and recorded; Session.post on {THREADS} threads "
        f"{sessions:.0f}/s, our own way to send on as many {own:.0f}/s; deliveries / Session.post "
        f"[bold]{ours / sessions:.2f}[/], deliveries / our own [bold]{ours / own:.2f}[/]",
    )
    p50, p95 = (waited[int(len(waited) * share)] for share in (0.5, 0.95))
    console.print(
        f"{name}: from queued to answered, {RATE} messages a second to four endpoints each: p50 {p50} ms, p95 {p95} ms"
    )
