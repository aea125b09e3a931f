"""An hour under a steady load: what all processes hold together is printed each minute, and must not rise.

    python -m tests.bench.hour --minutes 60 --rate 100

Webhooks, redemptions and reads of members who exist, and a subscriber who hears of every change. Ends with 1 where the
memory rises or is ever more than it may be, where an answer is not what it should be, or where the rate is not reached.
The first minutes are left out of the rise: caches fill, threads and connections begin.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from adapter.store.database import open_database
from tests.bench import hooks, sending
from tests.bench.filling import fill
from tests.bench.large import reads
from tests.bench.load import Measured, drive
from tests.bench.redeeming import beginnings
from tests.bench.service import add_key, configure, fresh, memory_of, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psutil

TRANSFERS = 20_000
CONNECTIONS = 8
MOST_MB = 400
RISE_MOST = 0.05  # of the mean, over the whole run
WARM_UP = 0.2  # of the run, at most so many minutes:
WARM_UP_MOST = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hour", description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=int, default=100, help="requests a second")
    parser.add_argument("--url", help="of a database that may be emptied; without it SQLite")
    options = parser.parse_args()
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="loyalty-hour-") as folder, sending.receiver() as address:
        url = options.url or f"sqlite:///{folder}/loyalty.db"
        members = _furnish(url, address)
        with running(url, Path(folder)) as (port, process):
            return _watch(console, process, _mixed(port, members), port, options)


def _furnish(url: str, address: str) -> int:
    fresh(url)
    configure(url, address)
    engine = open_database(url)
    add_key(engine)
    shop = fill(engine, TRANSFERS)
    engine.dispose()
    return shop.members


def _mixed(port: int, members: int) -> Iterator[bytes]:
    """Yield eight webhooks, a redemption and a read, in turn."""
    events, redemptions = hooks.requests(port, members=members), beginnings(port, members)
    balances = reads(port, members)
    while True:
        yield from chain(islice(events, 8), islice(redemptions, 1), islice(balances, 1))


def _watch(
    console: Console,
    process: psutil.Process,
    requests: Iterator[bytes],
    port: int,
    options: argparse.Namespace,
) -> int:
    """Load minute after minute; return 0 where nothing was wrong."""
    held: list[float] = []
    wrong = 0
    for minute in range(1, options.minutes + 1):
        measured = _minute(port, requests, options.rate)
        memory = memory_of(process)
        held.append(sum(memory.values()))
        wrong += sum(count for status, count in measured.statuses.items() if status >= 300)
        console.print(
            f"minute {minute}: {held[-1]:.0f} MB ({_told(memory)}); {measured.per_second:.0f} answers/s, "
            f"p50 {measured.quantile(0.5):.0f}, p99 {measured.quantile(0.99):.0f} ms; not 2xx so far: {wrong}"
        )
        if measured.per_second < 0.9 * options.rate:
            console.print("[red]the rate is not reached")
            wrong += 1
    rise = rise_of(held)
    console.print(
        f"most {max(held):.0f} MB (at most {MOST_MB}); rise over the run {rise:+.1%} (at most {RISE_MOST:.0%})"
    )
    return int(bool(wrong) or max(held) > MOST_MB or rise > RISE_MOST)


def _minute(port: int, requests: Iterator[bytes], rate: int) -> Measured:
    """Send so many requests each second, for a minute."""
    whole = Measured()
    began = time.perf_counter()
    for second in range(60):
        time.sleep(max(began + second - time.perf_counter(), 0))
        one = drive(port, islice(requests, rate), connections=CONNECTIONS, seconds=60)
        whole.latencies += one.latencies
        for status, count in one.statuses.items():
            whole.statuses[status] = whole.statuses.get(status, 0) + count
    whole.seconds = max(time.perf_counter() - began, 60)
    return whole


def rise_of(held: list[float]) -> float:
    """Return by which share of its mean a figure rises over the run, by a straight line through all but the first."""
    settled = held[min(int(len(held) * WARM_UP), WARM_UP_MOST) :]
    if len(settled) < 2:
        return 0.0
    line = statistics.linear_regression(range(len(settled)), settled)
    return line.slope * (len(settled) - 1) / statistics.mean(settled)


def _told(memory: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {mb:.0f}" for name, mb in memory.items())


if __name__ == "__main__":
    sys.exit(main())
