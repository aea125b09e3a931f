"""What is written for one request, to the byte; that one connection serves the next; and which headers there are."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from urllib3.connection import HTTPSConnection

from adapter.delivery.exchange import Exchange
from adapter.delivery.sender import Sender
from adapter.delivery.settings import DeliverySettings
from connectors.vendor import Vendor
from tests.delivery.test_guard import parcel
from tests.delivery.world import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.delivery.world import Handler, Receiver, Request

HEADERS = {"content-type": "application/json", "Content-Length": "2"}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Tls(Exchange, HTTPSConnection):
    """An exchange over TLS, as far as its name goes."""


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def connected(ours: socket.socket, host: str = "shop.example", port: int | None = None) -> Exchange:
    exchange = Exchange(host, port, timeout=5)
    exchange.sock = ours
    return exchange


def test_a_request_is_written_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    connected(ours).request("POST", "/hook?a=b", b"{}", HEADERS)
    assert theirs.recv(65_536) == (
        b"POST /hook?a=b HTTP/1.1\r\nHost: shop.example\r\ncontent-type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("kind", "host", "port", "named"),
    [
        (Exchange, "shop.example", 80, "shop.example"),
        (Exchange, "shop.example", 443, "shop.example:443"),
        (Tls, "shop.example", 443, "shop.example"),
        (Tls, "shop.example.", 8443, "shop.example:8443"),
        (Exchange, "::1", 8080, "[::1]:8080"),
        (Exchange, "fe80::1%eth0", 80, "[fe80::1]"),
        (Exchange, "münchen.example", 80, "xn--mnchen-3ya.example"),
    ],
)
def test_the_host_is_named_as_http_says(
    ends: tuple[socket.socket, socket.socket], kind: type[Exchange], host: str, port: int, named: str
) -> None:
    ours, theirs = ends
    exchange = kind(host, port, timeout=5)
    exchange.sock = ours
    exchange.request("POST", "/", b"", {})
    assert theirs.recv(65_536) == f"POST / HTTP/1.1\r\nHost: {named}\r\n\r\n".encode()


@pytest.mark.parametrize("value", ["a\r\nx-b: c", "a\nx-b: c", "a\rx-b: c", "a\r\n\r\nGET / HTTP/1.1"])
def test_a_header_with_a_line_break_is_not_written(
    ends: tuple[socket.socket, socket.socket], value: str
) -> None:
    ours, theirs = ends
    with pytest.raises(ValueError, match="line break"):
        connected(ours).request("POST", "/", b"{}", {**HEADERS, "x-a": value})
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_a_connection_serves_one_request_after_the_other_until_the_answer_ends_it(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    exchange = connected(ours)
    for answer, open_after in (
        (ANSWER, True),
        (ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), False),
    ):
        exchange.request("POST", "/", b"{}", HEADERS)
        theirs.recv(65_536)
        theirs.sendall(answer)
        response = exchange.getresponse()
        assert (response.status, response.read()) == (200, b"")
        assert (exchange.sock is not None) is open_after


def test_headers_are_spelt_as_given_and_a_vendors_own_come_instead_of_those_of_the_same_name(
    receiver: Receiver,
) -> None:
    spelt: list[list[tuple[str, str]]] = []

    def note(handler: Handler, _request: Request) -> None:
        spelt.append(handler.headers.items())
        handler.answer(200)

    receiver.respond = note
    vendor = Vendor("acme", "Acme", sign=lambda _parcel: {"X-Acme-Signature": "theirs"})
    sender = Sender(DeliverySettings(), vendors={"acme": vendor})
    given = parcel(receiver.url, live=False)
    headers = {"X-Shop": "acme", "User-Agent": "shop", "x-acme-signature": "ours"}
    for form in ("native", "acme"):
        endpoint = replace(given.endpoint, headers=headers, format=form)
        assert sender.send(replace(given, endpoint=endpoint), START).delivered
    sender.close()
    native, vendors = (dict(each) for each in spelt)
    always = {"X-Shop": "acme", "User-Agent": "shop"}
    assert always.items() <= native.items()
    assert always.items() <= vendors.items()
    assert (native["x-acme-signature"], vendors["X-Acme-Signature"]) == ("ours", "theirs")
    for each in spelt:
        names = [name.lower() for name, _ in each]
        assert len(names) == len(set(names))
