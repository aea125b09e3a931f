"""A loop for the client of a door in another process, as a web process has one."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from adapter.engine.remote import RemoteDoor

if TYPE_CHECKING:
    from pathlib import Path

LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, name="loop", daemon=True).start()


def attached(path: Path, *, answer_timeout_s: float = 5, in_flight_max: int = 2048) -> RemoteDoor:
    """Return a client on the running loop."""
    remote = RemoteDoor(path, answer_timeout_s=answer_timeout_s, in_flight_max=in_flight_max)
    remote.attach(LOOP)
    return remote
