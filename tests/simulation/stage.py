"""The stage of one run: a database in memory, one clock, and faults that strike when they are told to."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import count, product
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from sqlalchemy import Connection, Engine, TextClause, delete, event
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import DBAPIError, OperationalError

from adapter import ids
from adapter.delivery import sender
from adapter.engine.batch import Batcher
from adapter.program.model import Program
from adapter.store import configuration
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.database import in_unit_of_work, open_database
from tests.delivery.world import World
from tests.shop import NOW, configure, enrol, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.catalog import Catalog
    from adapter.clock import Millis

MEMBERS = {1001: "7000", 1002: "7001", 1003: "7002"}  # the API knows their ids, the shop what it calls them
TIMEOUT_S = 5
PATIENCE = 20  # retries of a delivery: more than a run is long


class Crash(BaseException):
    """The process ends here, whatever it was doing."""


TIERS = {"bronze": 0, "silver": 60, "gold": 150}
STANDING: dict[str, Any] = {
    "tier_groups": [
        {
            "name": "status",
            "measure": "lifetime_points",
            "downgrade": "real_time",
            "tiers": [{"name": name, "threshold": str(points)} for name, points in TIERS.items()],
        }
    ],
    "voucher_rules": [
        {"name": "fifties", "when": "points_earned", "every_points": 50, "percent": "9", "revocable": True, "valid_days": 4},
        {"name": "silver", "when": "tier_reached", "tier": "silver", "percent": "5", "revocable": True},
        {"name": "big", "when": "order_completed", "minimum": "50.00", "percent": "3", "valid_days": 3},
    ],
}  # fmt: skip
"""What a program says besides where members stand on tiers and are given vouchers."""


def _program(award_on: str, hold_days: int, shortfall: str, **more: Any) -> Program:
    return Program.model_validate(
        {
            **more,
            "name": "main",
            "earning": {"rate": "1", "award_on": award_on, "hold_days": hold_days},
            "expiry": {"days": 9},
            "clawback": {"shortfall": shortfall},
            "redeeming": {"currency": "EUR"},
            "rewards": [{"id": "bag", "kind": "item", "cost": 15}],
        }
    )


_RULES = tuple(product(("order.placed", "payment.completed", "order.shipped"), (0, 2), ("owed", "waived")))
PLAIN = len(_RULES)
PROGRAMS = (*(_program(*one) for one in _RULES), *(_program(*one, **STANDING) for one in _RULES))
"""The plain ones, then the same with standing."""


@dataclass
class Faults:
    """Strikes once: at the so-manieth statement from now, or at the commit, before it or right after it."""

    left: int | None = None
    at_commit: str | None = None
    error: type[BaseException] = Crash
    commits: int = 0

    def arm(self, where: str, statements: int, error: type[BaseException]) -> None:
        self.left = statements if where == "statement" else None
        self.at_commit = None if where == "statement" else where
        self.error = error

    def disarm(self) -> None:
        self.left = self.at_commit = None

    def strike(self) -> None:
        self.disarm()
        if self.error is Crash:
            raise Crash
        raise OperationalError("the database went away", None, sqlite3.OperationalError("gone"))

    def on_statement(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.strike()

    def on_commit(self, connection: Any) -> None:
        where = self.at_commit
        if where == "before commit":
            self.strike()
        self.commits += 1
        if where == "after commit":
            connection.connection.driver_connection.commit()
            self.strike()


@dataclass
class Stage:
    """One book, its subscribers and its clock. `elapsed_ms` never goes back, `world.now` may."""

    program: int
    engine: Engine
    world: World
    faults: Faults = field(default_factory=Faults)
    elapsed_ms: int = 0

    @property
    def now(self) -> Millis:
        return self.world.now

    @property
    def has_standing(self) -> bool:
        return self.program >= PLAIN

    def pass_time(self, ms: int) -> None:
        self.world.now += ms
        self.elapsed_ms += max(ms, 0)

    def monotonic(self) -> float:
        return self.elapsed_ms / 1000


@cache
def _empty(program: int) -> bytes:
    """Return a database with everything that a run begins with."""
    engine = open_database("sqlite://")
    t.metadata.create_all(engine)
    configure(engine, PROGRAMS[program])
    with engine.begin() as connection:
        connection.execute(delete(t.endpoints))
    world = World(engine, now=NOW)
    for number, ordered in ((1, False), (2, True)):
        world.endpoint(
            f"http://receiver-{number}.test/hook",
            events=["balance.updated", "tier.*", "voucher.*"],
            schedule=[5] * PATIENCE,
            timeout=TIMEOUT_S,
            ordered=ordered,
        )
    play(engine, [enrol(member, customer=("shop", name)) for member, name in MEMBERS.items()])
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        found: bytes = driver.serialize()
    engine.dispose()
    return found


class Brief(Connection):
    """A connection that asks the driver at once.

    A run asks a thousand times, mostly for a row or two: what SQLAlchemy finds out about each question and each answer
    would be half of the work.
    """

    def exec_driver_sql(self, statement: str, parameters: Any = None, _options: Any = None) -> Any:
        if self._transaction is None:
            self._autobegin()
        _shelves[self.engine].faults.on_statement()
        driver: Any = self.connection.driver_connection
        ask = driver.executemany if isinstance(parameters, list) else driver.execute
        try:
            found = ask(statement, parameters or ())
        except sqlite3.Error as error:
            raise DBAPIError.instance(statement, parameters, error, sqlite3.Error) from error
        return IteratorResult(_columns(statement, found.description or ()), found)

    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        if isinstance(statement, TextClause) and statement.text.startswith("SELECT"):
            return self.exec_driver_sql(statement.text, parameters)
        return super().execute(statement, parameters, **options)


@lru_cache(maxsize=4096)
def _columns(_statement: str, description: tuple[tuple[Any, ...], ...]) -> SimpleResultMetaData:
    return SimpleResultMetaData([name for name, *_ in description])


class Shelf:
    """An engine that outlives its books: it knows its statements, and each of its connections is to the book of now.

    A crash closes a connection, and what is in memory must outlive it.
    """

    def __init__(self) -> None:
        self.book: sqlite3.Connection | None = None
        self.faults = Faults()
        self.catalogs: dict[int, Catalog] = {}  # of the book of now, by their version
        self.engine = open_database("sqlite://")
        self.engine._connection_cls = Brief
        _shelves[self.engine] = self
        closing: Any = self.engine.dialect
        closing.do_close = closing.do_terminate = lambda connection: connection.rollback()
        event.listen(self.engine, "do_connect", lambda *_: self.book)
        event.listen(self.engine, "before_cursor_execute", self._on_statement)
        event.listen(self.engine, "commit", self._on_commit)

    def _on_statement(self, *_: Any) -> None:
        self.faults.on_statement()

    def _on_commit(self, connection: Any) -> None:
        self.faults.on_commit(connection)

    def put(self, begun: bytes, faults: Faults) -> Engine:
        self.clear()
        self.book = sqlite3.connect(":memory:", check_same_thread=False, cached_statements=1024)
        self.book.deserialize(begun)
        self.faults = faults
        return self.engine

    def clear(self) -> None:
        self.engine.dispose()
        if self.book is not None:
            self.book.close()
        self.book = None
        self.catalogs.clear()


_shelves: dict[Engine, Shelf] = {}
_shelf = cache(lambda _name: Shelf())


def _catalog(connection: Connection) -> Catalog:
    """Return what is configured, read once a version: whoever begins anew would parse the same programs again."""
    shelf = _shelves.get(connection.engine)
    if shelf is None:
        return load_catalog(connection)
    version = connection.exec_driver_sql("SELECT version FROM configuration").scalar_one()
    if version not in shelf.catalogs:
        shelf.catalogs[version] = load_catalog(connection)
    return shelf.catalogs[version]


@contextmanager
def stage(program: int, name: str = "disturbed") -> Iterator[Stage]:
    """Set up a fresh stage; ids are counted from the same number each time. One of each name at a time."""
    ids._count, faults = count(), Faults()
    begun, shelf = _empty(program), _shelf(name)
    engine = shelf.put(begun, faults)
    ids._count = count(100_000)
    try:
        yield Stage(program, engine, World(engine, now=NOW), faults)
    finally:
        shelf.clear()


DECIDED_AT: list[Millis] = []
"""The instants by which batches were decided: for none of its members time goes back, whatever the clock says."""

_decide = Batcher._decide


def _note_instant(batcher: Batcher, *given: Any) -> Any:
    decided = _decide(batcher, *given)
    DECIDED_AT.append(decided.work.now)
    return decided


@contextmanager
def determined() -> Iterator[None]:
    """Take out what differs from run to run: drawn ids, waits for a database, the time that a request takes, logs."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as after:
        patch.setattr(ids, "_count", count())
        patch.setattr(in_unit_of_work, "__kwdefaults__", {"for_s": 0.0, "sleep": lambda _s: None})
        patch.setattr(configuration, "load_catalog", _catalog)
        patch.setattr(Batcher, "_decide", _note_instant)
        DECIDED_AT.clear()
        patch.setattr(sender, "_since_ms", lambda _started: 0)
        patch.setattr(
            sender, "OutboundAdapter", lambda **_: None
        )  # it is replaced; its certificates take long to read
        after.callback(structlog.configure, wrapper_class=structlog.get_config()["wrapper_class"])
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        yield
