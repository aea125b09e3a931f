"""`python -m tests.bench.machines`: what an event and a delivery cost at each stage, and what many machines could do.

Costs are processor time of the processes and bytes of the log, which do not depend on how busy the machine is with other
things, but for PostgreSQL's log, which others on the same server write too. Rates do; they are marked so.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from adapter.store.database import open_database
from tests.bench import hooks, sending
from tests.bench.__main__ import NEARBY, databases
from tests.bench.load import drive
from tests.bench.model import Costs, Plan, Site, plan
from tests.bench.service import apart, configure, fresh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from tests.bench.service import Running

MEMBERS = 10_000
MACHINES = (1, 2, 8, 32, 128)
CONNECTIONS = 64
ROLES = ("web", "other", "book", "server", "server's own")
console = Console(width=130)


@dataclass(frozen=True)
class Used:
    """What was used up until an instant: milliseconds of a core by who used them, and what the database counts."""

    cpu_ms: dict[tuple[str, int], float]
    commits: int = 0
    wal: int = 0
    connections: int = 0

    def by(self, role: str, since: Used) -> float:
        """Return what a role used since; a process that was not there before began with nothing."""
        mine = {key: ms for key, ms in self.cpu_ms.items() if key[0] == role}
        return sum(ms - since.cpu_ms.get(key, 0.0) for key, ms in mine.items())


def used(running: Running, engine: Engine) -> Used:
    cpu_ms = {}
    for pid in running.family:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            cpu_ms[_role(process), pid] = _cpu_ms(process)
    if engine.dialect.name != "postgresql":
        return Used(cpu_ms)
    with engine.connect() as connection:
        asked = "SELECT pid, backend_type = 'client backend', datname FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        rows = connection.execute(text(asked)).all()
        database = str(engine.url.database)
        for pid, client, name in rows:
            if name == database or not client:
                with suppress(psutil.NoSuchProcess):
                    cpu_ms["server" if client else "server's own", pid] = _cpu_ms(psutil.Process(pid))
        counted = (
            "SELECT xact_commit, pg_current_wal_insert_lsn() - '0/0'::pg_lsn FROM pg_stat_database"
            " WHERE datname = current_database()"
        )
        commits, wal = connection.execute(text(counted)).one()
    return Used(cpu_ms, commits, int(wal), sum(name == database for _, _, name in rows))


def _cpu_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system) * 1000


def _role(process: psutil.Process) -> str:
    """Return which part of the product a process is, by what it listens to."""
    if any(str(one.laddr).endswith("/door") for one in process.net_connections("unix")):
        return "book"
    listens = any(one.status == psutil.CONN_LISTEN for one in process.net_connections("tcp"))
    return "web" if listens else "other"


# --- load -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spent:
    """What so many events or deliveries took, as counted before and after them."""

    number: int
    per_second: float
    before: Used
    after: Used
    doing: Counter[str] = field(
        default_factory=Counter
    )  # of the database's sessions, as often as it was seen

    def ms(self, *roles: str) -> float:
        """Return the time of a core that each of them took in these parts."""
        return sum(self.after.by(role, self.before) for role in roles) / self.number

    @property
    def commits(self) -> float:
        return (self.after.commits - self.before.commits) / self.number

    @property
    def wal(self) -> float:
        return (self.after.wal - self.before.wal) / self.number


def _drive(port: int, first: int, seconds: float, pipe: Connection) -> None:
    """Send orders that no other process sends: some to warm up, and, once told to go on, for so long."""
    hooks._numbers = count(first)
    drive(port, hooks.requests(port, members=MEMBERS), connections=CONNECTIONS, seconds=1)
    pipe.send(None)
    pipe.recv()
    measured = drive(port, hooks.requests(port, members=MEMBERS), connections=CONNECTIONS, seconds=seconds)
    pipe.send((measured.statuses.get(200, 0), measured.per_second))


@contextmanager
def watched(engine: Engine) -> Iterator[Counter[str]]:
    """Look again and again at what the sessions of a PostgreSQL do: run, wait for what, or wait for the next statement."""
    seen: Counter[str] = Counter()
    query = text(
        "SELECT CASE WHEN state = 'idle in transaction' OR wait_event_type = 'Client' THEN 'its door decides'"
        " ELSE coalesce('waits: ' || wait_event_type || ' ' || wait_event, 'runs') END FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state IN ('active', 'idle in transaction')"
    )
    stop = threading.Event()

    def look() -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not stop.wait(0.02):
                seen.update(connection.execute(query).scalars())

    watcher = threading.Thread(target=look)
    if engine.dialect.name == "postgresql":
        watcher.start()
    yield seen
    stop.set()
    if watcher.ident is not None:
        watcher.join()


def take_in(running: Running, engine: Engine, seconds: float) -> Spent:
    """Send events to all doors at once."""
    pipes = []
    for port in running.ports:
        mine, theirs = multiprocessing.Pipe()
        first = next(_firsts)
        multiprocessing.Process(target=_drive, args=(port, first, seconds, theirs), daemon=True).start()
        pipes.append(mine)
    for pipe in pipes:
        pipe.recv()
    before = used(running, engine)
    with watched(engine) as doing:
        for pipe in pipes:
            pipe.send(None)
        made = [pipe.recv() for pipe in pipes]
    after = used(running, engine)
    return Spent(sum(number for number, _ in made), sum(rate for _, rate in made), before, after, doing)


_firsts = count(1_000_000, 1_000_000)


def send_out(running: Running, engine: Engine) -> Spent:
    """Let what is queued be sent, and look at all of it but the beginning and the end."""
    waiting = _delivered(engine, 0.1)
    before, begun, first = used(running, engine), time.perf_counter(), waiting
    last = _delivered(engine, 0.9)
    took_s, after = time.perf_counter() - begun, used(running, engine)
    return Spent(last - first, (last - first) / took_s, before, after)


def _delivered(engine: Engine, share: float) -> int:
    """Wait until this share of all deliveries is done; return how many are."""
    query = text(
        "SELECT count(*), coalesce(sum(CASE WHEN state = 'delivered' THEN 1 ELSE 0 END), 0) FROM deliveries"
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            total, done = connection.execute(query).one()
        if done >= share * total:
            return int(done)
        time.sleep(0.1)
    raise RuntimeError("nothing is sent")


# --- what is shown --------------------------------------------------------------------------------------------------------


def costs_of(url: str, receiver: str, seconds: float) -> tuple[Costs, Spent, Spent]:
    """Measure one machine that receives, and then one that sends what came of it."""
    fresh(url)
    configure(url, receiver)
    engine = open_database(url)
    with tempfile.TemporaryDirectory() as folder:
        with apart(url, Path(folder), receivers=1, workers=0) as running:
            events = take_in(running, engine, seconds)
        with apart(url, Path(folder), receivers=0, workers=1) as running:
            sent = send_out(running, engine)
    engine.dispose()
    costs = Costs(
        web_ms=events.ms("web", "other"),
        book_ms=events.ms("book"),
        event_db_ms=events.ms("server", "server's own"),
        work_ms=sent.ms("web", "other", "book"),
        delivery_db_ms=sent.ms("server", "server's own"),
        event_wal=events.wal,
        delivery_wal=sent.wal,
        batch=1 / events.commits if events.commits else 0,
        receive_connections=events.after.connections,
        work_connections=sent.after.connections,
    )
    return costs, events, sent


def show_costs(name: str, costs: Costs, events: Spent, sent: Spent) -> None:
    table = Table(title=f"what it takes, {name}", title_justify="left")
    for column in ("", "an event", "a delivery"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("web, ms of a core", f"{costs.web_ms:.2f}", "")
    table.add_row("book, ms of a core", f"{costs.book_ms:.2f}", "")
    table.add_row("dispatcher, ms of a core", "", f"{costs.work_ms:.2f}")
    if events.after.wal:
        table.add_row("database, ms of a core", f"{costs.event_db_ms:.2f}", f"{costs.delivery_db_ms:.2f}")
        table.add_row("log, bytes", f"{costs.event_wal:.0f}", f"{costs.delivery_wal:.0f}")
        table.add_row("commits", f"{events.commits:.3f}", f"{sent.commits:.3f}")
        connections = (str(costs.receive_connections), str(costs.work_connections))
        table.add_row("connections of the machine", *connections)
    table.add_row(
        "a second, on this machine as busy as it was", f"{events.per_second:.0f}", f"{sent.per_second:.0f}"
    )
    console.print(table)


def show_plans(costs: Costs, site: Site) -> None:
    title = (
        f"machines of {site.cores} cores, one primary of {site.primary_cores} at {site.primary_use:.0%},"
        f" {site.deliveries:g} deliveries an event"
    )
    table = Table(title=title, title_justify="left")
    for column in Plan.COLUMNS:
        table.add_column(column, justify="right")
    for machines in MACHINES:
        table.add_row(*plan(costs, site, machines).row())
    console.print(table)


def two_doors(url: str, seconds: float, rounds: int) -> None:
    """Print what two doors on one database take in over what one does, in turns; and what an event costs with each."""
    made: dict[int, list[Spent]] = {1: [], 2: []}
    for _ in range(rounds):
        for doors, spent in made.items():
            fresh(url)
            configure(url)
            engine = open_database(url)
            with (
                tempfile.TemporaryDirectory() as folder,
                apart(url, Path(folder), receivers=doors, workers=0) as running,
            ):
                spent.append(take_in(running, engine, seconds))
            engine.dispose()
    rate = {doors: statistics.median(one.per_second for one in spent) for doors, spent in made.items()}
    cost = {doors: statistics.median(one.ms(*ROLES) for one in spent) for doors, spent in made.items()}
    console.print(
        f"two doors take in {rate[2]:.0f} events/s, one {rate[1]:.0f}: [bold]{rate[2] / rate[1]:.2f}[/] times as many, on "
        f"{psutil.cpu_count()} cores that also made the load; an event cost {cost[2]:.2f} and {cost[1]:.2f} ms of a core"
    )
    for doors, spent in made.items():
        doing = sum((one.doing for one in spent), Counter())
        told = ", ".join(f"{what} {seen / doing.total():.0%}" for what, seen in doing.most_common(5))
        console.print(f"  of the time that {doors} had a transaction open: {told}")


def main() -> int:
    given = _arguments()
    site = Site(given.cores, given.primary_cores, wal_mb_s=given.wal, deliveries=given.deliveries)
    mine, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=sending.receive, args=(theirs,), daemon=True).start()
    receiver = f"http://127.0.0.1:{mine.recv()}/hook"
    with databases(given.postgres) as urls:
        for name, url in urls.items():
            costs, events, sent = costs_of(url, receiver, given.seconds)
            show_costs(name, costs, events, sent)
            if name == "PostgreSQL":
                show_plans(costs, site)
                two_doors(url, given.seconds, given.rounds)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.machines",
        description="What an event costs, and what many machines can do.",
    )
    site = Site()
    parser.add_argument("--seconds", type=float, default=8.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="of two doors and one")
    parser.add_argument(
        "--postgres", default=NEARBY, help="URL of a server; its own log is measured, so have it quiet"
    )
    parser.add_argument("--cores", type=int, default=site.cores, help="of a machine")
    parser.add_argument("--primary-cores", type=int, default=site.primary_cores)
    parser.add_argument(
        "--wal", type=float, default=site.wal_mb_s, help="MB of log a second that the primary can write"
    )
    parser.add_argument("--deliveries", type=float, default=site.deliveries, help="for each event")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
