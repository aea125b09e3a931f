"""The product under measurement: real processes, a real database, configured as an operator would."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import Engine, Table, insert, text

from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.store.migrate import migrate
from adapter.web.auth import digest
from tests.bench.hooks import SECRET, SOURCE
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENDPOINT_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "sk_test_0123456789abcdef0123456789abcdef"
PROGRAM = Program.model_validate(
    {"name": "main", "earning": {"rate": "1"}, "expiry": {"months": 12}, "redeeming": {"currency": "EUR"}}
)


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


def add_key(engine: Engine) -> None:
    """Add an API key that may do everything: `TOKEN`."""
    key = {"env": 1, "id": 1, "hash": digest(TOKEN), "hint": "sk_test_01", "scopes": '["*"]', "created_at": 0}
    with engine.begin() as connection:
        connection.execute(insert(t.api_keys).values(**key))


@contextmanager
def running(url: str, folder: Path, **settings: object) -> Iterator[tuple[int, psutil.Process]]:
    """Serve the product on a free port; yield the port and the process that looks after the others."""
    with _receiving("serve", url, folder, settings) as started:
        yield started


@dataclass(frozen=True)
class Running:
    """The product as it runs: the ports that take webhooks in, and the process that each machine began with."""

    ports: tuple[int, ...]
    machines: tuple[psutil.Process, ...]

    @property
    def url(self) -> str:
        """Return where it is asked: of several receivers any."""
        return f"http://127.0.0.1:{random.choice(self.ports)}"

    @property
    def workers(self) -> tuple[psutil.Process, ...]:
        """Return the machines that deliver; a single one does everything."""
        return self.machines[len(self.ports) :] or self.machines

    @property
    def family(self) -> set[int]:
        """Return the ids of all its processes."""
        return {one.pid for top in self.machines for one in (top, *top.children(recursive=True))}


@contextmanager
def together(url: str, folder: Path, **settings: object) -> Iterator[Running]:
    """Run everything as one service."""
    with running(url, folder, **settings) as (port, process):
        yield Running((port,), (process,))


@contextmanager
def apart(
    url: str, folder: Path, *, receivers: int = 2, workers: int = 2, **settings: object
) -> Iterator[Running]:
    """Run it as on several machines: receivers and workers that share nothing but the database."""
    with ExitStack() as stack:
        received = [
            stack.enter_context(_receiving("receive", url, folder, settings)) for _ in range(receivers)
        ]
        worked = [stack.enter_context(_working(url, folder, settings)) for _ in range(workers)]
        ports, first = zip(*received, strict=True) if received else ((), ())
        yield Running(tuple(ports), (*first, *worked))


@contextmanager
def _receiving(
    command: str, url: str, folder: Path, settings: Mapping[str, object]
) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    environment = _environment(url, folder, settings) | {"LOYALTY_SERVER__PORT": str(port)}
    with _process(_command(command), environment, port, "/readyz") as process:
        yield port, process


@contextmanager
def _working(url: str, folder: Path, settings: Mapping[str, object]) -> Iterator[psutil.Process]:
    environment = _environment(url, folder, settings)
    started = subprocess.Popen(_command("work"), env=environment, stdout=subprocess.PIPE)
    try:
        assert started.stdout is not None
        if not started.stdout.readline():  # the one line that says that it works
            raise RuntimeError(f"the workers ended with {started.wait()} before they were ready")
        yield psutil.Process(started.pid)
    finally:
        started.terminate()
        started.communicate(timeout=120)


def _command(name: str) -> list[str]:
    return [sys.executable, "-c", f"from adapter import app, settings; app.{name}(settings.load_settings())"]


def _environment(url: str, folder: Path, settings: Mapping[str, object]) -> dict[str, str]:
    names = {f"LOYALTY_{name.upper()}": str(value) for name, value in settings.items()}
    ours = {
        "LOYALTY_DATABASE_URL": url,
        "LOYALTY_DATA_DIR": str(folder),
        "LOYALTY_LOG__LEVEL": "error",
    }
    return os.environ | names | ours


@contextmanager
def baseline(threads: int) -> Iterator[int]:
    """Serve the route that only checks and parses."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.baseline", str(port), str(threads)]
    with _process(command, dict(os.environ), port, "/nothing"):
        yield port


@contextmanager
def without_door(url: str) -> Iterator[int]:
    """Serve our own code where each request commits on its own."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.single", str(port), url]
    with _process(command, dict(os.environ), port, "/healthz"):
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
        started.wait(120)


def _wait(process: subprocess.Popen[bytes], url: str, seconds: float = 120) -> None:
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
    """Return what all processes of the service hold together, in megabytes."""
    return sum(memory_of(process).values())


def memory_of(process: psutil.Process) -> dict[str, float]:
    """Return what each process of the service holds, in megabytes; pages that several share count once in all."""
    held: dict[str, float] = {}
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            name = _name_of(one)
            held[name] = held.get(name, 0.0) + one.memory_full_info().pss / 1_000_000
    return held


def _name_of(process: psutil.Process) -> str:
    """Return which of the service's processes this is, as far as it can be seen from outside."""
    told = " ".join(process.cmdline())
    if "resource_tracker" in told:
        return "tracker"
    return "spawned" if "spawn_main" in told else "supervisor"
