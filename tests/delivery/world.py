"""A world to deliver in: real receivers on this machine, a real database, a clock that the test sets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import Engine, insert, select

from adapter.delivery import endpoints, guard
from adapter.delivery.dispatcher import Dispatcher
from adapter.delivery.settings import DeliverySettings
from adapter.delivery.switching import new_delivery
from adapter.ids import new_id, read
from adapter.messages import render
from adapter.store import tables as t
from adapter.store.bulk import bulk_insert
from adapter.store.configuration import CatalogCache
from adapter.store.database import unit_of_work
from adapter.store.rows import DELIVERY_COLUMNS

START = 1_800_000_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Request:
    """One request as the receiver got it. Header names are lower-case."""

    path: str
    headers: dict[str, str]
    body: bytes


Respond = Callable[["Handler", Request], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        self.server.requests.append(request)
        self.server.respond(self, request)

    def do_GET(self) -> None:
        self.server.followed.append(self.path)
        self.answer(200)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Stay silent."""


class Receiver(ThreadingHTTPServer):
    """A subscriber. `respond` decides what it answers; by default 200."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[Request] = []
        self.followed: list[str] = []
        self.connections: list[Any] = []
        self.respond: Respond = lambda handler, request: handler.answer(200)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def answers(self, *statuses: int, **headers: str) -> None:
        """Answer with these statuses in turn, the last one for ever."""
        left = list(statuses)
        lock = threading.Lock()

        def respond(handler: Handler, request: Request) -> None:
            with lock:
                status = left.pop(0) if len(left) > 1 else left[0]
            handler.answer(status, b"", **headers)

        self.respond = respond

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients that hang up are part of the tests."""


@dataclass
class World:
    """One environment with what a test needs to fill and watch it."""

    engine: Engine
    env: int = 1
    now: int = START
    dispatchers: list[Dispatcher] = field(default_factory=list)

    def clock(self) -> int:
        return self.now

    def environment(self, env: int, mode: str) -> None:
        with unit_of_work(self.engine) as connection:
            connection.execute(
                insert(t.environments).values(
                    id=env, tenant=f"tenant-{env}", mode=mode, created_at=self.now, secret=b"secret"
                )
            )

    def endpoint(self, url: str, *, env: int = 1, **fields: Any) -> int:
        given = {"url": url, "secrets": [SECRET], "schedule": [5, 60], "timeout": 5, **fields}
        with unit_of_work(self.engine) as connection:
            view = endpoints.add(connection, env, given, now=self.now)
        endpoint = read("end", view["id"])
        assert endpoint is not None
        return endpoint

    def message(
        self,
        *,
        env: int = 1,
        message_type: str = "balance.updated",
        member: int | None = None,
        times: int = 1,
        number: int = 0,
    ) -> list[int]:
        """Insert messages and their deliveries, as the door does; return the messages' ids."""
        catalog = CatalogCache(self.engine).get()
        ids = [new_id(self.now) for _ in range(times)]
        messages: list[dict[str, Any]] = [
            {
                "env": env, "id": id_, "type": message_type, "member": member, "created_at": self.now,
                "body": render(message_type, self.now, {"n": number + n}),
            }
            for n, id_ in enumerate(ids)
        ]  # fmt: skip
        deliveries = [
            new_delivery(endpoint, message["id"], self.now, member)
            for message in messages
            for endpoint in catalog.endpoints_of.get(env, ())
            if endpoint.wants(message_type)
        ]
        with unit_of_work(self.engine) as connection:
            bulk_insert(connection, t.messages, messages, tuple(messages[0]))
            bulk_insert(connection, t.deliveries, deliveries, DELIVERY_COLUMNS)
        return ids

    def dispatcher(
        self,
        *,
        resolve: guard.Resolve = guard.resolve,
        random: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        part: tuple[int, int] = (0, 1),
        **settings: Any,
    ) -> Dispatcher:
        given = DeliverySettings(**{"slow_after_s": 60.0, "linger_s": 0.0, **settings})
        dispatcher = Dispatcher(
            self.engine,
            CatalogCache(self.engine, 0.0),
            self.clock,
            given,
            resolve=resolve,
            random=lambda: random,
            monotonic=monotonic,
            part=part,
        )
        self.dispatchers.append(dispatcher)
        return dispatcher

    def deliveries(self, **wanted: Any) -> list[Any]:
        query = select(t.deliveries).order_by(t.deliveries.c.id)
        for name, value in wanted.items():
            query = query.where(t.deliveries.c[name] == value)
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def attempts(self) -> list[Any]:
        query = select(t.attempts).order_by(t.attempts.c.delivery, t.attempts.c.number)
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def endpoint_row(self, endpoint: int) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(select(t.endpoints).where(t.endpoints.c.id == endpoint)).one()

    def states(self) -> list[str]:
        return [row.state for row in self.deliveries()]
