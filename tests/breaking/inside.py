"""What each process of the service is started as: the product itself, with a clock that can be wrong and places to stop at.

The product has no door for this: here its functions are wrapped before it is imported, and every process that it spawns
begins with this module too. Files in one folder say what is to happen:

- `clock` holds by how many milliseconds the clock is wrong;
- `<role>.<point>` holds `KILL 3` or `STOP 0`: the process of this role gets that signal from itself when it comes to
  the point, having passed it so many times before. What the points are is in `POINTS`;
- `<role>.pid` says which process has the role now, and `processes` lists every one that there ever was.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from adapter import clock
from adapter.store import database

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "BREAKING_FOLDER"
PLANT = "BREAKING_PLANT"
CLOCK_AGE_S = 0.05

_DATABASE = ("statement", "commit", "committed")
POINTS: dict[str, tuple[str, ...]] = {
    "book": _DATABASE,  # before any statement, before a commit, after it and before anybody was answered
    "work": (*_DATABASE, "sending", "sent"),  # before a request to a receiver, after its answer
    "web": ("offering", "answering"),  # before a command is given to the door, after it is durable
}
ROLES = {"MainProcess": "supervisor", "loyalty-book": "book", "loyalty-work": "work"}


class Points:
    """Where a process may be told to stop, and what it was told."""

    def __init__(self, folder: Path, role: str) -> None:
        self._folder = folder
        self._role = role
        self._lock = threading.Lock()
        self._told: dict[str, tuple[str, int]] = {}

    def reach(self, name: str) -> None:
        """Come to a point: look whether this is where it ends, and count."""
        order = self._folder / f"{self._role}.{name}"
        if name not in self._told and not order.exists():
            return
        with self._lock:
            if name not in self._told:
                try:
                    how, passes = order.read_text().split()
                except (OSError, ValueError):  # it was taken back just now
                    return
                self._told[name] = how, int(passes)
            how, left = self._told[name]
            self._told[name] = how, left - 1
            if left > 0:
                return
            del self._told[name]
            try:
                order.unlink()
            except OSError:  # it was taken back meanwhile: nobody waits for this any more, nor would thaw it
                return
        os.kill(os.getpid(), signal.Signals[f"SIG{how}"])

    def have(self, role: str) -> None:
        """Say that this process has a role, be it only found out on the way."""
        self._role = role
        with suppress(OSError):  # no room on the disk, perhaps: the next one will say so
            with (self._folder / "processes").open("a") as listed:
                listed.write(f"{os.getpid()} {role}\n")
            new = self._folder / f"{role}.{os.getpid()}"
            new.write_text(str(os.getpid()))
            new.replace(self._folder / f"{role}.pid")


class Clock:
    """The wall clock, wrong by what the file says."""

    def __init__(self, folder: Path, right: Callable[[], int]) -> None:
        self._file = folder / "clock"
        self._right = right
        self._wrong_by = 0
        self._read_at = float("-inf")

    def now(self) -> int:
        if time.monotonic() - self._read_at > CLOCK_AGE_S:
            self._read_at = time.monotonic()
            with suppress(OSError, ValueError):
                self._wrong_by = int(self._file.read_text())
        return self._right() + self._wrong_by


def between(function: Callable[..., Any], before: Callable[[], None], after: Callable[[], None]) -> Any:
    """Return a function with something before and after it."""

    def wrapped(*given: Any, **named: Any) -> Any:
        before()
        result = function(*given, **named)
        after()
        return result

    return wrapped


def prepare(folder: Path) -> None:
    """Wrap what this process is made of; called before anything else of the product is imported."""
    role = ROLES.get(multiprocessing.current_process().name, "other")
    points = Points(folder, role)
    points.have(role)
    vars(clock)["now"] = Clock(folder, clock.now).now

    def at(name: str) -> Callable[..., None]:
        return lambda *_: points.reach(name)

    event.listen(Engine, "before_cursor_execute", at("statement"))
    event.listen(Engine, "commit", at("commit"))
    vars(database)["in_unit_of_work"] = between(database.in_unit_of_work, lambda: None, at("committed"))
    _wrap_the_rest(points)


def _wrap_the_rest(points: Points) -> None:
    """Wrap the methods by which commands come to the door and messages leave."""
    from adapter.delivery.sender import Sender
    from adapter.engine.remote import RemoteDoor

    begin, offer = RemoteDoor.__init__, RemoteDoor.offer

    def begun(self: RemoteDoor, *given: Any, **named: Any) -> None:
        points.have("web")
        begin(self, *given, **named)

    async def offered(self: RemoteDoor, command: Any) -> Any:
        points.reach("offering")
        outcome = await offer(self, command)
        points.reach("answering")
        return outcome

    made: Any = RemoteDoor  # its methods are exchanged
    made.__init__, made.offer = begun, offered
    sender: Any = Sender
    sender.send = between(Sender.send, lambda: points.reach("sending"), lambda: points.reach("sent"))


if FOLDER in os.environ:
    prepare(Path(os.environ[FOLDER]))
    if PLANT in os.environ:
        from tests.breaking.plants import PLANTS

        PLANTS[os.environ[PLANT]].plant()

if __name__ == "__main__":
    from adapter import app, settings

    getattr(app, sys.argv[1])(settings.load_settings())
