"""A client's connection: uvicorn's, with bounds for what a client may send and for how long it may take.

uvicorn reads a request's head of any size, and waits for the rest of a head or of a body for ever. Here a head has a size,
and a request has half a minute from its first byte to its last; who is slower is told 408. A client that does not read its
answers is let go as well. Once a second the server looks at all connections (`look`): a timer for each request would be
more work than the whole rest.
"""

from __future__ import annotations

from string import punctuation
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    from asyncio import BaseTransport

HEAD_BYTES = 65_536
HEADERS = 200
REQUEST_S = 30.0
"""How long a client may take to send a request, and to read an answer."""
KEEP_ALIVE_S = 75
"""How long a connection may rest. Proxies keep theirs for 60 s: one that we end while they use it is an error of theirs."""


class HeadTooLarge(Exception):
    """More headers, or longer ones, than anybody needs."""


class NotForUs(Exception):
    """It is to be passed on; we are no proxy."""


class Connection(HttpToolsProtocol):
    """One connection; the parser calls `on_…`, the event loop the rest."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._waiting_since: float | None = None  # for the client: to send the rest, or to read
        self._unparsed = 0  # bytes of a head, or of whatever else the parser has not made anything of yet
        self._in_head = True

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # - what a stream gets is one
        self._waiting_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()
        if self._in_head and not self._unparsed and not data.isascii():
            data = _in_ascii(data)
        self._unparsed += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            self._refuse(431 if isinstance(error.__context__, HeadTooLarge) else 400)
        else:
            if self._unparsed > HEAD_BYTES:
                self._refuse(431)

    def _parse(self, data: bytes) -> None:
        """Parse what came. Who offers another protocol is answered in HTTP/1.1, as if there had been no such offer.

        The parser leaves the body of such a request alone, so it is given the request again; Java's own client offers
        HTTP/2 with each first request of a connection.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self.cycle is not None and not self.cycle.response_complete:
                self._refuse(400)  # thousands of them in one piece would be much work
                return
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            head = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            again = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(head))
            self._parse(again + data[offer.args[0] :])

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # behind a chunked body: the request is being answered, and its signature was in its head
        if len(self.headers) == HEADERS:
            raise HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._unparsed > HEAD_BYTES and self._head_bytes() > HEAD_BYTES:  # a body may have come with it
            raise HeadTooLarge
        self._unparsed = 0
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise NotForUs
            return
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._waiting_since = None
        self._unparsed = 0
        self._in_head = True
        super().on_message_complete()

    def resume_writing(self) -> None:
        self._waiting_since = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # nothing is under way, unless it is an answer that nobody has read

    def look(self, now: float) -> None:
        """End the connection if its client has had its time; `now` is the event loop's."""
        stuck = self.transport.is_closing() or self.flow.write_paused
        if self._waiting_since is None:
            self._waiting_since = now if stuck else None
        elif now - self._waiting_since < REQUEST_S:
            return
        elif stuck or self.scope is None:
            self.transport.abort()
        else:
            self._refuse(408)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse(self, status: int) -> None:
        """Say what is wrong, and read no further. What was asked before and is whole is answered first."""
        asked = self.cycle
        if asked is not None and not asked.response_complete and not asked.more_body:
            self.flow.pause_reading()
            self.shutdown()
            return
        if asked is None or asked.response_complete or not asked.response_started:
            date = b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
            self.transport.write(
                STATUS_LINE[status] + date + b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
        self.transport.close()


def _in_ascii(data: bytes) -> bytes:
    """Return what a request begins with as it should have been sent: some clients leave letters in a URL as they are.

    The parser takes none but ASCII's there.
    """
    line, end, rest = data.partition(b"\r\n")
    if line.isascii() or not line.endswith(b" HTTP/1.1"):
        return data
    return quote_from_bytes(line, safe=punctuation + " ").encode() + end + rest
