"""Carries out a plan of faults, each at its time and on a thread of its own, and heals everything in the end."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from tests.breaking.faults import CLOCK_MOST_MS
from tests.breaking.inside import POINTS
from tests.breaking.machines import Machine, wait_until
from tests.clusters import USER
from tests.ports import HOST
from tests.service.test_bad_nights import full, gone, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from tests.breaking.faults import Fault
    from tests.clusters import Cluster

DATABASE = "loyalty"  # of a cluster
AT_POINT_S = 2.0  # how long a process has to come to a point; it is broken anywhere then
HERE_S = 30.0  # how long a fault waits for the process that it is for
CLOCK_IN_THE_END_MS = CLOCK_MOST_MS + 40_000
"""All that a wrong clock put off is due by then, and verifiers still let it pass."""


@dataclass
class Nemesis:
    """Breaks what it is told to, and counts how often it did."""

    url: str
    cluster: Cluster | None
    machines: list[Machine]
    tell: Callable[[str], None]
    hits: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)  # of kills and freezes, by role and point
    missed: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    database: threading.Lock = field(default_factory=threading.Lock)  # one fault of the database at a time

    def carry_out(self, plan: list[Fault], seconds: float) -> None:
        """Let everything go wrong at its time; return once so many seconds are over and everything is healed."""
        began = time.monotonic()
        ways: dict[str, Callable[[Fault], bool]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "stop": self._stop,
            "clock": self._set_clock,
            "cut": self._cut,
            "gone": lambda fault: self._take_away(fault, gone),
            "locked": lambda fault: self._take_away(fault, locked),
            "full": self._fill,
            "restart": self._restart,
            "promote": self._promote,
            "disk": self._fill_disk,
        }

        def let_happen(fault: Fault) -> None:
            hit = ways[fault.kind](fault)
            self.hits[fault.kind] += hit
            if not hit:
                self.missed.append(str(fault))
            self.tell(f"{fault}{'' if hit else '  (there was nobody)'}")

        threads = []
        for fault in plan:
            if self.over.wait(max(began + fault.at_s - time.monotonic(), 0)):
                break
            threads.append(threading.Thread(target=let_happen, args=(fault,), name=fault.kind))
            threads[-1].start()
        self.over.wait(max(began + seconds - time.monotonic(), 0))
        for thread in threads:
            thread.join()
        self._heal()

    def _heal(self) -> None:
        for machine in self.machines:
            for role, points in POINTS.items():
                for point in points:
                    machine.take_back(role, point)
            for process in machine.alive():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)
            machine.set_clock(CLOCK_IN_THE_END_MS)

    # --- processes --------------------------------------------------------------------------------------------------

    def _kill(self, fault: Fault) -> bool:
        return self._signal(fault, "KILL") is not None

    def _freeze(self, fault: Fault) -> bool:
        process = self._signal(fault, "STOP")
        if process is None:
            return False
        self.over.wait(fault.for_s)
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
        return True

    def _signal(self, fault: Fault, how: str) -> psutil.Process | None:
        """Have a process end or stop, at a point if it comes to it soon; return it, or None where there is none."""
        machine = self.machines[fault.machine]
        if not wait_until(lambda: machine.process(fault.role) is not None, HERE_S):
            return None
        process = machine.process(fault.role)
        if process is None:
            return None
        if fault.point is not None:
            machine.order(fault.role, fault.point, how, fault.passes)
            if wait_until(lambda: _is_out(process), AT_POINT_S):
                self.points[f"{how.lower()} {fault.role} at {fault.point}"] += 1
                return process
            machine.take_back(fault.role, fault.point)
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.Signals[f"SIG{how}"])
            return process
        return None

    def _stop(self, fault: Fault) -> bool:
        machine = self.machines[fault.machine]
        machine.stop()
        machine.start()
        return True

    def _set_clock(self, fault: Fault) -> bool:
        self.machines[fault.machine].set_clock(fault.wrong_by_ms)
        return True

    def _fill(self, fault: Fault) -> bool:
        root = self.machines[fault.machine].root
        if root is None or root.poll() is not None:
            return False
        with suppress(psutil.NoSuchProcess), full(psutil.Process(root.pid)):
            self.over.wait(fault.for_s)
            return True
        return False

    # --- the database -----------------------------------------------------------------------------------------------

    def _reached(self) -> str:
        """Return the URL of the server that takes writes now."""
        if self.cluster is None:
            return self.url
        there = make_url(f"postgresql+psycopg://{USER}@{HOST}:{self.cluster.primary.port}/{DATABASE}")
        return there.render_as_string(hide_password=False)

    def _cut(self, _fault: Fault) -> bool:
        statement = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        cut: Sequence[object] = ()
        with self.database:
            url = make_url(self._reached())
            server = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
            with suppress(DBAPIError), server.connect() as connection:
                cut = connection.execute(statement, {"name": url.database}).all()
            server.dispose()
        return bool(cut)

    def _take_away(self, fault: Fault, trouble: Callable[[str], AbstractContextManager[None]]) -> bool:
        with self.database, suppress(DBAPIError), trouble(self._reached()):
            self.over.wait(fault.for_s)
            return True
        return False

    def _restart(self, fault: Fault) -> bool:
        assert self.cluster is not None, "somebody else's database"
        with self.database:
            self.cluster.restart(fault.how)
        return True

    def _promote(self, fault: Fault) -> bool:
        assert self.cluster is not None, "somebody else's database"
        with self.database:
            self.cluster.fail_over(fault.how)
            self.cluster.rejoin()
        return True

    def _fill_disk(self, fault: Fault) -> bool:
        assert self.cluster is not None, "somebody else's database"
        with self.database, self.cluster.without_room(fault.how) as full:
            self.over.wait(fault.for_s if full else 0)
        return full


def _is_out(process: psutil.Process) -> bool:
    """Return whether a process is dead or stopped."""
    try:
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return True
