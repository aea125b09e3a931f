"""From ASGI to Flask: one step onto a thread with the whole request, one step back with the whole answer.

a2wsgi's own middleware passes each part of a request and of an answer between the event loop and the thread by itself: five
times there and back for one small request, each of which waits for the other side to be scheduled. Both are small and
bounded here: a body by `max_body`, an answer by the pages of its lists.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from a2wsgi.wsgi import build_environ

from adapter.web.errors import Problem
from adapter.web.wire import CutOff, receive_body, received_length

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from a2wsgi.wsgi import Body

    from adapter.web.wire import Receive

    Send = Callable[[Mapping[str, Any]], Awaitable[None]]
    Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Bridge:
    """An ASGI application that has a WSGI one answer on so many threads. Bodies beyond `cap` bytes do not get there."""

    def __init__(self, application: Wsgi, *, threads: int, cap: int) -> None:
        self._application = application
        self._cap = cap
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        try:
            body, length = await self._body(scope, receive)
        except CutOff:
            return  # who asked is gone, and a part of a body may be a whole one that was never meant
        environ = cast("dict[str, Any]", build_environ(scope, cast("Body", BytesIO(body))))
        if length:  # of a body in chunks nobody has said it, and without it WSGI has none
            environ["CONTENT_LENGTH"] = str(length)
        loop = asyncio.get_running_loop()
        status, headers, answer = await loop.run_in_executor(self._pool, self._answer, environ)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _body(self, scope: Any, receive: Receive) -> tuple[bytes, int]:
        """Return the whole body and its length. One that is too long is left where it is: its length says so to who asks."""
        declared = received_length(scope["headers"])
        try:
            body = await receive_body(declared, receive, self._cap)
        except CutOff:
            raise
        except Problem:
            return b"", self._cap + 1
        return body, len(body)

    def _answer(self, environ: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        said: list[Any] = []
        parts = self._application(environ, lambda *given: said.append(given))
        try:
            body = b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        status, headers, *_ = said[-1]
        sent = [(name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]
        return int(status.split(" ", 1)[0]), sent, body
