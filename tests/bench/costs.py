"""What one event costs the database: statements, and bytes that stay."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, event, make_url, text

from adapter import clock
from adapter.engine.batch import Batcher
from adapter.intake import command_of
from adapter.store.database import in_unit_of_work, open_database
from connectors import CONNECTORS
from connectors.base import RawEvent
from tests.bench import hooks
from tests.bench.service import configure, fresh

if TYPE_CHECKING:
    from rich.console import Console

    from adapter.commands import Command

EVENTS = 2048


def show(console: Console, name: str, url: str) -> None:
    """Print statements and bytes per event for batches of one and of many."""
    for size in (1, 256):
        fresh(url)
        engine = open_database(url)
        configure(url, "http://127.0.0.1:9/none")
        statements: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *told, into=statements: into.append(told[2]))
        before = _size(engine)
        commands = _commands(url)
        batcher = Batcher(clock.now)
        statements.clear()
        for start in range(0, EVENTS, size):
            part = commands[start : start + size]
            in_unit_of_work(engine, partial(batcher, commands=part))
        count, written = len(statements), _size(engine) - before
        console.print(
            f"{name}, batches of {size}: {count / EVENTS:.2f} statements an event "
            f"({count / (EVENTS / size):.0f} a batch), {written / EVENTS:.0f} bytes an event",
        )
        engine.dispose()


def _commands(url: str) -> list[Command]:
    from adapter.store.configuration import CatalogCache

    engine = open_database(url)
    source = CatalogCache(engine).get().sources[hooks.SOURCE]
    headers = {"x-wc-webhook-topic": "order.created"}
    connector = CONNECTORS["woocommerce"]
    made: list[Command] = [
        command_of(source, connector, RawEvent(headers, hooks.order(10_000_000 + number), clock.now()))
        for number in range(EVENTS)
    ]
    engine.dispose()
    return made


def _size(engine: Engine) -> int:
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(make_url(engine.url).database or "").stat().st_size
