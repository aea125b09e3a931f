"""What goes wrong at night: locks, full disks, a database that is gone, processes that die, a stop in the rush hour.

The rule is the same for all: a shop is told 503 and sends again, or it was answered 200 and its webhook is there. Nothing
is lost, nothing is done twice, and nobody has to restart anything.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests
from sqlalchemy import Engine, create_engine, event, func, make_url, select, text

from adapter import clock
from adapter.engine.audit import audit
from adapter.engine.door import Door, DoorSettings
from adapter.errors import DatabaseUnavailable
from adapter.intake import command_of
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import open_database
from adapter.store.migrate import migrate
from connectors import CONNECTORS
from connectors.base import RawEvent
from tests.bench.hooks import SOURCE
from tests.bench.service import configure, configure_engine, fresh, running
from tests.service.test_killed import drained, wait_for, webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.service import Running
    from tests.service.conftest import Heard, Product

Hook = tuple[bytes, str]

IMPATIENT: dict[str, Any] = {
    "door__answer_timeout_s": 0.5,
    "delivery__poll_s": 0.05,
    "delivery__lease_margin_s": 1,
}
POINTS = 59  # of an order of 89.99 with 30.00 refunded: floor(89 * 59.99 / 89.99)


def story(order: int) -> list[Hook]:
    """Return the webhooks of one order: placed, shipped, partly refunded."""
    return [webhook(order, "processing"), webhook(order, "completed"), webhook(order, "completed", "30.00")]


@dataclass(frozen=True)
class Shop:
    """A shop that posts to the service, and sends again what was not answered 200; to several receivers in turn."""

    port: int
    others: tuple[int, ...] = ()

    @classmethod
    def of(cls, service: Running) -> Shop:
        """Return one that posts to all receivers of a service."""
        return cls(service.ports[0], service.ports[1:])

    def post(self, hook: Hook) -> requests.Response:
        """Post once. The answer is a 200, or a 503 as a shop wants it."""
        port = random.choice((self.port, *self.others))
        answer = requests.post(
            f"http://127.0.0.1:{port}/webhooks/{SOURCE}",
            data=hook[0],
            timeout=60,
            headers={"X-WC-Webhook-Topic": "order.updated", "X-WC-Webhook-Signature": hook[1]},
        )
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Content-Type"] == "application/problem+json"
        return answer

    def answered(self, hook: Hook) -> bool:
        """Post once and return whether it was answered 200; a connection that breaks is no answer."""
        with suppress(requests.RequestException):
            return self.post(hook).status_code == 200
        return False

    def insist(self, hook: Hook) -> None:
        """Post until it is answered 200."""
        wait_for(lambda: self.answered(hook), 120)

    def refused(self, hook: Hook) -> bool:
        """Post once and return whether the shop was told to come back."""
        return self.post(hook).status_code == 503


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Open the database beside the service, as an operator does."""
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()


def check(url: str, orders: int, heard: Heard | None = None) -> None:
    """Check that every order took effect exactly once, and that all of it was told."""
    with opened(url) as engine:
        _check(engine, orders, heard)


def _check(engine: Engine, orders: int, heard: Heard | None) -> None:
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(t.events)).scalar_one() == 3 * orders
        assert connection.execute(select(t.orders.c.retained)).scalars().all() == [POINTS] * orders
        balances = connection.execute(select(t.balances.c.available, t.balances.c.sequence)).all()
    assert sum(balance.available for balance in balances) == POINTS * orders
    assert audit(engine) == []
    if heard is not None:
        wait_for(lambda: drained(engine), 120)
        sequences = heard.sequences().values()
        assert heard.forged == 0
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in sequences)
        assert sum(len(numbers) for numbers in sequences) == sum(balance.sequence for balance in balances)


# --- a database that does not do its work ------------------------------------------------------------------------------


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the database's write lock, as a backup or a careless tool does."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(str(make_url(url).database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    with opened(url) as engine, engine.begin() as connection:
        connection.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
        yield


def test_a_locked_database_is_a_503_until_it_is_free(
    product: Product, tmp_path: Path, subscriber: Heard
) -> None:
    configure(product.url, subscriber.url)
    with product.running(tmp_path, **IMPATIENT) as service:
        shop = Shop.of(service)
        first, second, third = story(1)
        shop.insist(first)
        with locked(product.url):
            assert shop.refused(second)
            assert shop.refused(second)
            assert requests.get(f"{service.url}/healthz", timeout=60).status_code == 200
        shop.insist(second)
        shop.insist(third)
        check(product.url, 1, subscriber)


@contextmanager
def gone(url: str) -> Iterator[None]:
    """Take a PostgreSQL database away: all connections end and none is let in."""
    admin = create_engine(
        make_url(url).set(drivername="postgresql+psycopg", database="postgres"), isolation_level="AUTOCOMMIT"
    )
    name = make_url(url).database
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"), {"n": name}
        )
        try:
            yield
        finally:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    admin.dispose()


@contextmanager
def full(service: psutil.Process) -> Iterator[None]:
    """Let no process of the service write to any file, as on a full disk; one that is started meanwhile cannot either."""
    _let_write(service, 0)
    yield
    _let_write(service, psutil.RLIM_INFINITY)


def _let_write(service: psutil.Process, most: int) -> None:
    with suppress(psutil.NoSuchProcess):  # killed, and its children with it
        for process in [service, *service.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, (most, psutil.RLIM_INFINITY))


