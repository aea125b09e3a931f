"""The way from ASGI to Flask: a whole request onto a thread, a whole answer back."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from adapter.web.bridge import Bridge
from adapter.web.errors import Problem
from adapter.web.wire import read_body

SCOPE: dict[str, Any] = {
    "type": "http", "method": "POST", "path": "/there", "query_string": b"", "http_version": "1.1",
    "headers": [(b"content-length", b"10")],
}  # fmt: skip


def asked(
    application: Any, *parts: bytes | None, cap: int = 10, headers: Any = SCOPE["headers"]
) -> list[dict[str, Any]]:
    """Ask an application for what comes in these parts, None being the client's end; return what it sends."""
    left = [
        {"type": "http.disconnect"} if part is None else {"body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    bridge = Bridge(application, threads=1, cap=cap)
    asyncio.run(bridge({**SCOPE, "headers": headers}, receive, send))
    return sent


class Echo:
    """Answers what it was sent, in two parts, and says which thread it ran on and whether it was closed."""

    def __init__(self) -> None:
        self.thread = ""
        self.closed = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Echo:
        self.thread = threading.current_thread().name
        self.body = environ["wsgi.input"].read()
        start_response("201 CREATED", [("X-One", "1"), ("Content-Length", str(len(self.body)))])
        return self

    def __iter__(self) -> Any:
        yield self.body[:3]
        yield self.body[3:]

    def close(self) -> None:
        self.closed = True


def test_a_request_goes_over_whole_and_its_answer_comes_back_whole() -> None:
    echo = Echo()
    start, body = asked(echo, b"01234", b"56789")
    assert (start["status"], start["headers"]) == (201, [(b"x-one", b"1"), (b"content-length", b"10")])
    assert body == {"type": "http.response.body", "body": b"0123456789"}
    assert echo.thread.startswith("web")
    assert echo.closed


def test_a_body_in_chunks_comes_with_its_length() -> None:
    assert read(b"01234", b"56789", headers=[]) == b"0123456789"
    assert read(b"", headers=[]) == b""


@pytest.mark.parametrize("headers", [SCOPE["headers"], []], ids=["declared", "in chunks"])
def test_a_body_that_is_too_long_stays_where_it_is_and_is_no_empty_one(headers: Any) -> None:
    echo = Echo()
    asked(echo, b"01234", b"56789", b"more", cap=9, headers=headers)
    assert echo.body == b""
    with pytest.raises(Problem, match="larger than 9 bytes"):
        read(b"01234", b"56789", b"more", cap=9, headers=headers)


def read(*parts: bytes, cap: int = 10, headers: Any) -> bytes:
    """Return the body of a request as the routes behind Flask read it."""
    found: list[bytes | Problem] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            found.append(read_body(environ, cap))
        except Problem as problem:
            found.append(problem)
        start_response("200 OK", [])
        return []

    asked(application, *parts, cap=cap, headers=headers)
    (body,) = found
    if isinstance(body, Problem):
        raise body
    return body


def test_who_is_gone_before_the_body_was_whole_has_asked_for_nothing() -> None:
    echo = Echo()
    assert asked(echo, b"01234", None) == []
    assert asked(echo, None) == []
    assert echo.thread == ""
