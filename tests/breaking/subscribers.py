"""Receivers that keep what they got: a steady one, one that wants its messages in order, and one that lies.

The lying one does its work, always: it verifies and keeps. But what it answers is up to its dice, until it is told to be
honest or has lied three times about one message.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import TYPE_CHECKING

from sqlalchemy import insert

from adapter.store import tables as t
from tests.service.conftest import SECRET, Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

TIMEOUT_S = 1
LIES_MOST = 3
SCHEDULE = [1] * 60
GIGANTIC = 4_000_000
MOODS = ("honest", "hang", "half", "error", "gigantic", "redirect", "garbage", "hang up", "busy", "drip")
TAKEN = ("honest", "half", "gigantic")
"""Moods in which the status says 200, whatever becomes of the rest."""


@dataclass
class Subscriber(Heard):
    """One endpoint: what it heard, what it said yes to and in which order, and how it lies."""

    name: str = "steady"
    random: Random | None = None  # what draws its lies; None: it has none
    ordered: bool = False
    events: str = '["*"]'
    taken: dict[str, int] = field(default_factory=dict)  # by webhook-id: the how-manieth it was
    lies: Counter[str] = field(default_factory=Counter)  # by webhook-id
    moods: Counter[str] = field(default_factory=Counter)
    trapped: int = 0  # requests that followed a redirection
    over: threading.Event = field(default_factory=threading.Event)

    def decide(self, headers: dict[str, str], body: bytes) -> str:
        """Do the work, and return how to answer."""
        before = self.forged
        self.take(headers, body)
        if self.forged > before:
            return "error"
        with self.lock:
            number = headers["webhook-id"]
            mood = self._mood(number)
            self.moods[mood] += 1
            if mood in TAKEN:
                self.taken.setdefault(number, len(self.taken))
        return mood

    def _mood(self, number: str) -> str:
        honest = self.over.is_set() or self.random is None or self.lies[number] >= LIES_MOST
        mood = "honest" if honest or self.random is None else self.random.choice(MOODS)
        self.lies[number] += mood != "honest"
        return mood


class Answering(BaseHTTPRequestHandler):
    """Answers as a subscriber's mood is."""

    protocol_version = "HTTP/1.1"
    subscriber: Subscriber

    def do_POST(self) -> None:
        if self.path == "/trap":
            self.subscriber.trapped += 1
            self._say(200)
            return
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:  # whoever sent was killed in the middle of it, and will send it again
            self.close_connection = True
            return
        mood = self.subscriber.decide({name.lower(): value for name, value in self.headers.items()}, body)
        ways: dict[str, Callable[[], None]] = {
            "honest": lambda: self._say(200),
            "error": lambda: self._say(500),
            "busy": lambda: self._say(429, **{"Retry-After": "1"}),
            "redirect": lambda: self._say(302, Location="/trap"),
            "hang": lambda: self._leave(TIMEOUT_S * 1.5),
            "hang up": lambda: self._leave(0),
            "half": lambda: self._write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthank"),
            "garbage": lambda: self._write(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
            "gigantic": self._write_much,
            "drip": self._drip,
        }
        with suppress(OSError):  # who asked gave up: what was done is done
            ways[mood]()

    def _say(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, answer: bytes) -> None:
        self.close_connection = True
        self.wfile.write(answer)

    def _write_much(self) -> None:
        self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIGANTIC)
        for _ in range(GIGANTIC // 1000):
            self.wfile.write(b"x" * 1000)

    def _drip(self) -> None:
        """Answer so slowly, a byte at a time, that no patience is enough."""
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
            self.wfile.write(bytes([byte]))
            if self.subscriber.over.wait(0.1):
                return

    def _leave(self, after_s: float) -> None:
        self.subscriber.over.wait(after_s)
        self.close_connection = True

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server that takes it calmly when whoever asked is gone."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_args: object) -> None:
        """Say nothing: processes are killed all the time."""


@contextmanager
def listening(seed: int) -> Iterator[list[Subscriber]]:
    """Have the three subscribers listen on this machine."""
    subscribers = [
        Subscriber(name="steady"),
        Subscriber(name="in order", ordered=True, events='["balance.updated"]'),
        Subscriber(name="lying", random=Random(f"lies {seed}")),
    ]
    servers = []
    for subscriber in subscribers:
        handler = type("Handler", (Answering,), {"subscriber": subscriber})
        server = Server(("127.0.0.1", 0), handler)
        subscriber.url = f"http://127.0.0.1:{server.server_port}/hook"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
    yield subscribers
    for server in servers:
        server.shutdown()
        server.server_close()


def subscribe(engine: Engine, subscribers: list[Subscriber]) -> None:
    """Add an endpoint for each of them."""
    with engine.begin() as connection:
        for number, one in enumerate(subscribers, 1):
            connection.execute(
                insert(t.endpoints).values(
                    env=1,
                    id=number,
                    url=one.url,
                    format="native",
                    schedule=str(SCHEDULE),
                    timeout_s=TIMEOUT_S,
                    ordered=int(one.ordered),
                    headers="{}",
                    secrets=f'[{{"secret": "{SECRET}"}}]',
                    events=one.events,
                    concurrency=32,
                    state="enabled",
                    created_at=0,
                    updated_at=0,
                )
            )
