"""What measured costs come to on many machines with one primary: what is used up first, and at which rate. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import ClassVar


@dataclass(frozen=True)
class Costs:
    """What was measured. Times are milliseconds of a core."""

    web_ms: float  # an event, in a web process
    book_ms: float  # an event, in the door's process
    event_db_ms: float  # an event, in the database's server
    work_ms: float  # a delivery, in the dispatcher
    delivery_db_ms: float
    event_wal: float  # bytes
    delivery_wal: float
    batch: float  # events in a commit, under that load
    receive_connections: int  # to the database, of one machine
    work_connections: int


@dataclass(frozen=True)
class Site:
    """What it runs on: assumptions, each an option of the command."""

    cores: int = 2  # of a machine that receives or works; a larger one runs several of either
    primary_cores: int = 32
    primary_use: float = 0.7  # as much of them as one plans with
    wal_mb_s: float = 200.0  # what the primary writes, and its standby takes
    members: int = 1_000_000  # who are active at a time
    deliveries: float = 1.0  # for each event


@dataclass(frozen=True)
class Plan:
    """So many machines, shared out between the two kinds so that neither waits for the other; events a second."""

    machines: int
    receivers: float
    able: float  # what the machines could do
    primary: float  # what the primary's cores can
    wal: float  # what its log can
    connections: float
    waiting: float  # the share of batches that meet another door's member, and wait for its commit

    COLUMNS: ClassVar = (
        "machines",
        "of them receive",
        "they can, events/s",
        "primary's cores can",
        "primary's log can",
        "so it does",
        "used up first",
        "connections",
        "batches that wait",
    )

    def row(self) -> tuple[str, ...]:
        """Return it as `COLUMNS` has it."""
        rates = (self.able, self.primary, self.wal, self.rate)
        return (
            str(self.machines),
            f"{self.receivers:g}",
            *(f"{rate:,.0f}" for rate in rates),
            self.first,
            f"{self.connections:,.0f}",
            f"{self.waiting:.1%}",
        )

    @property
    def rate(self) -> float:
        return min(self.able, self.primary, self.wal)

    @property
    def first(self) -> str:
        """Return what is used up first."""
        limits = {"machines": self.able, "primary's cores": self.primary, "primary's log": self.wal}
        return min(limits, key=lambda name: limits[name])


def receiver_rate(costs: Costs, site: Site) -> float:
    """Return the events a second of one machine that receives: one door, and webs on the other cores."""
    return min(1000 / costs.book_ms, site.cores * 1000 / (costs.web_ms + costs.book_ms))


def worker_rate(costs: Costs, site: Site) -> float:
    """Return how many events' deliveries a second one machine that works sends: a dispatcher is one process."""
    return 1000 / costs.work_ms / site.deliveries


def plan(costs: Costs, site: Site, machines: int) -> Plan:
    receive, work = receiver_rate(costs, site), worker_rate(costs, site)
    if machines == 1:  # both kinds on the same cores
        receivers, whole = 1.0, costs.web_ms + costs.book_ms + site.deliveries * costs.work_ms
        able = min(receive, work, site.cores * 1000 / whole)
        connections: float = costs.receive_connections + costs.work_connections
    else:
        receivers = min(max(round(machines * work / (receive + work)), 1), machines - 1)
        able = min(receivers * receive, (machines - receivers) * work)
        connections = receivers * costs.receive_connections + (machines - receivers) * costs.work_connections
    db_ms = costs.event_db_ms + site.deliveries * costs.delivery_db_ms
    wal = costs.event_wal + site.deliveries * costs.delivery_wal
    return Plan(
        machines=machines,
        receivers=receivers,
        able=able,
        primary=site.primary_cores * site.primary_use * 1000 / db_ms,
        wal=site.wal_mb_s * 1e6 / wal,
        connections=connections,
        waiting=1 - exp(-(receivers - 1) * costs.batch**2 / site.members),
    )
