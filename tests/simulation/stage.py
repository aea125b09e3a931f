"""The stage of one run: a book in memory, one clock, and what differs from run to run taken out."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count, product
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from sqlalchemy import Connection, Engine, delete

from adapter import ids
from adapter.delivery import sender
from adapter.engine.batch import Batcher
from adapter.program.model import Program
from adapter.store import configuration
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.database import in_unit_of_work
from tests.delivery.world import World
from tests.shop import NOW, configure, enrol, play
from tests.simulation.shelf import Faults, shelf_called, shelf_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.catalog import Catalog
    from adapter.clock import Millis
    from tests.simulation.shelf import Rows

MEMBERS = {1001: "7000", 1002: "7001", 1003: "7002"}  # the API knows their ids, the shop what it calls them
TIMEOUT_S = 5
PATIENCE = 20  # retries of a delivery: more than a run is long


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
def _begun(program: int) -> tuple[Rows, Catalog]:
    """Return the rows of a book with everything that a run begins with, and what is configured there."""
    shelf = shelf_called("begun")
    engine = shelf.put({}, Faults())
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
        return shelf.rows(), load_catalog(connection)


def _catalog(connection: Connection) -> Catalog:
    """Return what is configured, read once a version: whoever begins anew would parse the same programs again."""
    shelf = shelf_of(connection.engine)
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
    (begun, catalog), shelf = _begun(program), shelf_called(name)
    engine = shelf.put(begun, faults)
    shelf.catalogs[catalog.version] = catalog
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
