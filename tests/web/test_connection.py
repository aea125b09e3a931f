"""What clients do to a connection: each request gets its answer, and nobody holds one for ever."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from adapter.web.connection import HEAD_BYTES, HEADERS, REQUEST_S, Connection
from adapter.web.server import configured

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Application = Callable[[Any, Any, Any], Awaitable[None]]

PATIENCE_S = 120  # before a test that hangs fails
BIG = b"a" * HEAD_BYTES
LAST = b"Connection: close\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was asked."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    names = ",".join(name.decode() for name, _ in scope["headers"])
    asked = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} {names} "
    await answer(send, b"<" + asked.encode() + body + b">")


async def answer(send: Any, body: bytes) -> None:
    length = b"%d" % len(body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


async def until(what: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    while not what():  # noqa: ASYNC110 - nothing tells of what we wait for
        await asyncio.sleep(0)


class Seen(Connection):
    """Counts what it has received."""

    received = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.received += len(data)


class Client:
    """One client, and the connection as the server has it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: ServerState
    ) -> None:
        self._reader, self._writer, self._state = reader, writer, state

    async def connection(self) -> Seen:
        await until(lambda: self._state.connections)
        (one,) = self._state.connections
        assert isinstance(one, Seen)
        return one

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()

    async def read(self) -> bytes:
        """Return all that comes until the server ends the connection."""
        heard = b""
        try:
            while part := await self._reader.read(65_536):
                heard += part
        except ConnectionResetError:  # there was more to read than the server wanted
            pass
        return heard

    async def hear(self, what: bytes) -> bytes:
        return await self._reader.readuntil(what)

    async def gone(self) -> None:
        await until(lambda: not self._state.connections)


@asynccontextmanager
async def connected(application: Application = echo) -> AsyncIterator[Client]:
    """Serve an application, and connect to it."""
    config = configured(application)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Seen(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=2**24)
    async with asyncio.timeout(PATIENCE_S):
        yield Client(reader, writer, state)
    writer.close()
    server.close()


def ask(*parts: bytes) -> bytes:
    """Send this, and return all that is heard."""

    async def run() -> bytes:
        async with connected() as client:
            await client.send(*parts)
            return await client.read()

    return asyncio.run(run())


def statuses(heard: bytes) -> list[int]:
    return [int(part[:3]) for part in heard.split(b"HTTP/1.1 ")[1:]]


GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"

