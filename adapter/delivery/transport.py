"""The way out: a `requests` adapter whose connections judge their addresses and keep to one deadline.

`HTTPAdapter.send` is used directly rather than through a session: it carries no cookies, follows no redirect,
reads no proxy or password from the environment, and costs half as much.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any, cast

import certifi
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from adapter.delivery import guard

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

HOSTS_KEPT = 256  # so many hosts keep their connections open at once


class OutboundAdapter(HTTPAdapter):
    """Sends requests over connections that are kept alive. A live one reaches public addresses only."""

    def __init__(
        self,
        *,
        live: bool,
        connections: int,
        ca_file: str | None = None,
        resolve: guard.Resolve = guard.resolve,
    ) -> None:
        self._pools = _pool_classes(resolve, live=live)
        self._trust = create_urllib3_context()
        self._trust.load_verify_locations(ca_file or certifi.where())
        super().__init__(pool_connections=HOSTS_KEPT, pool_maxsize=connections)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Make the pools, with the certificates loaded once rather than for each new connection."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._trust, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the certificates alone: the context has them, and demands one of every receiver."""


def _pool_classes(resolve: guard.Resolve, *, live: bool) -> Mapping[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, with connections of ours in them."""

    class Plain(HTTPConnection):
        response_class = TimedResponse

        def _new_conn(self) -> socket.socket:
            return guard.connect(self, resolve, live=live)

    class Tls(HTTPSConnection):
        response_class = TimedResponse

        def _new_conn(self) -> socket.socket:
            return guard.connect(self, resolve, live=live)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


class TimedResponse(http.client.HTTPResponse):
    """A response that must be read to its end before one deadline, however slowly its bytes drip in.

    A socket's timeout starts anew with every byte; urllib3 sets it, right before the response is read, to
    what is left of the request's total. That moment fixes the deadline.
    """

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(cast("socket.socket", _TimedSocket(sock)), *args, **options)


class _TimedSocket:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock))


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = cast(
            "io.RawIOBase", sock.makefile("rb", buffering=0)
        )  # keeps the socket open while it is read
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the response did not end in time")
        self._sock.settimeout(left_s)
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()
