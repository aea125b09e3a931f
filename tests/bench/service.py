"""The product under measurement: real processes, a real database, configured as an operator would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import Engine, Table, insert, text

from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.store.migrate import migrate
from tests.bench.hooks import SECRET, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINT_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PROGRAM = Program.model_validate({"name": "main", "earning": {"rate": "1"}, "expiry": {"months": 12}})


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fresh(url: str) -> None:
    """Empty the database, and bring it up to date as the product does."""
    engine = open_database(url)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    else:
        for name in ("", "-wal", "-shm"):
            Path(f"{engine.url.database}{name}").unlink(missing_ok=True)
    migrate(engine)
    engine.dispose()


def configure(url: str, endpoint: str | None = None, *, timeout_s: int = 15) -> None:
    """Make one environment with a WooCommerce source and, if asked, an endpoint that hears of balances."""
    engine = open_database(url)
    configure_engine(engine, endpoint, timeout_s=timeout_s)
    engine.dispose()


def configure_engine(engine: Engine, endpoint: str | None = None, *, timeout_s: int = 15) -> None:
    """Do the same in an open database."""
    rows: list[tuple[Table, dict[str, object]]] = [
        (t.environments, {"id": 1, "tenant": "bench", "mode": "test", "created_at": 0, "secret": b"secret"}),
        (t.configuration, {"id": 1, "version": 1}),
        (
            t.programs,
            {"env": 1, "name": "main", "version": 1, "published_at": 0, "body": PROGRAM.model_dump_json()},
        ),
        (
            t.definitions,
            {"env": 1, "id": 1, "program": "main", "name": "points", "unit": "points", "decimals": 0},
        ),
        (
            t.sources,
            {
                "env": 1,
                "name": SOURCE,
                "connector": "woocommerce",
                "program": "main",
                "orders_of": SOURCE,
                "secrets": f'["{SECRET}"]',
                "options": "{}",
            },
        ),
    ]
    if endpoint is not None:
        rows.append(
            (
                t.endpoints,
                {
                    "env": 1,
                    "id": 1,
                    "url": endpoint,
                    "format": "native",
                    "schedule": "[1, 1, 2, 5]",
                    "timeout_s": timeout_s,
                    "ordered": 0,
                    "headers": "{}",
                    "secrets": f'[{{"secret": "{ENDPOINT_SECRET}"}}]',
                    "events": '["balance.updated"]',
                    "concurrency": 64,
                    "state": "enabled",
                    "failures": 0,
                    "created_at": 0,
                    "updated_at": 0,
                },
            )
        )
    with engine.begin() as connection:
        for table, row in rows:
            connection.execute(insert(table).values(**row))


@contextmanager
def running(url: str, folder: Path, **settings: object) -> Iterator[tuple[int, psutil.Process]]:
    """Serve the product on a free port; yield the port and the process that looks after the others."""
    port = free_port()
    names = {f"LOYALTY_{name.upper()}": str(value) for name, value in settings.items()}
    environment = (
        os.environ
        | names
        | {
            "LOYALTY_DATABASE_URL": url,
            "LOYALTY_DATA_DIR": str(folder),
            "LOYALTY_SERVER__PORT": str(port),
            "LOYALTY_LOG__LEVEL": "error",
        }
    )
    start = "from adapter import app, settings; app.serve(settings.load_settings())"
    with _process([sys.executable, "-c", start], environment, port, "/readyz") as process:
        yield port, process


@contextmanager
def baseline(threads: int) -> Iterator[int]:
    """Serve the route that only checks and parses."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.baseline", str(port), str(threads)]
    with _process(command, dict(os.environ), port, "/nothing"):
        yield port


@contextmanager
def _process(
    command: list[str],
    environment: dict[str, str],
    port: int,
    path: str,
) -> Iterator[psutil.Process]:
    started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait(started, f"http://127.0.0.1:{port}{path}")
        yield psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait(60)


def _wait(process: subprocess.Popen[bytes], url: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode} before it was ready")
        with suppress(urllib.error.HTTPError), suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        with (
            suppress(OSError),
            closing(socket.create_connection(("127.0.0.1", int(url.split("/")[2].split(":")[1])), timeout=1)),
        ):
            if url.endswith("/nothing"):
                return
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within {seconds} s")


def memory_mb(process: psutil.Process) -> float:
    """Return what all processes of the service hold together; pages that they share count once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += one.memory_full_info().pss
    return total / 1_000_000
