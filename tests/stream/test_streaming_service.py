"""The whole service between two streams: a shop's events in, balances out, though the stream's process is killed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import orjson
import psutil

from tests.bench.hooks import SOURCE
from tests.bench.service import configure, fresh, running
from tests.service.test_bad_nights import story
from tests.service.test_killed import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stream.conftest import Streams

ORDERS = 20


def test_a_stream_of_events_becomes_a_stream_of_balances(tmp_path: Path, streams: Streams) -> None:
    url = f"sqlite:///{tmp_path / 'loyalty.db'}"
    fresh(url)
    configure(url)
    names = {"url": streams.url, "publish": streams.out, "subject": streams.subject, "retry_after_s": 0.2}
    settings = {
        f"stream__{key}": value for key, value in (names | {"consume": f"{SOURCE}={streams.shop}"}).items()
    }
    first, then = (
        [
            (body, {"X-WC-Webhook-Topic": "order.updated", "X-WC-Webhook-Signature": signature})
            for order in orders
            for body, signature in story(order)
        ]
        for orders in (range(ORDERS), range(ORDERS, 2 * ORDERS))
    )
    with running(url, tmp_path, **settings) as (_, process):
        streams.send(first)
        wait_for(lambda: heard(streams) == 3 * ORDERS, 60)
        (killed,) = streaming(process, streams.url)
        killed.kill()
        wait_for(lambda: killed not in (now := streaming(process, streams.url)) and len(now) == 1, 60)
        streams.send(then)
        wait_for(lambda: heard(streams) == 3 * 2 * ORDERS, 120)


def heard(streams: Streams) -> int:
    """Return how many changes of balances were published, each once: an order is placed, shipped and refunded."""
    try:
        bodies = [one.body for one in streams.held() if one.subject.endswith("balance.updated")]
    except Exception:  # noqa: BLE001 - the stream is not made yet
        return 0
    told = {(one["data"]["member"], one["data"]["sequence"]) for one in map(orjson.loads, bodies)}
    assert len(told) == len(bodies)
    return len(told)


def streaming(process: psutil.Process, url: str) -> list[psutil.Process]:
    """Return the processes that have a connection to the broker."""
    port = int(url.rpartition(":")[2])
    found = []
    for one in process.children(recursive=True):
        with suppress(psutil.Error):
            if any(link.raddr and link.raddr.port == port for link in one.net_connections("tcp")):
                found.append(one)
    return found
