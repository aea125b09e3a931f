"""The lane of the one hot route: `POST /webhooks/{source}`, answered on the event loop. Flask has everything else.

A webhook waits for a commit that it shares with others. In a thread of its own each of those waits costs several
switches of threads, and Flask's own request handling as much again: together three times what the work itself
takes. So this ASGI application stands in front, takes that path whole, and hands all other requests to Flask on a
pool of threads. There is no second receiver: Flask has no such route.
"""

from __future__ import annotations

import asyncio
import time
from random import getrandbits
from string import punctuation
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import structlog

from adapter.web.errors import Answer, Problem, answer_error, internal_error, problem
from adapter.web.receiver import take_in
from adapter.web.tally import method_label
from adapter.web.verbose import log_answer, log_request
from adapter.web.wire import receive_body, received_headers
from connectors.base import RawEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from adapter.web.parts import Parts
    from adapter.web.wire import Receive

    Scope = Mapping[str, Any]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]
    Application = Callable[[Any, Any, Any], Awaitable[None]]

log = structlog.get_logger()

PREFIX = "/webhooks/"
ROUTE = "/webhooks/<source>"


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


class Lane:
    """Serves the receiver, and passes everything else on."""

    def __init__(self, parts: Parts, rest: Application, headers: dict[str, str]) -> None:
        self._parts = parts
        self._rest = rest
        self._hosts = {host.encode(): prefix for host, prefix in parts.settings.dialect_hosts.items()}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._timers: dict[tuple[str, int], Callable[[float], None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._parts.attach(asyncio.get_running_loop())
        elif scope["type"] == "http":
            if self._hosts:
                scope = _rehosted(scope, self._hosts)
            source = scope["path"][len(PREFIX) :].removesuffix("/")
            if scope["path"].startswith(PREFIX) and source and "/" not in source:
                return await self._serve(scope, source, receive, send)
            scope = {**scope, "query_string": _ascii(scope["query_string"])}
        return await self._rest(scope, receive, send)

    async def _serve(self, scope: Scope, source: str, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request_id = f"req_{getrandbits(128):032x}"
        answer = await self._answer(scope, source, receive, request_id)
        if self._parts.settings.log_requests:
            log_answer(request_id, answer.status, answer.body)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.media_type.encode()),
                    (b"content-length", b"%d" % len(answer.body)),
                    (b"x-request-id", request_id.encode()),
                    *((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers),
                    *self._headers,
                ],
            }
        )
        self._count(scope["method"], answer.status, time.perf_counter() - began)
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, source: str, receive: Receive, request_id: str) -> Answer:
        if scope["method"] != "POST":
            detail = f"This address does not take {scope['method']}; it takes POST."
            return problem(405, "method_not_allowed", detail, request_id, headers=(("Allow", "POST"),))
        try:
            headers = received_headers(scope["headers"])
            body = await receive_body(headers.get("content-length"), receive, self._parts.settings.max_body)
            if self._parts.settings.log_requests:
                log_request(request_id, f"POST {PREFIX}{source}", headers, body)
            raw = RawEvent(headers, body, self._parts.clock())
            return await take_in(self._parts, source, raw, request_id)
        except Problem as error:
            return answer_error(error, request_id, self._parts.settings.retry_after_s)
        except Exception:  # the top of this route, as Flask's handler is of the others
            log.exception("request.failed", request_id=request_id, source=source)
            return internal_error(request_id)

    def _count(self, method: str, status: int, seconds: float) -> None:
        key = (method_label(method), status)
        timer = self._timers.get(key)
        if timer is None:
            timer = self._timers[key] = self._parts.tally.requests.labels(key[0], ROUTE, status).observe
        timer(seconds)
