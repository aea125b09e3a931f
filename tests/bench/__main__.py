"""`make bench`: ratios of one run, interleaved and repeated. Absolute figures are this machine's and this minute's.

webhooks    durable events per second over HTTP, against (0) a Flask route that does nothing, (a) one that only
            checks the HMAC and parses the same body, both on the same server, (b) our own code where each request
            commits on its own, and (c) our own door with batches of one; the same with every event of one member,
            and with few connections
latencies   p50 and p99 of the same rounds
redemptions begun and applied per second over HTTP, over durable events of the same service
deliveries  claimed, signed, sent and recorded per second, against bare loops on as many threads: of `Session.post`, and of
            our own way to send
isolation   how long healthy endpoints' deliveries wait beside hanging ones, over without them
overdue     from the start of `work` with a million due deliveries to the first one sent
costs       statements and bytes written per event; memory of all processes under that load
dialects    a call in a vendor's words, over the same one in ours
removing    a commit of the door beside retention, over the same commit alone
growth      what a member with 10,000 lots costs, over one with 10: commands and reads

What takes longer, or more room, has a command of its own: `large` (a database of a million transfers
and more), `hour` and `year`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text

from tests.bench import costs, dialects, growth, hooks, isolation, overdue, redeeming, removing, sending
from tests.bench.load import Measured, drive
from tests.bench.service import baseline, configure, fresh, memory_mb, running, without_door

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil

NEARBY = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
THREADS = 64
_RECEIVER = f"/webhooks/{hooks.SOURCE}"
console = Console(width=110)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument(
        "--postgres", default=NEARBY, help="URL of a server to measure on too; empty: SQLite only"
    )
    options = parser.parse_args()
    with databases(options.postgres) as urls:
        for name, url in urls.items():
            webhooks(name, url, options)
        for name, url in urls.items():
            costs.show(console, name, url)
            redeeming.show(console, name, url)
            growth.show(console, name, url)
            sending.show(console, name, url)
            isolation.show(console, name, url)
            overdue.show(console, name, url)
            removing.show(console, name, url)
            dialects.show(console, name, url)
    return 0


@contextmanager
def databases(postgres: str) -> Iterator[dict[str, str]]:
    """Yield a maker of fresh databases' URLs for each kind that can be had."""
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-") as folder, ExitStack() as stack:
        urls = {"SQLite": f"sqlite:///{folder}/loyalty.db"}
        if postgres:
            try:
                urls["PostgreSQL"] = stack.enter_context(_postgres(postgres))
            except Exception as error:  # noqa: BLE001 - whatever it is: the bench goes on without
                console.print(f"[red]PostgreSQL is left out: {type(error).__name__}")
        yield urls


@contextmanager
def _postgres(server: str) -> Iterator[str]:
    name = "loyalty_bench"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield engine.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        engine.dispose()


def webhooks(name: str, url: str, options: argparse.Namespace) -> None:
    """Measure taking webhooks in."""
    rounds: dict[str, list[Measured]] = {
        "does nothing (0)": [],
        "checks and parses only (a)": [],
        "durable": [],
        "durable, every one of the same member": [],
        "durable, on 4 connections": [],
        "each request commits on its own, no door (b)": [],
        "a door that commits each on its own (c)": [],
    }
    memory = 0.0
    for _ in range(options.rounds):
        fresh(url)  # or each round would measure a larger database than the one before it
        configure(url)
        with baseline(THREADS) as port:
            rounds["does nothing (0)"].append(_round(port, "/nothing", options))
            rounds["checks and parses only (a)"].append(_round(port, "/check", options))
        with _served(url) as (port, process):
            rounds["durable"].append(_round(port, _RECEIVER, options))
            memory = max(memory, memory_mb(process))
            hot = hooks.requests(port, members=1)
            rounds["durable, every one of the same member"].append(_load(port, hot, options))
            rounds["durable, on 4 connections"].append(
                _load(port, hooks.requests(port), options, connections=4)
            )
        with without_door(url) as port:
            rounds["each request commits on its own, no door (b)"].append(_round(port, _RECEIVER, options))
        with _served(url, door__batch_max=1) as (port, _):
            rounds["a door that commits each on its own (c)"].append(_round(port, _RECEIVER, options))
    _print(name, rounds, memory)


@contextmanager
def _served(url: str, **settings: object) -> Iterator[tuple[int, psutil.Process]]:
    with tempfile.TemporaryDirectory() as folder, running(url, Path(folder), **settings) as served:
        yield served


def _round(port: int, path: str, options: argparse.Namespace) -> Measured:
    requests = hooks.requests(port, path=path)
    drive(port, requests, connections=options.connections, seconds=0.5)  # warm up
    return _load(port, requests, options)


def _load(
    port: int, requests: Iterator[bytes], options: argparse.Namespace, connections: int | None = None
) -> Measured:
    return drive(port, requests, connections=connections or options.connections, seconds=options.seconds)


def _print(name: str, rounds: dict[str, list[Measured]], memory: float) -> None:
    table = Table(title=f"webhooks in, {name}", title_justify="left")
    for column in ("", "events/s", "p50 ms", "p99 ms", "not 2xx"):
        table.add_column(column, justify="right" if column else "left")
    rates = {kind: statistics.median(one.per_second for one in measured) for kind, measured in rounds.items()}
    for kind, measured in rounds.items():
        bad = sum(count for one in measured for status, count in one.statuses.items() if status >= 300)
        p50, p99 = (statistics.median(one.quantile(share) for one in measured) for share in (0.5, 0.99))
        table.add_row(kind, f"{rates[kind]:.0f}", f"{p50:.1f}", f"{p99:.1f}", str(bad))
    console.print(table)
    nothing, check, ours, hot, _, alone, single = rates.values()
    console.print(
        f"durable / (0) = [bold]{ours / nothing:.2f}[/]   durable / (a) = [bold]{ours / check:.2f}[/]   "
        f"durable / (b) = [bold]{ours / alone:.1f}[/]   "
        f"durable / (c) = [bold]{ours / single:.1f}[/]   "
        f"one member / all = [bold]{hot / ours:.2f}[/]   "
        f"memory of all processes under load: [bold]{memory:.0f} MB[/]\n",
    )


if __name__ == "__main__":
    sys.exit(main())
