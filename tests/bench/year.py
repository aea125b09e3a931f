"""A year in a shop's life: the same script on SQLite and on PostgreSQL has to end in the same book.

    python -m tests.bench.year --postgres postgresql+psycopg://…/loyalty_year

Ten thousand members and a hundred thousand things that happen, of every kind, with the time moved on day by day: orders
that are paid, shipped, refunded and cancelled later, webhooks that come twice or in the wrong order, credits, debits, holds,
redemptions, gifts and merges of the API. In the end `audit` and `rebuild` look at each book, and the two are compared by
what the shop calls its customers. Prints the time and the bytes of an event. Needs a database that may be emptied.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.progress import track
from sqlalchemy import Engine, make_url, select, text

from adapter.commands import BeginRedemption, Command, MoveRedemption, RecordEvent
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances, due_members
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
    merge,
    numbered,
    paid,
    placed,
    play,
    read_numbered,
    refunded,
    shipped,
    snapshot,
    totals,
    transfer,
)

if TYPE_CHECKING:
    from adapter.clock import Millis
    from adapter.events import Event

DAYS = 365
BATCH = 64
PROGRAM = Program.model_validate(
    {
        "name": "main",
        "earning": {
            "rate": "1",
            "hold_days": 14,
            "minimum": "5.00",
            "tier_multipliers": {"gold": "1.5"},
        },
        "expiry": {"months": 3, "end_of": "month"},
        "bonuses": {"sign_up": 10},
        "tier_groups": [
            {
                "name": "status",
                "measure": "rolling_points",
                "window_months": 6,
                "downgrade": "real_time",
                "tiers": [{"name": "basic", "threshold": "0"}, {"name": "gold", "threshold": "500"}],
            }
        ],
        "redeeming": {"currency": "EUR", "return_on_refund": "proportional", "hold_minutes": 20_000},
        "rewards": [
            {"id": "off", "kind": "discount", "cost": 60, "value": "5.00", "currency": "EUR"},
            {"id": "bag", "kind": "item", "cost": 90},
        ],
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
        kinds = (self._order, self._transaction, self._redemption, self._gift, self._merge)
        (happens,) = self._dice.choices(kinds, (80, 12, 6, 1.8, 0.2))
        happens(day)

    def _order(self, day: int, who: str | None = None, codes: tuple[str, ...] = ()) -> None:
        dice, ref = self._dice, str(self._count)
        amount = f"{dice.randrange(100, 25_000) / 100:.2f}"
        at = NOW + day * DAY
        what = totals(line(amount=amount), version=at, codes=codes)
        self._told(day, placed(ref, customer=who or self._customer(), at=at, what=what))
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
        hook = numbered(self._count, (event,), NOW + day * DAY)
        self._days[day] += [hook, hook] if self._dice.random() < 0.05 else [hook]

    def _asked(self, day: int, ask: Callable[[Book, Millis], Command | None]) -> None:
        self._count += 1
        now = NOW + day * DAY
        self._days[day].append(lambda book: ask(book, now))

    def _transaction(self, day: int) -> None:
        dice, number, who = self._dice, 1_000_000 + self._count, self._customer()
        kind = dice.choice(("credit", "debit", "debit"))
        complete, amount = dice.random() < 0.5, dice.randrange(1, 120)
        deadline = None if dice.random() < 0.5 else NOW + (day + 3) * DAY

        def begins(book: Book, now: Millis) -> Command | None:
            if who not in book.members:
                return None
            told: dict[str, Any] = {"complete": complete, "deadline": deadline}
            return begin(book.members[who], number, kind, amount, occurred_at=now, received_at=now, **told)

        def ends(book: Book, now: Millis) -> Command | None:
            return end(book.members[who], number, state, received_at=now) if who in book.members else None

        self._asked(day, begins)
        state = dice.choice(("completed", "completed", "cancelled"))
        if not complete and dice.random() < 0.7:
            self._asked(day + 1 + dice.randrange(6), ends)

    def _redemption(self, day: int) -> None:
        """Redeem a reward; a discount is then used by an order, released, or left until its time is over."""
        dice, number, who = self._dice, 2_000_000 + self._count, self._customer()
        reward, code = dice.choice(("off", "off", "bag")), f"YEAR{self._count}"
        state = "fulfilled" if reward == "bag" else dice.choice(("released", "reversed"))

        def redeems(book: Book, now: Millis) -> Command | None:
            if who not in book.members:
                return None
            told: dict[str, Any] = {"member": book.members[who], "definition": 1, "received_at": now}
            return BeginRedemption(env=1, id=number, code=code, reward=reward, **told)

        def moves(book: Book, now: Millis) -> Command | None:
            if who not in book.members:
                return None
            told: dict[str, Any] = {"member": book.members[who], "definition": 1, "received_at": now}
            return MoveRedemption(env=1, redemption=number, state=state, **told)

        self._asked(day, redeems)
        fate = dice.random()
        if reward == "off" and fate < 0.6:
            self._order(day + 1, who, codes=(code,))
        elif fate < 0.9:
            self._asked(day + 1 + dice.randrange(5), moves)

    def _gift(self, day: int) -> None:
        number, amount = 3_000_000 + 2 * self._count, self._dice.randrange(1, 60)
        one, other = self._customer(), self._customer()

        def gives(book: Book, now: Millis) -> Command | None:
            if one not in book.members or other not in book.members:
                return None
            return transfer(number, book.members[one], book.members[other], amount, received_at=now)

        self._asked(day, gives)

    def _merge(self, day: int) -> None:
        one, other = self._customer(), self._customer()

        def merges(book: Book, now: Millis) -> Command | None:
            if one not in book.members or other not in book.members:
                return None
            return msgspec.structs.replace(merge(book.members[one], book.members[other]), received_at=now)

        self._asked(day, merges)


def live(book: Book, script: Script, *, quiet: bool = True) -> int:
    """Let the year happen; return how many things did."""
    done = 0
    for now, arrived in track(script.days(), "a year …", total=DAYS, disable=quiet):
        book.know_members()
        commands = [one if isinstance(one, RecordEvent) else one(book) for one in arrived]
        known = [command for command in commands if command is not None]
        play(book.engine, known, now=now, sizes=[BATCH])
        done += len(known)
        for due in (due_balances, due_members):
            while late := due(book.engine, now, BATCH):
                play(book.engine, list[Command](late), now=now, sizes=[BATCH])
    return done


def check(book: Book) -> dict[str, Any]:
    """Return the final balances, lots and orders, after the audit and the book made anew found nothing."""
    assert audit(book.engine) == []
    assert rebuild(book.engine, read_numbered) == []
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
