"""The whole product as processes: databases of their own, and a receiver that keeps what it hears."""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import orjson
import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from standardwebhooks import Webhook

from tests.bench.service import Running, apart, fresh, together
from tests.service.test_killed import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Product:
    """A database of its own, and how the product runs on it: as one service, or on several machines."""

    url: str
    running: Callable[..., AbstractContextManager[Running]]
    """Takes a folder and settings."""


@pytest.fixture(params=["sqlite", "postgresql", "machines"])
def product(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Product]:
    """The product on each database, and as two receivers and two workers on one PostgreSQL."""
    run = apart if request.param == "machines" else together
    with _database(request, request.param, tmp_path) as url:
        yield Product(url, partial(run, url))


@pytest.fixture(params=["sqlite", "postgresql"])
def service_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database that nothing else uses."""
    with _database(request, request.param, tmp_path) as url:
        yield url


@contextmanager
def _database(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[str]:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'loyalty.db'}"
        fresh(url)
        yield url
        return
    server = request.getfixturevalue("postgres_server")
    name = f"loyalty_service_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    fresh(url)
    yield url
    with admin.connect() as connection:
        found = _deadlocks(connection, name)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
    assert found == 0, "units of work waited for each other: rows are to be locked in the order of their keys"


def _deadlocks(connection: Connection, database: str) -> int:
    """Return how often units of work waited for each other; each connection tells when it ends, not before."""
    there = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = :name")
    wait_for(lambda: connection.execute(there, {"name": database}).scalar_one() == 0, 60)
    found = text("SELECT deadlocks FROM pg_stat_database WHERE datname = :name")
    return int(connection.execute(found, {"name": database}).scalar_one())


@dataclass
class Heard:
    """What a subscriber heard, verified by the official library; every delivery, repeats too."""

    url: str = ""
    bodies: dict[str, list[bytes]] = field(default_factory=dict)  # by webhook-id
    forged: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, headers: dict[str, str], body: bytes) -> None:
        try:
            Webhook(SECRET).verify(body, headers)
        except Exception:  # noqa: BLE001 - whatever the library says, it is not verified
            self.forged += 1
            return
        with self.lock:
            self.bodies.setdefault(headers["webhook-id"], []).append(body)

    def sequences(self) -> dict[str, list[int]]:
        """Return the sequences that were heard of each member, in order and each once."""
        heard: dict[str, set[int]] = {}
        for bodies in self.bodies.values():
            message = orjson.loads(bodies[0])
            if message["type"] == "balance.updated":
                heard.setdefault(message["data"]["member"], set()).add(message["data"]["sequence"])
        return {member: sorted(numbers) for member, numbers in heard.items()}


@pytest.fixture
def subscriber() -> Iterator[Heard]:
    """A receiver on this machine that answers 200 and keeps what it hears."""
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # whoever sent was killed in the middle of it, and will send it again
                return
            heard.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    heard.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()
