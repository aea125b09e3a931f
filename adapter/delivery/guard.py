"""Which addresses a live environment's requests may reach, decided at the moment of connecting.

A name is resolved once, for the connection itself: the addresses are judged, and the socket goes to one of
those that were judged. There is no second look-up in between, so an answer that changes (DNS rebinding)
changes nothing.

`requests-hardened` was tried for this. It resolves the name anew for each request, even on a connection that
is kept alive, takes only the first address, and does so outside of the connect timeout; so here is the same
idea at the place where urllib3 makes a connection.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host and port; raises `OSError` where there are none."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # everything else in IPv6 is local, reserved or multicast

# What `ipaddress.is_global` lets through or judges differently from one Python to the next.
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
        "2001::/23",  # protocol assignments, Teredo and ORCHID among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries an IPv4 address that we would not see
        "3fff::/20",  # documentation
    )
)


def is_public(text: str) -> bool:
    """Return whether an address belongs to the public internet and to one host of it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not any(
        address in network for network in _NEVER if network.version == address.version
    )


def literal_address(host: str) -> str | None:
    """Return the address that a host spells out, however a resolver would read it; None for a name."""
    bare = host.strip("[]").rstrip(".")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(bare))  # "127.1", "0x7f000001", "2130706433"
    except (OSError, UnicodeError):
        return None


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a host, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


class AddressRefusedError(NewConnectionError):
    """The host has no address that a live environment may reach."""


def connect(connection: HTTPConnection, resolver: Resolve, *, live: bool) -> socket.socket:
    """Open a socket to the first address that answers, all of them within the one connect timeout."""
    addresses = _judged(connection, resolver, live=live)
    deadline = time.monotonic() + float(connection.timeout or 0)
    problem: OSError | None = None
    for address in addresses:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        try:
            return _open(connection, address, left_s)
        except OSError as error:
            problem = error
    if problem is None or isinstance(problem, TimeoutError):
        raise ConnectTimeoutError(connection, f"no connection within {connection.timeout} s")
    raise NewConnectionError(connection, f"cannot connect: {problem}") from problem


def _judged(connection: HTTPConnection, resolver: Resolve, *, live: bool) -> Sequence[str]:
    host, port = connection._dns_host, connection.port  # noqa: SLF001 - urllib3's name, a final dot kept
    try:
        found = resolver(host.strip("[]"), port)
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    except (OSError, UnicodeError) as error:
        raise NewConnectionError(connection, f"cannot resolve {host!r}: {error}") from error
    allowed = [address for address in found if not live or is_public(address)]
    if not allowed:
        raise AddressRefusedError(
            connection, f"{host} has no public address; a live environment reaches no other"
        )
    return allowed


def _open(connection: HTTPConnection, address: str, timeout_s: float) -> socket.socket:
    sock = socket.create_connection((address, connection.port), timeout=timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(connection.timeout)  # of the TLS handshake and of sending
    return sock
