"""The lane of the hot routes, answered on the event loop: webhooks, and redemptions. Flask has everything else.

A webhook waits for a commit that it shares with others. In a thread of its own each of those waits costs several
switches of threads, and Flask's own request handling as much again: together three times what the work itself
takes. So this ASGI application stands in front, takes `POST /webhooks/{source}` and the routes of `looped.py` whole, and
hands all other requests to Flask on a pool of threads. There is no second receiver: Flask has no such route.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from random import getrandbits
from string import punctuation
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from adapter.errors import Busy
from adapter.web.dispatch import Request
from adapter.web.errors import Answer, problem, told
from adapter.web.failures import Failures
from adapter.web.receiver import take_in
from adapter.web.tally import method_label
from adapter.web.verbose import log_answer, log_request
from adapter.web.wire import receive_body, received_headers
from connectors.base import RawEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from adapter.web.looped import Looped
    from adapter.web.parts import Parts
    from adapter.web.wire import Receive

    Scope = Mapping[str, Any]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]
    Application = Callable[[Any, Any, Any], Awaitable[None]]
    Work = Callable[[Scope, Request], Awaitable[Answer]]

PREFIX = "/webhooks/"
ROUTE = "/webhooks/<source>"
AT_ONCE = 2048
"""How many requests may be under way: each holds its body, and for Flask's threads any number would wait."""


def _ascii(query: bytes) -> bytes:
    """Return a query as it should have been sent: WSGI's is ASCII, and some clients leave letters as they are."""
    return query if query.isascii() else quote_from_bytes(query, safe=punctuation).encode()


def _rehosted(scope: Scope, hosts: Mapping[bytes, str]) -> Scope:
    """Return a request to the host name of a dialect's own as one to the dialect's prefix."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").lower()
    prefix = hosts.get(host) or hosts.get(host.partition(b":")[0])
    if prefix is None:
        return scope
    raw = scope.get("raw_path") or quote_from_bytes(scope["path"].encode(), safe=punctuation).encode()
    return {**scope, "path": prefix + scope["path"], "raw_path": prefix.encode() + raw}


def _request_of(scope: Scope) -> Request:
    """Return what ASGI says of a request."""
    return Request(
        query=_ascii(scope["query_string"]).decode(),
        headers=received_headers(scope["headers"]),
        address=f"{scope['method']} {scope['path']}",
        request_id=f"req_{getrandbits(128):032x}",
    )


class Lane:
    """Serves the receiver and the routes on the loop, and passes everything else on."""

    def __init__(self, parts: Parts, looped: Looped, rest: Application, headers: dict[str, str]) -> None:
        self._parts = parts
        self._looped = looped
        self._failures = Failures(parts)
        self._rest = rest
        self._hosts = {host.encode(): prefix for host, prefix in parts.settings.dialect_hosts.items()}
        self._headers = _wired(headers)
        self._timers: dict[tuple[str, str, int], Callable[[float], None]] = {}
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if self._at_once >= AT_ONCE:
            return await self._serve(scope, "unmatched", _turn_away, send)
        self._at_once += 1
        try:
            return await self._route(scope, receive, send)
        finally:
            self._at_once -= 1

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._hosts:
            scope = _rehosted(scope, self._hosts)
        path = scope["path"]
        source = path[len(PREFIX) :].removesuffix("/")
        if path.startswith(PREFIX) and source and "/" not in source:
            return await self._serve(scope, ROUTE, partial(self._take_in, source, receive), send)
        if (match := self._looped.find(scope["method"], path)) is not None:
            work = partial(self._looped.answer, match, receive)
            return await self._serve(scope, match.address.rule, work, send)
        return await self._rest({**scope, "query_string": _ascii(scope["query_string"])}, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Get to know the loop before the first request comes; there is nothing to end."""
        await receive()
        self._parts.attach(asyncio.get_running_loop())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, rule: str, work: Work, send: Send) -> None:
        began = time.perf_counter()
        request = _request_of(scope)
        answer = await self._answer(scope, rule, work, request)
        if self._parts.settings.log_requests:
            log_answer(request.request_id, answer.status, answer.body)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.media_type.encode()),
                    (b"content-length", b"%d" % len(answer.body)),
                    (b"x-request-id", request.request_id.encode()),
                    *_wired(request.told),
                    *((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers),
                    *self._headers,
                ],
            }
        )
        self._count(scope["method"], rule, answer.status, time.perf_counter() - began)
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, rule: str, work: Work, request: Request) -> Answer:
        try:
            return await work(scope, request)
        except Exception as error:  # noqa: BLE001 - the top of these routes, as Flask's handler is of the others
            method, path, number = scope["method"], scope["path"], request.request_id
            return told(self._failures.refusal(error, number, method=method, rule=rule, path=path))

    async def _take_in(self, source: str, receive: Receive, scope: Scope, request: Request) -> Answer:
        if scope["method"] != "POST":
            detail = f"This address does not take {scope['method']}; it takes POST."
            return problem(
                405, "method_not_allowed", detail, request.request_id, headers=(("Allow", "POST"),)
            )
        declared = request.headers.get("content-length")
        body = await receive_body(declared, receive, self._parts.settings.max_body)
        if self._parts.settings.log_requests:
            log_request(request.request_id, request.address, request.headers, body)
        raw = RawEvent(request.headers, body, self._parts.clock())
        return await take_in(self._parts, source, raw, request.request_id)

    def _count(self, method: str, rule: str, status: int, seconds: float) -> None:
        key = (method_label(method), rule, status)
        timer = self._timers.get(key)
        if timer is None:
            timer = self._timers[key] = self._parts.tally.requests.labels(*key).observe
        timer(seconds)


async def _turn_away(_scope: Scope, _request: Request) -> Answer:
    raise Busy("more is asked than can be answered; ask again in a moment")


def _wired(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
