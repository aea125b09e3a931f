"""The way out: a `requests` adapter whose connections judge their addresses and keep to one deadline.

`HTTPAdapter.send` is used directly rather than through a session: it carries no cookies, follows no redirect,
reads no proxy or password from the environment, and costs half as much. What it looks up for each request, the
connections of a host and the path, is the same for all requests to one URL, and is remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import certifi
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from adapter.delivery import guard
from adapter.delivery.exchange import Exchange

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from urllib3.poolmanager import PoolKey
    from urllib3.response import BaseHTTPResponse

HOSTS_KEPT = 256  # so many hosts keep their connections open at once
URLS_KNOWN = 4096


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
        self._place_of = lru_cache(URLS_KNOWN)(self._find_place)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the certificates alone: the context has them, and demands one of every receiver."""

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *_verify: Any, **_options: Any
    ) -> HTTPConnectionPool:
        """Return the connections to the request's host."""
        key, place, _ = self._place_of(str(request.url))
        pool: HTTPConnectionPool = self.poolmanager.connection_from_pool_key(key, dict(place))
        return pool

    def request_url(self, request: PreparedRequest, _proxies: Any) -> str:
        """Return the path: nothing goes through a proxy."""
        return self._place_of(str(request.url))[2]

    def build_response(self, _request: PreparedRequest, answer: BaseHTTPResponse) -> Response:
        """Return what a sender looks at."""
        response = Response()
        response.raw, response.status_code = answer, answer.status
        response.headers.update(answer.headers)
        return response

    def _find_place(self, url: str) -> tuple[PoolKey, Mapping[str, Any], str]:
        """Return by which key, and how, urllib3 finds or makes the connections for a URL; and the path to ask for."""
        request = PreparedRequest()
        request.url = url
        host, options = self.build_connection_pool_key_attributes(request, verify=True)
        place = {**self.poolmanager.connection_pool_kw, **options, **host}
        return self.poolmanager.key_fn_by_scheme[host["scheme"]](place), place, request.path_url


def _pool_classes(resolve: guard.Resolve, *, live: bool) -> Mapping[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, with connections of ours in them."""

    class Plain(Exchange):
        def _new_conn(self) -> socket.socket:
            return guard.connect(self, resolve, live=live)

    class Tls(Exchange, HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return guard.connect(self, resolve, live=live)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}
