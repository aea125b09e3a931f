"""One POST and its answer on a connection that is kept: all of it written at once, and read before one deadline.

urllib3 keeps the connections and says what became of one; `http.client` reads the answer. Only what both of them do
around a request is done here in fewer steps: they collect and check it header by header, and send the body after the
head. A dispatcher does little else all day.
"""

from __future__ import annotations

import http.client
import io
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection
from urllib3.response import HTTPResponse

if TYPE_CHECKING:
    import socket


class Exchange(HTTPConnection):
    """A connection for requests whose body is bytes, and whose length their headers say."""

    def request(
        self,
        method: str,
        url: str,
        body: Any = b"",
        headers: Any = None,
        **_options: Any,
    ) -> None:
        """Send a request, over a new connection where there is none."""
        lines = (f"{method} {url} HTTP/1.1", f"Host: {self._name}", *map(": ".join, headers.items()))
        head = "\r\n".join(lines)
        if not head.count("\r") == head.count("\n") == len(lines) - 1:
            raise ValueError("a header has a line break")
        if self.sock is None:
            self.connect()
        else:
            self.sock.settimeout(self.timeout)
        self.sock.sendall(b"%b\r\n\r\n%b" % (head.encode("latin-1"), body))

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # - urllib3's own is one of urllib3 too
        """Read the answer's head; its body is for whoever reads on."""
        self.sock.settimeout(self.timeout)
        answer = TimedResponse(self.sock, method="POST")
        try:
            answer.begin()
        except (OSError, ValueError, http.client.HTTPException):
            answer.close()
            raise
        if answer.will_close:
            self.close()  # the answer still holds the socket, until it is read
        return HTTPResponse(
            answer,
            headers=HTTPHeaderDict(answer.headers.items()),
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
            request_method="POST",
        )

    @cached_property
    def _name(self) -> str:
        """Return what the header `host` says."""
        host = self.host.encode("ascii" if self.host.isascii() else "idna").decode("ascii")
        host = f"[{host.partition('%')[0]}]" if ":" in host else host
        return host if self.port == self.default_port else f"{host}:{self.port}"


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
