"""Ports for servers that tests start: nobody listens on them, and no client is given one.

A system gives its clients ports too. What is free when it is asked for may be some client's a moment later, or while a
server that was killed is away; and a client that asks for a port at which nobody listens may even be given that very port,
and be connected to itself. So these are taken from below those that clients get.
"""

from __future__ import annotations

import random
import socket
from contextlib import closing, suppress

HOST = "127.0.0.1"
PORTS = range(20_000, 30_000)


def free_port() -> int:
    """Return a port that nobody listens on. Raises `OSError` where there is none."""
    for port in random.SystemRandom().sample(PORTS, 200):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError("no port is free")
