"""One hanging endpoint in ten, and what the other nine notice of it: nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sqlalchemy import update

from adapter import clock
from adapter.delivery.dispatcher import Dispatcher
from adapter.delivery.settings import DeliverySettings
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import unit_of_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.delivery.world import Handler, Receiver, Request, World

ENDPOINTS = 40
HANGING = ENDPOINTS // 10
MESSAGES = 10
EXPECTED = MESSAGES * (ENDPOINTS - HANGING)
LONG_S = 120
"""As long as this the hanging ones hang: what the others get later than that, they waited for."""


def test_one_hanging_endpoint_in_ten_holds_up_none_of_the_others(
    world: World, receivers: Callable[[], Receiver]
) -> None:
    good, bad = receivers(), receivers()
    all_heard, hung_up = threading.Event(), threading.Event()

    def answer(handler: Handler, request: Request) -> None:
        handler.answer(200)
        if len(good.requests) >= EXPECTED:
            all_heard.set()

    def hang(handler: Handler, request: Request) -> None:
        all_heard.wait(LONG_S - 1)
        if not all_heard.is_set():
            hung_up.set()
        handler.close_connection = True

    good.respond, bad.respond = answer, hang
    for number in range(ENDPOINTS):
        receiver = bad if number < HANGING else good
        world.endpoint(f"{receiver.url}/{number}")
    with unit_of_work(world.engine) as connection:  # longer than anybody may ask for
        connection.execute(update(t.endpoints).values(timeout_s=LONG_S))
    settings = DeliverySettings(poll_s=0.02, slow_after_s=0.5)
    dispatcher = Dispatcher(world.engine, CatalogCache(world.engine), clock.now, settings)
    stop = threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    for number in range(1, MESSAGES + 1):
        world.now = clock.now()
        world.message(number=number)
        dispatcher.wake()
    all_heard.wait(2 * LONG_S)
    stop.set()
    dispatcher.wake()
    thread.join()
    assert len(bad.requests) >= HANGING
    assert not hung_up.is_set(), "the others waited for those that hang"
    assert len(good.requests) == EXPECTED
