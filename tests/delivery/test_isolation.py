"""One hanging endpoint in ten, and what the other nine notice of it: nothing."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING

import orjson

from adapter import clock
from adapter.delivery.dispatcher import Dispatcher
from adapter.delivery.settings import DeliverySettings
from adapter.store.configuration import CatalogCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.delivery.world import Handler, Receiver, Request, World

ENDPOINTS = 40
MESSAGES = 25
TIMEOUT_S = 3
PACE_S = 0.15  # of the shop


def hang(handler: Handler, request: Request) -> None:
    handler.connection.settimeout(20)
    handler.connection.recv(1)  # returns when the sender gives up
    handler.close_connection = True


class Stopwatch:
    """Notes how long after its making each message arrived at each endpoint that answers."""

    def __init__(self) -> None:
        self.made: dict[int, float] = {}
        self.took_s: list[float] = []

    def __call__(self, handler: Handler, request: Request) -> None:
        arrived = time.monotonic()
        handler.answer(200)
        if n := orjson.loads(request.body)["data"]["n"]:
            self.took_s.append(arrived - self.made[n])

    @property
    def p95_s(self) -> float:
        return statistics.quantiles(self.took_s, n=20)[-1]


def p95_with(world: World, receivers: Callable[[], Receiver], *, env: int, hanging: int) -> float:
    """Send messages at a steady pace to endpoints of which some hang, and return the others' p95."""
    watch, good, bad = Stopwatch(), receivers(), receivers()
    good.respond, bad.respond = watch, hang
    for number in range(ENDPOINTS):
        receiver = bad if number < hanging else good
        world.endpoint(f"{receiver.url}/{number}", env=env, timeout=TIMEOUT_S)
    settings = DeliverySettings(poll_s=0.02, slow_after_s=0.5, connect_timeout_s=1.0)
    dispatcher = Dispatcher(world.engine, CatalogCache(world.engine), clock.now, settings)
    stop = threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    for n in range(1, MESSAGES + 1):
        world.now = clock.now()
        watch.made[n] = time.monotonic()
        world.message(env=env, number=n)
        dispatcher.wake()
        time.sleep(PACE_S)
    expected = MESSAGES * (ENDPOINTS - hanging)
    give_up = time.monotonic() + 20
    while len(watch.took_s) < expected and time.monotonic() < give_up:
        time.sleep(0.02)
    stop.set()
    thread.join()
    assert len(watch.took_s) == expected
    assert (len(bad.requests) > 0) == (hanging > 0)
    return watch.p95_s


def test_one_hanging_endpoint_in_ten_does_not_delay_the_others(
    world: World, receivers: Callable[[], Receiver]
) -> None:
    world.environment(2, "test")
    without = p95_with(world, receivers, env=1, hanging=0)
    beside = p95_with(world, receivers, env=2, hanging=ENDPOINTS // 10)
    sys.stdout.write(f"p95 without {without * 1000:.0f} ms, beside hanging ones {beside * 1000:.0f} ms")
    assert beside <= 2 * without + 0.02  # the second summand is the clock's and the machine's noise
