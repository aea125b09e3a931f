"""Redemptions over HTTP, beside webhooks over HTTP on as many connections of the same service.

Members who have points begin redemptions through the API, with a key and an Idempotency-Key of its own each; then those
are applied. Webhooks, beginnings and applications take turns, and the medians count.
"""

from __future__ import annotations

import statistics
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import select

from adapter import ids
from adapter.store import tables as t
from adapter.store.database import open_database
from tests.bench import hooks
from tests.bench.filling import fill
from tests.bench.load import Measured, drive
from tests.bench.service import TOKEN, add_key, configure, fresh, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from sqlalchemy import Engine

MEMBERS = 2_000
CONNECTIONS, SECONDS, ROUNDS = 64, 3.0, 3
_numbers = count(1)


def beginnings(port: int, members: int) -> Iterator[bytes]:
    """Yield requests that begin a redemption of one point, of one member after the other in no order."""
    for number in _numbers:
        member = f"{hooks.SOURCE}:{number * 7919 % members + 1}"
        yield _post(port, "/v1/redemptions", {"member": member, "points": 1}, f"begin-{number}")


def applications(port: int, engine: Engine) -> Iterator[bytes]:
    """Yield requests that apply the redemptions that are pending now."""
    pending = select(t.redemptions.c.id).where(t.redemptions.c.state == "pending")
    with engine.connect() as connection:
        found = connection.execute(pending).scalars().all()
    for number in found:
        shown = ids.show("rdm", number)
        yield _post(port, f"/v1/redemptions/{shown}/apply", {}, f"apply-{shown}")


def _post(port: int, path: str, body: dict[str, object], key: str) -> bytes:
    written = orjson.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {TOKEN}\r\nIdempotency-Key: {key}\r\nContent-Length: {len(written)}\r\n\r\n"
    )
    return head.encode() + written


def show(console: Console, name: str, url: str) -> None:
    """Print redemptions begun and applied per second, over durable events per second."""
    fresh(url)
    configure(url, "http://127.0.0.1:9/none")
    engine = open_database(url)
    add_key(engine)
    shop = fill(engine, MEMBERS * 10)
    forget_endpoints(engine)
    rounds: dict[str, list[Measured]] = {"events": [], "begun": [], "applied": []}
    with tempfile.TemporaryDirectory() as folder, running(url, Path(folder)) as (port, _):
        for _ in range(ROUNDS):
            for kind, measured in rounds.items():
                requests = {
                    "events": lambda: hooks.requests(port, members=shop.members),
                    "begun": lambda: beginnings(port, shop.members),
                    "applied": lambda: applications(port, engine),
                }[kind]()
                measured.append(drive(port, requests, connections=CONNECTIONS, seconds=SECONDS))
    engine.dispose()
    events, begun, applied = (statistics.median(one.per_second for one in each) for each in rounds.values())
    p50, p99 = (statistics.median(one.quantile(share) for one in rounds["begun"]) for share in (0.5, 0.99))
    bad = sum(
        n for each in rounds.values() for one in each for status, n in one.statuses.items() if status >= 300
    )
    console.print(
        f"{name}: redemptions begun {begun:.0f}/s (p50 {p50:.0f}, p99 {p99:.0f} ms), applied {applied:.0f}/s, events "
        f"{events:.0f}/s, not 2xx {bad}; begun / events [bold]{begun / events:.2f}[/], applied / events "
        f"[bold]{applied / events:.2f}[/]"
    )


def forget_endpoints(engine: Engine) -> None:
    """Have nobody hear of what happens from now on."""
    with engine.begin() as connection:
        connection.execute(t.endpoints.delete())
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
