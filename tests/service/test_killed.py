"""The whole service is killed in the middle of a load, started again, and everything is sent again: nothing is lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import requests
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.pool import StaticPool

from adapter import clock, ids
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.intake import command_of
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import open_database
from connectors import CONNECTORS
from connectors.base import RawEvent
from tests.bench.hooks import SECRET, SOURCE
from tests.bench.service import configure, configure_engine
from tests.shop import play, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.service.conftest import Heard, Product

ORDERS = 700
MEMBERS = 40
SETTINGS: dict[str, Any] = {
    "delivery__lease_margin_s": 1,
    "delivery__connect_timeout_s": 1,
    "door__answer_timeout_s": 10,
}


def webhook(order: int, state: str, refund: str | None = None) -> tuple[bytes, str]:
    """Return a WooCommerce webhook and its signature: one order of 89.99 in one of its states."""
    step = ("processing", "completed").index(state) + (refund is not None)
    body = json.dumps(
        {
            "id": order,
            "number": str(order),
            "status": state,
            "currency": "EUR",
            "customer_id": order % MEMBERS + 1,
            "date_created_gmt": "2026-11-01T10:00:00",
            "date_modified_gmt": f"2026-11-0{2 + step}T10:00:00",
            "date_paid_gmt": "2026-11-01T10:05:00",
            "date_completed_gmt": "2026-11-03T10:00:00" if state == "completed" else None,
            "discount_total": "0.00",
            "shipping_total": "0.00",
            "total": "89.99",
            "total_tax": "0.00",
            "billing": {"email": f"ada{order % MEMBERS}@example.com"},
            "line_items": [
                {
                    "id": order,
                    "quantity": 1,
                    "total": "89.99",
                    "total_tax": "0.00",
                    "product_id": 1,
                    "sku": "A",
                }
            ],
            "refunds": [{"id": order + 100_000, "reason": "", "total": f"-{refund}"}] if refund else [],
        }
    ).encode()
    return body, base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()


def everything() -> list[tuple[bytes, str]]:
    """Return 2,100 webhooks and 210 repeats, shuffled."""
    dice = random.Random(7)
    hooks = [
        hook
        for order in range(1, ORDERS + 1)
        for hook in (
            webhook(order, "processing"),
            webhook(order, "completed"),
            webhook(order, "completed", "30.00"),
        )
    ]
    hooks += dice.sample(hooks, len(hooks) // 10)
    dice.shuffle(hooks)
    return hooks


def send(where: list[int], session: requests.Session, hook: tuple[bytes, str]) -> None:
    """Post until it is answered 2xx, as a shop does; connections that break are tried again."""
    headers = {
        "X-WC-Webhook-Topic": "order.updated",
        "X-WC-Webhook-Signature": hook[1],
        "Content-Type": "application/json",
    }
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            url = f"http://127.0.0.1:{random.choice(where)}/webhooks/{SOURCE}"
            status = session.post(url, data=hook[0], headers=headers, timeout=60).status_code
        except requests.RequestException:
            continue
        assert status in (200, 503), status
        if status == 200:
            return
    raise AssertionError("not answered in time")


def send_all(where: list[int], hooks: list[tuple[bytes, str]], after: Callable[[int], None]) -> None:
    """Send everything from 16 threads; `after` hears how many were answered."""
    local, done, lock = threading.local(), [0], threading.Lock()

    def one(hook: tuple[bytes, str]) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        send(where, local.session, hook)
        with lock:
            done[0] += 1
            after(done[0])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, hooks))


def expected() -> dict[str, Any]:
    """Return the book of a clean run: every webhook once, in order, in memory."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    t.metadata.create_all(engine)
    configure_engine(engine)
    source = CatalogCache(engine).get().sources[SOURCE]
    headers = {"x-wc-webhook-topic": "order.updated"}
    hooks = [
        hook
        for order in range(1, ORDERS + 1)
        for hook in (
            webhook(order, "processing"),
            webhook(order, "completed"),
            webhook(order, "completed", "30.00"),
        )
    ]
    play(
        engine,
        [
            command_of(source, CONNECTORS["woocommerce"], RawEvent(headers, body, clock.now()))
            for body, _ in hooks
        ],
        now=clock.now(),
        sizes=[100],
    )
    book = snapshot(engine)
    engine.dispose()
    return book


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def drained(engine: Engine) -> bool:
    with engine.connect() as connection:
        query = select(func.count()).where(t.deliveries.c.state.in_(("due", "claimed")))
        return connection.execute(query).scalar_one() == 0


def test_killed_in_the_middle_of_a_load_nothing_is_lost(
    product: Product,
    tmp_path: Path,
    subscriber: Heard,
) -> None:
    configure(product.url, subscriber.url, timeout_s=1)
    hooks, where = everything(), [0]
    assert len(hooks) >= 2000
    with product.running(tmp_path, **SETTINGS) as service:
        where[:] = service.ports
        family = [psutil.Process(number) for number in service.family]

        def kill(answered: int) -> None:
            for first in service.machines if answered == len(hooks) * 2 // 5 else ():
                first.kill()  # SIGKILL; its children have to notice by themselves

        sender = threading.Thread(target=send_all, args=(where, hooks, kill))
        sender.start()
        wait_for(lambda: not any(_alive(one) for one in family), 120)
    with product.running(tmp_path, **SETTINGS) as service:
        where[:] = service.ports
        sender.join()
        send_all(where, hooks, lambda _: None)  # and everything once more
        engine = open_database(product.url)
        wait_for(lambda: drained(engine), 120)
        assert snapshot(engine) == expected()
        assert audit(engine) == []
        assert (
            rebuild(engine, lambda source, raw: command_of(source, CONNECTORS[source.connector], raw)) == []
        )
        with engine.connect() as connection:
            query = select(t.messages.c.id, t.messages.c.body).where(t.messages.c.type == "balance.updated")
            told = {ids.show("msg", row.id): bytes(row.body) for row in connection.execute(query)}
        engine.dispose()
    assert subscriber.forged == 0
    assert subscriber.bodies.keys() == told.keys()
    assert all(set(bodies) == {told[number]} for number, bodies in subscriber.bodies.items())
    sequences = subscriber.sequences()
    assert len(sequences) == MEMBERS
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in sequences.values())


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
