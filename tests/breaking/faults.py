"""What a seed draws to go wrong, and when: a plan of faults, each at its time, on a machine, in a process, for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.breaking.inside import POINTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

LEASE_S = 2.0  # how long a claim lasts while the service is broken
CLOCK_MOST_MS = (
    125_000  # so that no two clocks ever differ by 300 s: no more is followed, nor let pass by verifiers
)

KINDS = {
    "kill": "kill -9 of one process",
    "freeze": "SIGSTOP of one process for longer than a lease, then SIGCONT",
    "stop": "SIGTERM, as a deployment does, and a start",
    "clock": "the clock of a machine jumps, forwards or back",
    "cut": "all connections of the database are cut",
    "gone": "the database lets nobody in",
    "locked": "somebody else holds the database's locks",
    "full": "nothing can be written to any file",
    "disk": "the disk of the primary or of its standby is full",
    "restart": "the database is restarted, in an orderly way or not",
    "promote": "the primary is lost, and its standby promoted",
}
EVERYWHERE = ("kill", "freeze", "stop", "clock", "locked")
ONLY = {
    "sqlite": ("full",),
    "postgresql": ("cut", "gone"),
    "cluster": ("cut", "gone", "restart", "promote", "disk"),
}
"""By kind of database; a cluster is a PostgreSQL with a standby, both of which are ours to break."""
WEIGHTS = {
    "kill": 6, "freeze": 4, "stop": 1, "clock": 2, "cut": 3, "gone": 1, "locked": 1, "full": 2, "restart": 2, "promote": 2,
    "disk": 2,
}  # fmt: skip
HOW = {
    "restart": ("fast", "immediate"),
    "promote": ("fast", "immediate", "kill"),
    "disk": ("primary", "log", "standby"),
}
PARTS = {
    "serve": ("supervisor", "book", "web", "work"),
    "receive": ("supervisor", "book", "web"),
    "work": ("supervisor", "work"),
}
EACH_S = 1.6  # between one fault and the next, on average


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong: when it begins, what, where, and for how long."""

    at_s: float
    kind: str
    machine: int = 0
    role: str = ""
    point: str | None = None  # where the process is then; None: anywhere
    passes: int = 0  # how often it passes the point before
    for_s: float = 0.0
    wrong_by_ms: int = 0
    how: str = ""  # the database's server is stopped, or which of them has no room

    def __str__(self) -> str:
        where = f" machine {self.machine}" if self.kind in ("kill", "freeze", "stop", "clock", "full") else ""
        who = f" {self.role}" if self.role else ""
        place = f' at "{self.point}" after {self.passes}' if self.point else ""
        how = f" by {self.wrong_by_ms / 1000:+.0f} s" if self.kind == "clock" else f" {self.how}".rstrip()
        long = f" for {self.for_s:.1f} s" if self.for_s else ""
        return f"{self.kind}{where}{who}{place}{how}{long}"


def known(database: str) -> tuple[str, ...]:
    """Return the kinds of faults that a database of this kind can have."""
    return (*EVERYWHERE, *ONLY[database])


def draw_plan(random: Random, seconds: float, machines: tuple[str, ...], kinds: Iterable[str]) -> list[Fault]:
    """Draw what goes wrong in so many seconds; the kinds take turns at first, so that a short run has many."""
    chosen = list(kinds)
    if not chosen:
        return []
    plan: list[Fault] = []
    first = random.sample(chosen, len(chosen))
    at_s = random.uniform(0.3, 0.8)
    while at_s < seconds - 0.2:
        kind = first.pop() if first else random.choices(chosen, [WEIGHTS[one] for one in chosen])[0]
        plan.append(_draw(random, kind, at_s, machines))
        at_s += random.uniform(0.3, 2 * EACH_S - 0.3)
    return plan


def _draw(random: Random, kind: str, at_s: float, machines: tuple[str, ...]) -> Fault:
    machine = random.randrange(len(machines))
    if kind in ("kill", "freeze"):
        role = random.choice(PARTS[machines[machine]])
        points = POINTS.get(role, ())
        point = random.choice(points) if points and random.random() < 0.7 else None
        long = random.uniform(1.2, 1.9) * LEASE_S if kind == "freeze" else 0.0
        return Fault(at_s, kind, machine, role, point, random.randrange(12), long)
    if kind == "clock":
        return Fault(at_s, kind, machine, wrong_by_ms=random.randint(-CLOCK_MOST_MS, CLOCK_MOST_MS))
    if kind == "cut":
        return Fault(at_s, kind)
    if kind == "stop":
        return Fault(at_s, kind, machine)
    if kind in HOW:
        long = random.uniform(0.5, 3.0) if kind == "disk" else 0.0
        return Fault(at_s, kind, how=random.choice(HOW[kind]), for_s=long)
    return Fault(at_s, kind, machine, for_s=random.uniform(0.5, 3.0))
