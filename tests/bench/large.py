"""What a large database costs, beside a small one of the same kind: rates of both, by turns, and bytes.

    python -m tests.bench.large --transfers 1000000

Both are made by `filling`: the small one has 20,000 transfers. The same load goes to both: webhooks and redemptions of
members that exist, reads of balances, deliveries. Needs room: 2.3 KB a transfer on SQLite, 2.9 KB on PostgreSQL.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, make_url, text

from adapter.store import tables as t
from adapter.store.database import open_database
from tests.bench import hooks, sending
from tests.bench.filling import fill
from tests.bench.load import drive
from tests.bench.redeeming import beginnings, forget_endpoints
from tests.bench.service import TOKEN, add_key, configure, fresh, running
from tests.delivery.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SMALL = 20_000
NEARBY = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
DELIVERIES = 2_000
LEDGER = (t.transfers, t.lots, t.allocations)
_numbers = count(1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large", description=__doc__)
    parser.add_argument("--transfers", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--folder", help="where SQLite's files are made")
    parser.add_argument("--postgres", default=NEARBY, help="URL of a server; empty: SQLite only")
    parser.add_argument("--no-sqlite", action="store_true", help="PostgreSQL only")
    options = parser.parse_args()
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="loyalty-large-", dir=options.folder) as folder:
        if not options.no_sqlite:
            show(console, "SQLite", lambda name: f"sqlite:///{folder}/{name}.db", options)
    if options.postgres:
        with ExitStack() as stack:
            show(
                console,
                "PostgreSQL",
                lambda name: stack.enter_context(_database(options.postgres, name)),
                options,
            )
    return 0


@contextmanager
def _database(server: str, name: str) -> Iterator[str]:
    """Make a database on a server, and drop it in the end."""
    engine, made = create_engine(server, isolation_level="AUTOCOMMIT"), f"loyalty_bench_{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {made} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {made}"))
    try:
        yield make_url(server).set(database=made).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {made} WITH (FORCE)"))
        engine.dispose()


def show(console: Console, kind: str, url_of: Callable[[str], str], options: argparse.Namespace) -> None:
    """Print the bytes and the rates of a large database and of a small one."""
    urls = {name: url_of(name) for name in ("small", "large")}
    sizes = {"small": SMALL, "large": options.transfers}
    for name, url in urls.items():
        took_s = _fill(url, sizes[name])
        console.print(f"{kind}: {sizes[name]} transfers made in {took_s:.0f} s")
    engine = open_database(urls["large"])
    _print_sizes(console, kind, engine, options.transfers)
    engine.dispose()
    rates: dict[str, dict[str, list[float]]] = {}
    for _ in range(options.rounds):
        for name, url in urls.items():
            for told, rate in _round(url, sizes[name] // 10, options).items():
                rates.setdefault(told, {}).setdefault(name, []).append(rate)
    table = Table(title=f"{options.transfers} transfers ÷ {SMALL}, {kind}", title_justify="left")
    for column in ("", "small: /s", "large: /s", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    for told, measured in rates.items():
        small, large = (statistics.median(measured[name]) for name in ("small", "large"))
        table.add_row(told, f"{small:.0f}", f"{large:.0f}", f"[bold]{large / small:.2f}[/]")
    console.print(table)


def _fill(url: str, transfers: int) -> float:
    fresh(url)
    configure(url, "http://127.0.0.1:9/none")
    engine = open_database(url)
    add_key(engine)
    began = time.perf_counter()
    fill(engine, transfers)
    took_s = time.perf_counter() - began
    forget_endpoints(engine)
    engine.dispose()
    return took_s


def _round(url: str, members: int, options: argparse.Namespace) -> dict[str, float]:
    """Return what one database does in a second, of each kind of load."""
    rates = {}
    with tempfile.TemporaryDirectory() as folder, running(url, Path(folder)) as (port, _):
        loads = {
            "durable events": hooks.requests(port, members=members),
            "redemptions": beginnings(port, members),
            "reads of a balance": reads(port, members),
        }
        for told, requests in loads.items():
            drive(port, requests, connections=options.connections, seconds=0.5)  # warm up
            measured = drive(port, requests, connections=options.connections, seconds=options.seconds)
            wrong = {status: n for status, n in measured.statuses.items() if status >= 300}
            if wrong:
                raise RuntimeError(f"{told}: {wrong}")
            rates[told] = measured.per_second
    rates["deliveries"] = _delivered(url)
    return rates


def reads(port: int, members: int) -> Iterator[bytes]:
    for number in _numbers:
        member = f"{hooks.SOURCE}:{number * 7919 % members + 1}"
        yield (
            f"GET /v1/members/{member}/balance HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n"
        ).encode()


def _delivered(url: str) -> float:
    """Return deliveries per second to four endpoints, which are there only as long."""
    engine = open_database(url)
    with sending.receiver() as address:
        world = World(engine)
        for number in range(4):
            world.endpoint(f"{address}/{number}", concurrency=sending.THREADS)
        rate = sending.dispatched(world, DELIVERIES)
    for dispatcher in world.dispatchers:
        dispatcher.drain()
    forget_endpoints(engine)
    engine.dispose()
    return rate


def _print_sizes(console: Console, kind: str, engine: Engine, transfers: int) -> None:
    """Print what the tables and their indexes take, largest first, and what a transfer takes with its lots."""
    sizes = _sqlite_sizes(engine) if engine.dialect.name == "sqlite" else _postgres_sizes(engine)
    table = Table(title=f"bytes a transfer, {kind}", title_justify="left")
    for column in ("", "table", "indexes"):
        table.add_column(column, justify="right" if column else "left")
    for name, (own, indexes) in sorted(sizes.items(), key=lambda item: -sum(item[1])):
        if (own + indexes) / transfers >= 1:
            table.add_row(name, f"{own / transfers:.0f}", f"{indexes / transfers:.0f}")
    console.print(table)
    ledger = sum(sum(sizes[each.name]) for each in LEDGER) / transfers
    whole = sum(map(sum, sizes.values())) / transfers
    console.print(
        f"{kind}: [bold]{ledger:.0f}[/] bytes a transfer with its lots; {whole:.0f} with everything\n"
    )


Sizes = dict[str, tuple[int, int]]
"""The bytes of each table, and of its indexes."""


def _sqlite_sizes(engine: Engine) -> Sizes:
    query = (
        "SELECT m.tbl_name, sum(CASE WHEN s.name = m.tbl_name THEN s.pgsize ELSE 0 END),"
        " sum(CASE WHEN s.name = m.tbl_name THEN 0 ELSE s.pgsize END)"
        " FROM dbstat AS s JOIN sqlite_master AS m ON m.name = s.name WHERE s.aggregate = TRUE GROUP BY 1"
    )
    return _sizes(engine, query)


def _postgres_sizes(engine: Engine) -> Sizes:
    query = (
        "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return _sizes(engine, query)


def _sizes(engine: Engine, query: str) -> Sizes:
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(query)
        rows: Sequence[Any] = cursor.fetchall()
    return {name: (int(own), int(indexes)) for name, own, indexes in rows}


if __name__ == "__main__":
    sys.exit(main())
