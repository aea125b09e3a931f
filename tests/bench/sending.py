"""How fast the dispatcher is, beside a bare loop of `requests` posts on as many threads.

Both send the same signed bodies to the same receiver, a process of its own. They take turns, and the medians
count.
"""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import requests
from sqlalchemy import select

from adapter.clock import now
from adapter.delivery import signing
from adapter.delivery.dispatcher import Dispatcher
from adapter.ids import new_id
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import open_database
from tests.bench.service import fresh
from tests.delivery.world import SECRET, World

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Pipe

    from rich.console import Console

THREADS = 32
RATE, RATE_SECONDS = 50, 5  # messages a second, each to four endpoints
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BODY = b'{"type": "balance.updated", "data": "' + b"x" * 900 + b'"}'


def receive(pipe: Pipe) -> None:
    """Be a receiver that costs as little as Python can: answer 200 to whatever ends a request."""
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


def dispatched(world: World, count: int) -> float:
    """Return deliveries per second: claimed, signed, sent and recorded, durably."""
    world.now = now()
    world.message(times=count // 4)  # four endpoints
    dispatcher = world.dispatcher(linger_s=0.01, workers=THREADS)
    started = time.perf_counter()
    made = dispatcher.run_once()
    took_s = time.perf_counter() - started
    assert made == dispatcher.counts["delivered"] == count // 4 * 4
    return made / took_s


def waits(world: World) -> list[int]:
    """Return for how many milliseconds each message waited for its answer, while so many a second are queued."""
    first, stop = new_id(now()), threading.Event()
    dispatcher = Dispatcher(world.engine, CatalogCache(world.engine), now)
    running = threading.Thread(target=dispatcher.run, args=(stop,))
    running.start()
    begun = time.perf_counter()
    for number in range(RATE * RATE_SECONDS):
        time.sleep(max(begun + number / RATE - time.perf_counter(), 0))
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
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=receive, args=(theirs,), daemon=True)
    process.start()
    receiver = f"http://127.0.0.1:{mine.recv()}/hook"
    fresh(url)
    engine = open_database(url)
    world = World(engine)
    world.environment(1, "test")
    for number in range(4):
        world.endpoint(f"{receiver}/{number}", concurrency=THREADS)
    pairs = [(dispatched(world, count), bare_loop(receiver, count)) for _ in range(rounds)]
    waited = waits(world)
    engine.dispose()
    process.terminate()
    process.join()
    ours, bare = (statistics.median(each) for each in zip(*pairs, strict=True))
    console.print(
        f"{name}: {ours:.0f} deliveries/s claimed, signed, sent and recorded; bare loop of requests on {THREADS} threads "
        f"{bare:.0f}/s; ratio [bold]{ours / bare:.2f}[/]",
    )
    p50, p95 = (waited[int(len(waited) * share)] for share in (0.5, 0.95))
    console.print(
        f"{name}: from queued to answered, {RATE} messages a second to four endpoints each: p50 {p50} ms, p95 {p95} ms"
    )
