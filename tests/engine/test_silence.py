"""A book that hangs: it is there, and says nothing. Whoever submits hears so in time, and the queue stays short."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from adapter.engine.door import Door
from adapter.engine.remote import PROBES, DoorServer, RemoteDoor
from adapter.errors import Busy, Unavailable
from adapter.program.model import Program
from tests.engine.remotely import attached
from tests.shop import NOW, configure, placed, recorded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

MAIN = Program.model_validate({"name": "main", "earning": {"rate": "1"}})
TIMEOUT_S = 0.3
ENDLESS_S = 60  # what takes this long, on the slowest machine, was not given up


@contextmanager
def hanging(path: Path) -> Iterator[None]:
    """Listen where the book should, and never read."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        listener.bind(str(path))
        listener.listen(64)
        yield
    path.unlink()


def refusal(remote: RemoteDoor, size: int = 100) -> tuple[type[Exception], float]:
    """Submit, and return what was raised and after how many seconds."""
    began = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        remote.submit(msgspec.structs.replace(recorded(placed()), body=b"x" * size))
    return raised.type, time.monotonic() - began


def test_while_nothing_is_answered_only_a_few_wait(tmp_path: Path) -> None:
    remote = attached(tmp_path / "door", answer_timeout_s=TIMEOUT_S)
    with hanging(tmp_path / "door"):
        assert refusal(remote)[0] is Unavailable
        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda _: refusal(remote), range(40)))
    assert sum(kind is Unavailable for kind, _ in answers) <= PROBES
    assert sum(kind is Busy for kind, _ in answers) >= 40 - PROBES
    remote.close()


def test_a_socket_that_takes_no_more_is_given_up(tmp_path: Path) -> None:
    remote = attached(tmp_path / "door", answer_timeout_s=TIMEOUT_S)
    with hanging(tmp_path / "door"):
        kind, seconds = refusal(remote, size=8_000_000)  # far more than the socket's buffers hold
        assert kind is Unavailable
        assert seconds < ENDLESS_S
        assert remote.ready()
    remote.close()


def test_one_answer_lets_all_others_in_again(sqlite_database: Engine, tmp_path: Path) -> None:
    configure(sqlite_database, MAIN)
    remote = attached(tmp_path / "door", answer_timeout_s=2)
    with hanging(tmp_path / "door"):
        refusal(remote)
    with Door(sqlite_database, lambda: NOW) as door:
        server = DoorServer(door, tmp_path / "door")
        threading.Thread(target=server.serve, daemon=True).start()
        outcome = None
        while outcome is None:
            try:
                outcome = remote.submit(recorded(placed()))
            except Unavailable:  # the end of the old connection may be noticed only now
                continue
        remote._timeout_s = ENDLESS_S  # whoever is let in is answered, however slow the machine is
        with ThreadPoolExecutor(20) as pool:
            outcomes = list(pool.map(lambda n: remote.submit(recorded(placed(f"{n}"))), range(40)))
        assert {one.state for one in outcomes} == {"applied"}
        server.close()
    remote.close()
