"""A year in a shop's life: the same script on SQLite and on PostgreSQL has to end in the same book.

    python -m tests.bench.year --postgres postgresql+psycopg://…/loyalty_year

Ten thousand members and a hundred thousand things that happen, of every kind, with the time moved on day by day: orders
that are paid, shipped, refunded and cancelled later, webhooks that come twice or in the wrong order, credits, debits and
holds of the API. In the end `audit` and `rebuild` look at each book, and the two are compared by what the shop
calls its customers. Prints the time and the bytes of an event. Needs an empty database that nobody else uses.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.progress import track
from sqlalchemy import Engine, make_url, select, text

from adapter.commands import Command, RecordEvent
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances
from adapter.events import Event
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from tests.bench.service import fresh
from tests.shop import (
    DAY,
    NOW,
    begin,
    cancelled,
    configure,
    end,
    line,
    paid,
    placed,
    play,
    recorded,
    refunded,
    shipped,
    snapshot,
)

if TYPE_CHECKING:
    from adapter.catalog import Source
    from adapter.clock import Millis
    from connectors.base import RawEvent

DAYS = 365
BATCH = 64
PROGRAM = Program.model_validate(
    {
        "name": "main",
        "earning": {"rate": "1", "hold_days": 14, "minimum": "5.00"},
        "expiry": {"months": 3},
    }
)

Ask = Callable[["Book"], Command | None]
"""Something asked of the API: a command for the members of one book, or None where there is nothing to ask."""


@dataclass
class Book:
    """One database: who its members are, and which transactions are pending."""

    engine: Engine
    members: dict[str, int] = field(default_factory=dict)

    def know_members(self) -> None:
        with self.engine.connect() as connection:
            rows = connection.execute(select(t.identities.c.customer, t.identities.c.member))
            self.members = {row.customer: row.member for row in rows}


def webhook(number: int, events: tuple[Event, ...], now: Millis) -> RecordEvent:
    """Return a webhook like no other: its number is in its body."""
    body = msgspec.json.encode((number, events))
    return msgspec.structs.replace(recorded(*events, received_at=now), body=body, key=sha256(body).digest())


def read(_source: Source, raw: RawEvent) -> RecordEvent:
    """Read a stored webhook again."""
    number, events = msgspec.json.decode(raw.body, type=tuple[int, tuple[Event, ...]])
    return webhook(number, events, raw.received_at)


class Script:
    """What happens on which day; the same for every book."""

    def __init__(self, members: int, events: int, seed: int = 1) -> None:
        self._dice = random.Random(seed)
        self._members = members
        self._events = events
        self._days: dict[int, list[RecordEvent | Ask]] = defaultdict(list)
        self._count = 0
        while self._count < events:
            self._something(self._dice.randrange(DAYS))

    def days(self) -> Iterator[tuple[Millis, list[RecordEvent | Ask]]]:
        """Yield each day's instant with what arrives on it, shuffled as networks do."""
        for day in range(DAYS):
            arrived = self._days.pop(day, [])
            self._dice.shuffle(arrived)
            yield NOW + day * DAY, arrived

    def _customer(self) -> str:
        """Return a customer; some come far more often than others."""
        return str(7000 + int(self._members * self._dice.random() ** 2))

    def _something(self, day: int) -> None:
        if self._dice.random() < 0.85:
            self._order(day)
        else:
            self._transaction(day)

    def _order(self, day: int) -> None:
        dice, ref = self._dice, str(self._count)
        amount = f"{dice.randrange(100, 25_000) / 100:.2f}"
        at = NOW + day * DAY
        self._told(day, placed(ref, line(amount=amount), customer=self._customer(), at=at))
        if dice.random() < 0.06:
            self._told(day + dice.randrange(4), cancelled(ref, at=at + DAY))
            return
        self._told(day + dice.randrange(3), paid(ref, at=at))
        self._told(day + 1 + dice.randrange(5), shipped(ref, at=at + DAY))
        for number in range(dice.choices((0, 1, 2), (85, 12, 3))[0]):
            back = f"{float(amount) * dice.choice((0.1, 0.25, 0.5)):.2f}"
            later = dice.randrange(40)
            self._told(day + later, refunded(ref, f"{ref}-{number}", back, at=at + later * DAY))

    def _told(self, day: int, event: Event) -> None:
        self._count += 1
        hook = webhook(self._count, (event,), NOW + day * DAY)
        self._days[day] += [hook, hook] if self._dice.random() < 0.05 else [hook]

    def _transaction(self, day: int) -> None:
        dice, number, who = self._dice, 1_000_000 + self._count, self._customer()
        kind = dice.choice(("credit", "debit", "debit"))
        complete, amount = dice.random() < 0.5, dice.randrange(1, 120)
        deadline = None if dice.random() < 0.5 else NOW + (day + 3) * DAY
        at = NOW + day * DAY

        def begins(book: Book) -> Command | None:
            if who not in book.members:
                return None
            told: dict[str, Any] = {
                "complete": complete,
                "deadline": deadline,
                "occurred_at": at,
                "received_at": at,
            }
            return begin(book.members[who], number, kind, amount, **told)

        def ends(state: str, now: Millis) -> Ask:
            def ask(book: Book) -> Command | None:
                return end(book.members[who], number, state, received_at=now) if who in book.members else None

            return ask

        self._count += 1
        self._days[day].append(begins)
        if not complete and dice.random() < 0.7:
            self._count += 1
            later = day + 1 + dice.randrange(6)
            state = dice.choice(("completed", "completed", "cancelled"))
            self._days[later].append(ends(state, NOW + later * DAY))


