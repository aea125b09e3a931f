"""The socket that the web processes accept connections from: bound once, and handed to each of them.

It belongs to the process that looks after the others, so that a shop which comes while a web process is started again waits
for a moment instead of being refused. No more is imported here than that process can hold for ever.
"""

from __future__ import annotations

import socket

from adapter.errors import ConfigurationError

Listener = socket.socket

BACKLOG = 2048
"""How many connections may wait to be accepted."""


def bound(host: str, port: int) -> Listener:
    """Return a socket at this address; nobody can connect before it listens.

    Raises `ConfigurationError` where that cannot be: the port is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a restart would wait for a minute
            made.bind(address)
        except OSError:
            made.close()
            raise
    except OSError as error:
        raise unusable(host, port, error) from error
    return made


def listening(made: Listener) -> Listener:
    """Let clients connect to a bound socket. Raises `ConfigurationError` where somebody else was faster."""
    try:
        made.listen(BACKLOG)
    except OSError as error:
        host, port, *_ = made.getsockname()
        raise unusable(host, port, error) from error
    return made


def unusable(host: str, port: int, error: OSError) -> ConfigurationError:
    """Say that nobody can listen there, and why."""
    return ConfigurationError(
        f"cannot listen on {url_of(host, port)}: {error.strerror or error}; server.host and server.port say where",
        field="server.port",
    )


def url_of(host: str, port: int) -> str:
    """Return the address as a URL."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answers(listener: Listener, path: str) -> bool:
    """Return whether who accepts from a socket answers a GET of this path with 200."""
    with socket.socket(listener.family) as client:
        client.settimeout(2)
        try:
            client.connect(listener.getsockname())
            client.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            return client.recv(12)[9:] == b"200"
        except OSError:
            return False
