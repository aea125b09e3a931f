"""The machines that the service runs on: real processes, each started again when it is gone, as systemd does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from tests.breaking.inside import FOLDER, PLANT
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
READY_S = 180.0
STOPPED_S = 120.0
RESTART_AFTER_S = 0.1
SETTINGS = {
    "DELIVERY__CONNECT_TIMEOUT_S": 1,
    "DELIVERY__LEASE_MARGIN_S": 1,
    "DELIVERY__POLL_S": 0.05,
    "DOOR__ANSWER_TIMEOUT_S": 2,
    "SWEEP__INTERVAL_S": 0.2,
    "LOG__LEVEL": "error",
    "LOG__FORMAT": "json",
}
"""Impatient, so that a run sees in a minute what a patient service does in an hour."""

_NUMBERS = count()


def wait_until(what: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so, and return whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@dataclass
class Machine:
    """One machine: `serve`, `receive` or `work`, with a folder and a clock of its own."""

    number: int
    kind: str
    url: str
    folder: Path
    plant: str | None = None
    port: int = field(default_factory=free_port)
    wanted: bool = False
    starts: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    root: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, whether or not something of it is left; and from now on whenever it is gone."""
        with self.lock:
            self.wanted = True
            if self.root is not None and self.root.poll() is None:
                return
            self.folder.mkdir(exist_ok=True)
            self.starts += 1
            with (self.folder / "log").open("ab") as log:
                self.root = subprocess.Popen(
                    [sys.executable, "-m", "tests.breaking.inside", self.kind],
                    cwd=ROOT,
                    env=self._environment(),
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )

    def _environment(self) -> dict[str, str]:
        settings = {**SETTINGS, "DATABASE_URL": self.url, "DATA_DIR": self.folder, "SERVER__PORT": self.port}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
        plant = {} if self.plant is None else {PLANT: self.plant}
        named = {f"LOYALTY_{name}": str(value) for name, value in settings.items()}
        return {**inherited, **named, **plant, FOLDER: str(self.folder)}

    def stop(self) -> int | None:
        """End it with SIGTERM; return its exit code, None where it had to be killed."""
        with self.lock:
            self.wanted = False
            root = self.root
        if root is None:
            return 0
        root.terminate()
        try:
            return root.wait(STOPPED_S)
        except subprocess.TimeoutExpired:
            root.kill()
            root.wait()
            return None

    def keep(self) -> None:
        """Start it again if it is wanted and gone."""
        with self.lock:
            if self.wanted and self.root is not None and self.root.poll() is not None:
                self.start()

    def process(self, role: str) -> psutil.Process | None:
        """Return the process that has a role now, None while nobody has."""
        with suppress(OSError, ValueError):
            return self._mine(int((self.folder / f"{role}.pid").read_text()))
        return None

    def _mine(self, pid: int) -> psutil.Process | None:
        """Return a living process of this machine; its number may be a stranger's by now, who must come to no harm."""
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(FOLDER) == str(self.folder):
                return process
        return None

    def order(self, role: str, point: str, how: str, passes: int) -> None:
        """Have a process send itself a signal where it comes to a point."""
        self._put(f"{role}.{point}", f"{how} {passes}")

    def take_back(self, role: str, point: str) -> bool:
        """Take an order back; return whether there was still one."""
        try:
            (self.folder / f"{role}.{point}").unlink()
        except FileNotFoundError:
            return False
        return True

    def set_clock(self, wrong_by_ms: int) -> None:
        """Let the clock of this machine be wrong from now on."""
        self._put("clock", str(wrong_by_ms))

    def _put(self, name: str, content: str) -> None:
        """Write a file that others find whole or not at all, whoever else writes one like it at the same time."""
        new = self.folder / f"new-{next(_NUMBERS)}"
        new.write_text(content)
        new.replace(self.folder / name)

    def alive(self) -> dict[psutil.Process, str]:
        """Return every process that was ever a part of it and lives, with its role."""
        found = {}
        with suppress(OSError):
            listed = dict(map(str.split, (self.folder / "processes").read_text().splitlines()))
            for pid, role in listed.items():
                if (process := self._mine(int(pid))) is not None:
                    found[process] = role
        return found

    def logged(self) -> list[str]:
        """Return the lines that its processes wrote to their logs."""
        with suppress(OSError):
            return (self.folder / "log").read_text("utf-8", "replace").splitlines()
        return []


class Keeper:
    """Looks after machines, as systemd does: what is gone is started again."""

    def __init__(self, machines: list[Machine]) -> None:
        self._machines = machines
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="keeper")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        for machine in self._machines:
            machine.wanted = False
            for process in machine.alive():
                with suppress(psutil.NoSuchProcess):
                    process.kill()

    def _look_after(self) -> None:
        while not self._over.wait(RESTART_AFTER_S):
            for machine in self._machines:
                machine.keep()