def live(book: Book, script: Script, *, quiet: bool = True) -> int:
    """Let the year happen; return how many things did."""
    done = 0
    for now, arrived in track(script.days(), "a year …", total=DAYS, disable=quiet):
        book.know_members()
        commands = [one if isinstance(one, RecordEvent) else one(book) for one in arrived]
        known = [command for command in commands if command is not None]
        play(book.engine, known, now=now, sizes=[BATCH])
        done += len(known)
        while due := due_balances(book.engine, now, BATCH):
            play(book.engine, list(due), now=now, sizes=[BATCH])
    return done


def check(book: Book) -> dict[str, Any]:
    """Return the final balances, lots and orders, after the audit and the book made anew found nothing."""
    assert audit(book.engine) == []
    assert rebuild(book.engine, read) == []
    return snapshot(book.engine)


def size_of(engine: Engine) -> int:
    """Return the bytes of a database."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(engine.url.database or "").stat().st_size


def prepared(url: str) -> Engine:
    """Return an empty database with the shop and its program."""
    fresh(url)
    engine = open_database(url)
    configure(engine, PROGRAM)
    return engine


@click.command(help=__doc__)
@click.option("--members", default=10_000, show_default=True)
@click.option("--events", default=100_000, show_default=True)
@click.option("--postgres", help="URL of a PostgreSQL database that may be emptied; without it only SQLite.")
def main(members: int, events: int, postgres: str | None) -> None:
    console = Console()
    with TemporaryDirectory() as folder:
        urls = {
            "SQLite": f"sqlite:///{Path(folder) / 'year.db'}",
            **({"PostgreSQL": postgres} if postgres else {}),
        }
        ends = {}
        for name, url in urls.items():
            engine = prepared(make_url(url).render_as_string(hide_password=False))
            before, began = size_of(engine), time.perf_counter()
            done = live(Book(engine), Script(members, events), quiet=False)
            took, grown = time.perf_counter() - began, size_of(engine) - before
            console.print(
                f"{name}: {done} in {took:.0f} s, {took / done * 1e6:.0f} µs and {grown / done:.0f} bytes each"
            )
            ends[name] = check(Book(engine))
            console.print(f"{name}: the audit and the book made anew found nothing")
            engine.dispose()
    assert all(one == ends["SQLite"] for one in ends.values()), "the books differ"
    console.print(f"[green]{len(ends['SQLite']['balances'])} members' balances are the same[/]")


if __name__ == "__main__":
    main()