REFUSED: dict[str, tuple[int, bytes]] = {
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"),
    "no method": (400, b"{}\r\n\r\n"),
    "HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a null character": (400, GET + b"X-A: a\0b\r\n" + LAST),
    "a tunnel": (400, b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two lengths": (400, POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a length and chunks": (400, POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "no length": (400, POST + b"Content-Length: two\r\n\r\n{}"),
    "a broken chunk": (400, POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "a large header": (431, GET + b"X-A: " + BIG + b"\r\n\r\n"),
    "a large address": (431, b"GET /?" + BIG + b" HTTP/1.1\r\n\r\n"),
    "a header without an end": (431, GET + b"X-A: " + BIG),
    "an address without an end": (431, b"GET /" + BIG + b"a"),
    "many headers": (431, GET + b"X-A: a\r\n" * HEADERS + b"\r\n"),
    "lines without an end": (431, b"\r\n" * HEAD_BYTES),
    "a chunk's end without an end": (
        431,
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X-A: " + BIG * 40,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_is_refused_and_ends_the_connection(name: str) -> None:
    status, sent = REFUSED[name]
    heard = ask(sent)
    assert statuses(heard) == [status]
    assert heard.endswith(b"\r\ndate: today\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


TAKEN: dict[str, tuple[bytes, bytes]] = {
    "a body": (POST + b"Content-Length: 2\r\n" + LAST + b"{}", b"<POST /  host,content-length,connection {}>"),
    "chunks": (
        POST + b"Transfer-Encoding: chunked\r\n" + LAST + b"1\r\n{\r\n1;a=b\r\n}\r\n0\r\n\r\n",
        b"<POST /  host,transfer-encoding,connection {}>",
    ),
    "a header behind chunks": (
        POST + b"Transfer-Encoding: chunked\r\n" + LAST + b"2\r\n{}\r\n0\r\nX-Signature: forged\r\n\r\n",
        b"<POST /  host,transfer-encoding,connection {}>",
    ),
    "HTTP/1.0": (b"GET /old HTTP/1.0\r\n\r\n", b"<GET /old   >"),
    "a whole address": (b"GET http://x/a?b HTTP/1.1\r\n" + LAST, b"<GET /a b connection >"),
    "a letter in a header": (GET + b"X-A: \xff\r\n" + LAST, b"<GET /  host,x-a,connection >"),
    "empty lines first": (b"\r\n\r\n" + GET + LAST, b"<GET /  host,connection >"),
    "another protocol": (
        GET + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
        b"<GET /  host,connection >",
    ),
    "another protocol, and a body": (
        POST + b"Connection: close, Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
        b"<POST /  host,connection,content-length {}>",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "by the byte"])
def test_a_request_is_answered_however_it_is_written(name: str, whole: bool) -> None:
    sent, expected = TAKEN[name]
    heard = ask(sent) if whole else ask(*(bytes([byte]) for byte in sent))
    assert statuses(heard) == [200]
    assert heard.endswith(b"\r\n\r\n" + expected)
    assert heard.count(b"date:") == 1
    assert b"server:" not in heard


def test_letters_in_an_address_may_be_left_as_they_are() -> None:
    """By a client that sends its first line in one piece."""
    heard = ask("GET /ä?ö HTTP/1.1\r\n".encode() + LAST)
    assert heard.endswith("<GET /ä %C3%B6 connection >".encode())


def test_a_large_body_may_come_with_its_head() -> None:
    body = b"b" * 2 * HEAD_BYTES
    heard = ask(POST + b"Content-Length: %d\r\n" % len(body) + LAST + body)
    assert heard.endswith(b" " + body + b">")


def test_no_body_answers_a_head() -> None:
    assert ask(b"HEAD / HTTP/1.1\r\n" + LAST).endswith(b"\r\n\r\n")


def test_what_is_asked_in_a_row_is_answered_in_a_row() -> None:
    paths = [b"/%d" % number for number in range(50)]
    asked = [b"GET " + path + b" HTTP/1.1\r\n\r\n" for path in paths]
    heard = ask(b"".join(asked) + GET + LAST)
    assert statuses(heard) == [200] * 51
    assert re.findall(rb"<GET (/\d+)", heard) == paths


@pytest.mark.parametrize("more", [b"EXTRA EXTRA\r\n\r\n", b"\xff\xff", BIG * 2])
def test_what_was_whole_is_answered_whatever_comes_behind_it(more: bytes) -> None:
    """Who declared less than was sent is answered what was declared: it may have had its effect."""
    heard = ask(POST + b"Content-Length: 2\r\n\r\n{}" + more)
    assert statuses(heard) == [200]
    assert heard.endswith(b" {}>")
    assert b"connection: close" in heard


def test_offers_of_another_protocol_do_not_pile_up() -> None:
    offer = GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    heard = ask(offer * 4000)
    assert statuses(heard) == [200]
    assert b"connection: close" in heard


def test_who_offers_another_protocol_goes_on_in_ours() -> None:
    async def run() -> None:
        async with connected() as client:
            for _ in range(3):
                await client.send(GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
                assert statuses(await client.hear(b">")) == [200]

    asyncio.run(run())


def test_a_body_is_asked_for_where_the_client_waits_for_that() -> None:
    async def run() -> bytes:
        async with connected() as client:
            await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n" + LAST)
            assert await client.hear(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"{}")
            return await client.read()

    assert asyncio.run(run()).endswith(b" {}>")


# --- time --------------------------------------------------------------------------------------------------------------

SLOW: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "half a line": (b"GET / HT", b"HTTP/1.1 408"),
    "half a head": (GET, b"HTTP/1.1 408"),
    "half a body": (POST + b"Content-Length: 4\r\n\r\n{}", b"HTTP/1.1 408"),
    "half a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\n{}", b"HTTP/1.1 408"),
}


@pytest.mark.parametrize(
    ("name", "first"),
    [*((name, b"") for name in SLOW), *((name, GET + b"\r\n") for name in SLOW if SLOW[name][0])],
)
def test_who_does_not_go_on_is_told_so(name: str, first: bytes) -> None:
    sent, expected = SLOW[name]

    async def run() -> None:
        async with connected() as client:
            one = await client.connection()
            if first:
                await client.send(first)
                await client.hear(b">")
            began = one.loop.time()
            await client.send(sent)
            await until(lambda: one.received == len(first + sent))
            one.look(began + REQUEST_S - 1)
            assert not one.transport.is_closing()
            one.look(one.loop.time() + REQUEST_S)
            assert (await client.read())[:12] == expected
            await client.gone()

    asyncio.run(run())


def test_a_connection_may_rest() -> None:
    async def run() -> None:
        async with connected() as client:
            one = await client.connection()
            for _ in range(2):
                await client.send(GET + b"\r\n")
                await client.hear(b">")
                one.look(one.loop.time() + 10 * REQUEST_S)
            one.timeout_keep_alive_handler()
            assert await client.read() == b""

    asyncio.run(run())


def test_an_answer_may_take_its_time() -> None:
    async def run() -> None:
        asked, ready = asyncio.Event(), asyncio.Event()

        async def slow(_scope: Any, receive: Any, send: Any) -> None:
            await receive()
            asked.set()
            await ready.wait()
            await answer(send, b"at last")

        async with connected(slow) as client:
            one = await client.connection()
            await client.send(POST + b"Content-Length: 2\r\n\r\n{}")
            await asked.wait()
            for _ in range(2):
                one.look(one.loop.time() + 10 * REQUEST_S)
            ready.set()
            await client.hear(b"at last")

    asyncio.run(run())


@pytest.mark.parametrize("last", [b"\r\n", LAST], ids=["and rests", "and is done"])
def test_who_does_not_read_is_let_go(last: bytes) -> None:
    async def run() -> None:
        async def much(_scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await answer(send, b"a" * 20_000_000)

        async with connected(much) as client:
            one = await client.connection()
            await client.send(GET + last)
            await until(one.transport.get_write_buffer_size)
            now = one.loop.time()
            one.look(now)
            one.look(now + REQUEST_S - 1)
            assert one in one.connections
            one.look(now + REQUEST_S)
            await client.gone()

    asyncio.run(run())


def test_who_is_gone_before_the_answer_harms_nobody() -> None:
    async def run() -> None:
        asked, ready, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def slow(_scope: Any, _receive: Any, send: Any) -> None:
            asked.set()
            await ready.wait()
            await answer(send, b"too late")
            done.set()

        async with connected(slow) as client:
            await client.send(GET + b"\r\n")
            await asked.wait()
            client._writer.close()
            await client.gone()
            ready.set()
            await done.wait()

    with capture_logs() as logs:
        asyncio.run(run())
    assert logs == []


def test_a_defect_is_a_500_and_stands_in_our_log() -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("broken")

    async def run() -> bytes:
        async with connected(broken) as client:
            await client.send(GET + LAST)
            return await client.read()

    with capture_logs() as logs:
        assert statuses(asyncio.run(run())) == [500]
    assert [(one["event"], one["reason"]) for one in logs] == [
        ("server.failed", "Exception in ASGI application")
    ]
