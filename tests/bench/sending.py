"""How fast the dispatcher is, beside a bare loop of `requests` posts on as many threads.

Both send the same signed bodies to the same receiver, a process of its own. They take turns, and the medians
count.
"""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import requests

from adapter.clock import now
from adapter.delivery import signing
from adapter.store.database import open_database
from tests.bench.service import fresh
from tests.delivery.world import SECRET, World

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Pipe

    from rich.console import Console

THREADS = 32
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


def show(console: Console, name: str, url: str, *, count: int = 2_000, rounds: int = 3) -> None:
    """Print the medians and their ratio."""
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
    engine.dispose()
    process.terminate()
    process.join()
    ours, bare = (statistics.median(each) for each in zip(*pairs, strict=True))
    console.print(
        f"{name}: {ours:.0f} deliveries/s claimed, signed, sent and recorded; bare loop of requests on {THREADS} threads "
        f"{bare:.0f}/s; ratio [bold]{ours / bare:.2f}[/]",
    )
