"""A load generator that costs little: keep-alive connections on one selector, prepared bytes, latencies by request.

It shares the machine's cores with what it measures, so what lasts of its figures are ratios of one run.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Measured:
    """What one round of load gave: answers by status, and every latency in seconds."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Return successful answers per second."""
        return sum(count for status, count in self.statuses.items() if status < 300) / self.seconds

    def quantile(self, share: float) -> float:
        """Return a latency in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def drive(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Measured:
    """Keep `connections` requests in flight for `seconds`, or while there are any; then wait for the last answers."""
    measured = Measured()
    selector = selectors.DefaultSelector()
    begun, open_connections = time.perf_counter(), 0
    for first in islice(requests, connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock)
        selector.register(sock, selectors.EVENT_READ, connection)
        _send(connection, first)
        open_connections += 1
    while open_connections:
        for key, _ in selector.select(10):
            connection = key.data
            status = _receive(connection)
            if status is None:
                continue
            now = time.perf_counter()
            measured.statuses[status] = measured.statuses.get(status, 0) + 1
            measured.latencies.append(now - connection.sent_at)
            following = next(requests, None) if now - begun < seconds else None
            if following is not None:
                _send(connection, following)
            else:
                selector.unregister(connection.sock)
                connection.sock.close()
                open_connections -= 1
    measured.seconds = time.perf_counter() - begun
    return measured


def _send(connection: _Connection, request: bytes) -> None:
    connection.sent_at = time.perf_counter()
    connection.sock.sendall(request)


def _receive(connection: _Connection) -> int | None:
    """Read what is there; return the status once the whole answer is."""
    chunk = connection.sock.recv(65536)
    if not chunk:
        raise ConnectionError("the service closed a connection under load")
    connection.received += chunk
    head, found, rest = bytes(connection.received).partition(b"\r\n\r\n")
    if not found:
        return None
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    if len(rest) < length:
        return None
    connection.received.clear()
    return int(head[9:12])
