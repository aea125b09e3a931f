"""The bytes of a request, straight from ASGI in the lane and straight from WSGI behind Flask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.web.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]

CHUNK = 65_536
LENGTH_DIGITS = 18
_UNPREFIXED = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


class CutOff(Problem):
    """The connection ended before the body did: what came is not what was meant, and nobody hears an answer."""

    def __init__(self) -> None:
        super().__init__("request_invalid", "The connection ended before the body did.")


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the request's headers by lower-case name."""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name, header in _UNPREFIXED.items():
        if environ.get(name):
            headers[header] = environ[name]
    return headers


def read_body(environ: Mapping[str, Any], cap: int) -> bytes:
    """Read the whole body, with or without a declared length.

    Raises `Problem` as soon as it is certain that the body is longer than `cap`: a declared length is
    believed, an undeclared one is counted while it is read, and never more than one chunk beyond the cap is
    held.
    """
    declared = _declared(environ)
    if declared is not None and declared > cap:
        raise _too_large(cap)
    if declared is None and not environ.get("wsgi.input_terminated"):
        return b""  # without a length and without an end there is nothing that could be read safely
    left = cap + 1 if declared is None else declared
    parts: list[bytes] = []
    while left > 0 and (part := environ["wsgi.input"].read(min(left, CHUNK))):
        parts.append(part)
        left -= len(part)
    if declared is None and left <= 0:
        raise _too_large(cap)
    return b"".join(parts)


def received_headers(sent: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return ASGI's headers by lower-case name; one that was sent twice has both values, as WSGI joins them."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in sent:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def received_length(sent: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the length that ASGI's headers declare."""
    return next((value.decode("latin-1") for name, value in sent if name.lower() == b"content-length"), None)


async def receive_body(declared: str | None, receive: Receive, cap: int) -> bytes:
    """Read the whole body. Raises `CutOff` where the connection ends before it.

    Raises `Problem` as soon as it is certain that the body is longer than `cap`: a declared length is believed, and
    what comes is counted.
    """
    if (_length(declared) or 0) > cap:
        raise _too_large(cap)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message.get("type") == "http.disconnect":
            raise CutOff
        parts.append(part := message.get("body", b""))
        size += len(part)
        more = message.get("more_body", False)
        if size > cap:
            raise _too_large(cap)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _declared(environ: Mapping[str, Any]) -> int | None:
    return _length(environ.get("CONTENT_LENGTH"))


def _length(text: str | None) -> int | None:
    text = text or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LENGTH_DIGITS else None


def _too_large(cap: int) -> Problem:
    return Problem("too_large", f"The body is larger than {cap} bytes.")