def test_a_database_that_is_gone_is_a_503_until_it_is_back(
    product: Product, tmp_path: Path, subscriber: Heard
) -> None:
    configure(product.url, subscriber.url)
    hooks = [hook for order in range(1, 11) for hook in story(order)]
    random.Random(1).shuffle(hooks)
    with product.running(tmp_path, **IMPATIENT) as service:
        shop = Shop.of(service)
        for hook in hooks[:10]:
            shop.insist(hook)
        with gone(product.url) if product.url.startswith("postgresql") else full(service.machines[0]):
            assert all(shop.refused(hook) for hook in hooks[10:13])
            ready = requests.get(f"{service.url}/healthz", timeout=60)
            assert ready.status_code == 200
        for hook in hooks:
            shop.insist(hook)
        check(product.url, 10, subscriber)
        assert all(one.is_running() for one in service.machines)


BROKEN = {"full": "PRAGMA max_page_count = 1", "read-only": "PRAGMA query_only = ON"}
WHOLE = {"full": "PRAGMA max_page_count = 1000000", "read-only": "PRAGMA query_only = OFF"}


@pytest.mark.parametrize("night", sorted(BROKEN))
def test_a_database_that_takes_nothing_is_unavailable_and_recovers(night: str, tmp_path: Path) -> None:
    url, state = f"sqlite:///{tmp_path / 'loyalty.db'}", WHOLE
    engine = open_database(url)
    migrate(engine)
    configure_engine(engine)
    event.listen(engine, "checkout", lambda connection, *_: connection.execute(state[night]))
    source = CatalogCache(engine).get().sources[SOURCE]
    commands = [
        command_of(
            source,
            CONNECTORS["woocommerce"],
            RawEvent({"x-wc-webhook-topic": "order.updated"}, body, clock.now()),
        )
        for body, _ in (hook for order in range(1, 31) for hook in story(order))
    ]
    with Door(engine, clock.now, DoorSettings(answer_timeout_s=120)) as door:
        door.submit(commands[0])
        state = BROKEN
        outcomes = [door.offer(command) for command in commands]
        assert all(isinstance(outcome.exception(120), DatabaseUnavailable) for outcome in outcomes)
        state = WHOLE
        outcomes = [door.offer(command) for command in commands]
        assert {outcome.result(120).error for outcome in outcomes} == {None}
    engine.dispose()
    check(url, 30)


# --- processes that die ------------------------------------------------------------------------------------------------


def _is_book(process: psutil.Process) -> bool:
    return any(str(one.laddr).endswith("/door") for one in process.net_connections("unix"))


def _is_web(process: psutil.Process) -> bool:
    return any(one.status == psutil.CONN_LISTEN for one in process.net_connections("tcp"))


def part(service: psutil.Process, name: str) -> psutil.Process:
    """Return the process that is the book, the web or the work."""
    spawned = [one for one in service.children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]
    named: dict[str, Callable[[psutil.Process], bool]] = {
        "book": _is_book,
        "web": _is_web,
        "work": lambda one: not _is_book(one) and not _is_web(one),
    }
    return next(one for one in spawned if named[name](one))


@pytest.mark.parametrize("name", ["book", "web", "work"])
def test_a_process_that_is_killed_alone_is_started_again(
    name: str,
    product: Product,
    tmp_path: Path,
    subscriber: Heard,
) -> None:
    configure(product.url, subscriber.url, timeout_s=1)
    hooks = [hook for order in range(1, 41) for hook in story(order)]
    random.Random(2).shuffle(hooks)
    with product.running(tmp_path, **IMPATIENT) as service:
        shop, killed = Shop.of(service), threading.Event()

        def insist(number: int) -> None:
            if number == len(hooks) // 3:
                part((service.workers if name == "work" else service.machines)[0], name).kill()
                killed.set()
            shop.insist(hooks[number])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(insist, range(len(hooks))))
        assert killed.is_set()
        check(product.url, 40, subscriber)
        assert all(one.is_running() for one in service.machines)


def test_killed_while_it_starts_it_leaves_nobody_behind(tmp_path: Path) -> None:
    """The process that prepares the database would wait for ever for a parent that is gone."""
    url = f"sqlite:///{tmp_path / 'loyalty.db'}"
    fresh(url)
    start = "from adapter import app, settings; app.serve(settings.load_settings())"
    settings = {"LOYALTY_DATABASE_URL": url, "LOYALTY_DATA_DIR": str(tmp_path)}
    with locked(url):
        root = psutil.Popen([sys.executable, "-c", start], env=os.environ | settings)
        family: list[psutil.Process] = []

        def preparing() -> bool:
            family[:] = root.children(recursive=True)
            return any("spawn_main" in " ".join(one.cmdline()) for one in family)

        wait_for(preparing, 60)
        root.kill()
        root.wait()
        wait_for(lambda: not any(one.is_running() for one in family), 60)


@pytest.mark.parametrize("to", ["the parent", "everyone"])
def test_a_stop_under_load_keeps_what_was_answered(to: str, service_url: str, tmp_path: Path) -> None:
    """A terminal or a container stops the first process; systemd stops all of them at once."""
    configure(service_url)
    hooks = [hook for order in range(1, 201) for hook in story(order)]
    random.Random(3).shuffle(hooks)
    done: list[Hook] = []
    with running(service_url, tmp_path) as (port, process):
        shop = Shop(port)

        def post(number: int) -> None:
            if number == len(hooks) // 4:
                for one in [process, *(process.children(recursive=True) if to == "everyone" else ())]:
                    one.send_signal(signal.SIGTERM)
            if shop.answered(hooks[number]):
                done.append(hooks[number])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(post, range(len(hooks))))
        assert process.wait(120) == 0
    assert len(done) > len(hooks) // 8
    with opened(service_url) as engine:
        with engine.connect() as connection:
            kept = {bytes(body) for body in connection.execute(select(t.events.c.body)).scalars()}
        assert {body for body, _ in done} <= kept
        assert audit(engine) == []
