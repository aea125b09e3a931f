"""Simulate: what orders would have earned under a changed program, found by replaying the stored events.

The events go into an empty book, as `rebuild` replays them, in which the program is another one; nothing is written to
the real book. Then the two are compared order by order. The sums do not depend on when points became usable or ran
out: an order's award, and what its refunds left of it, are all that is compared.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, delete, func, insert, select

from adapter.book.parts import read_parts
from adapter.book.people import ADDRESS
from adapter.engine.rebuild import CHUNK, Read, empty_book, replay
from adapter.errors import ConfigurationError
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.configuration import load_catalog
from adapter.store.reading.kept import require_bytes
from adapter.store.reading.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from adapter.catalog import Catalog
    from adapter.clock import Millis
    from adapter.program.model import Program

_ORDER = ("env", "source", "ref", "member", "award", "retained", "parts", "reason")


@dataclass(frozen=True, slots=True)
class Change:
    """A changed program. It holds for orders placed from `since` on; None: for all there ever were."""

    env: int
    program: Program
    since: Millis | None = None


@dataclass(slots=True)
class Sums:
    """What orders hold under one program, in smallest units."""

    earning: int = 0  # how many orders earned something
    award: int = 0
    retained: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # of the orders that earned nothing

    def add(self, row: Any) -> None:
        self.award += row.award
        self.retained += row.retained
        self.earning += bool(row.award)
        self.rules.update(dict(read_parts(row.parts, row.award)))
        if not row.award:
            self.reasons[row.reason or "unknown"] += 1


@dataclass(slots=True)
class Holder:
    """What one member's orders keep after refunds, in smallest units. `member` is None for who is none yet."""

    member: int | None
    names: tuple[str, ...]
    orders: int = 0
    before: int = 0
    after: int = 0

    @property
    def difference(self) -> int:
        return self.after - self.before


@dataclass(slots=True)
class Simulation:
    """Both programs' sums, and each member's. `unread` orders have no readable event left, and are not compared."""

    decimals: int
    unit: str
    orders: int = 0
    unread: int = 0
    before: Sums = field(default_factory=Sums)
    after: Sums = field(default_factory=Sums)
    holders: dict[int | str, Holder] = field(default_factory=dict)


def simulate(
    engine: Engine, change: Change, read: Read, progress: Callable[[int], None] = lambda _done: None
) -> Simulation:
    """Return what would have been under the changed program. Writes nothing.

    Raises `ConfigurationError` where the environment has no such program, or one of another unit, and `Conflict` where
    retention removed what some of its events said.
    """
    with snapshot(engine) as connection, empty_book(connection) as scratch:
        require_bytes(connection, change.env)
        catalog = load_catalog(connection)
        _check(catalog, change)
        definition = catalog.definition_of(change.env, change.program.name)
        found = Simulation(definition.decimals, definition.unit)
        _exchange(scratch, change)
        replay(connection, scratch, read, progress, sources_of(catalog, change.env))
        with scratch.connect() as other:
            for rows in _orders(other, change):
                _compare(connection, other, rows, found)
            found.unread = _count(connection, change) - found.orders
        _name(connection, change.env, found)
        return found


def count_events(engine: Engine, env: int) -> int:
    """Return how many events a simulation in this environment replays."""
    with engine.connect() as connection:
        sources = sources_of(load_catalog(connection), env)
        query = select(func.count()).select_from(t.events).where(t.events.c.source.in_(sources))
        return int(connection.execute(query).scalar_one())


def sources_of(catalog: Catalog, env: int) -> list[str]:
    """Return the sources whose webhooks a simulation replays: all of the environment, as people may be in any."""
    return sorted(name for name, source in catalog.sources.items() if source.env == env)


def _check(catalog: Catalog, change: Change) -> None:
    program = change.program
    if (change.env, program.name) not in catalog.programs:
        known = ", ".join(sorted(name for env, name in catalog.programs if env == change.env)) or "none"
        raise ConfigurationError(
            f"there is no program {program.name!r} to compare with; there are: {known}", field="name"
        )
    definition, wanted = (
        catalog.definition_of(change.env, program.name),
        next(iter(program.balance_definitions), None),
    )
    if wanted is None or (wanted.name, wanted.decimals) != (definition.name, definition.decimals):
        raise ConfigurationError(
            f"balance_definitions[0]: orders were awarded in {definition.name!r} with {definition.decimals} "
            "decimals; keep it first, as it is",
            field="balance_definitions[0]",
        )


def _exchange(scratch: Engine, change: Change) -> None:
    """Put the changed program in the place of all versions that it would have replaced."""
    columns = t.programs.c
    at = change.since or 0
    own = (columns.env == change.env, columns.name == change.program.name)
    with scratch.begin() as other:
        newest = other.execute(select(columns.version).where(*own).order_by(columns.version.desc()).limit(1))
        row = {
            "env": change.env,
            "name": change.program.name,
            "version": newest.scalar_one() + 1,
            "published_at": at,
            "body": _published(change.program).model_dump_json(),
        }
        other.execute(delete(t.programs).where(*own, columns.published_at >= at))
        other.execute(insert(t.programs).values(row))


def _published(program: Program) -> Program:
    """Return a draft as it would be once it is published."""
    return program.model_copy(update={"state": "published"}) if program.state == "draft" else program


def _which(change: Change) -> list[Any]:
    orders = t.orders.c
    chosen = [orders.env == change.env, orders.program == change.program.name]
    return chosen if change.since is None else [*chosen, orders.placed_at >= change.since]


def _orders(scratch: Connection, change: Change) -> Iterator[list[Any]]:
    """Yield the simulated orders, some at a time."""
    query = select(*(t.orders.c[name] for name in _ORDER)).where(*_which(change))
    rows = scratch.execute(query, execution_options={"stream_results": True, "yield_per": CHUNK})
    for part in rows.partitions():
        yield list(part)


def _compare(connection: Connection, scratch: Connection, rows: list[Any], found: Simulation) -> None:
    keys = [(row.env, row.source, row.ref) for row in rows]
    real = {
        (row.env, row.source, row.ref): row
        for row in select_by_keys(connection, t.orders, ("env", "source", "ref"), keys, columns=_ORDER)
    }
    strangers = _called(
        scratch,
        [row for row, key in zip(rows, keys, strict=True) if key in real and real[key].member is None],
    )
    for row, key in zip(rows, keys, strict=True):
        was = real.get(key)
        if was is None:
            continue
        found.orders += 1
        found.before.add(was)
        found.after.add(row)
        name = strangers.get(row.member, ())
        whose: int | str | None = was.member if was.member is not None else next(iter(name), None)
        if whose is not None:
            holder = found.holders.setdefault(whose, Holder(was.member, name))
            holder.orders += 1
            holder.before += was.retained
            holder.after += row.retained


def _called(scratch: Connection, rows: list[Any]) -> dict[int, tuple[str, ...]]:
    """Return what shops call those who would be members only under the changed program."""
    keys = [(row.env, row.member) for row in rows if row.member is not None]
    names: dict[int, list[str]] = {}
    for row in select_by_keys(scratch, t.identities, ("env", "member"), keys):
        names.setdefault(row.member, []).append(f"{row.source}:{row.customer}")
    return {member: tuple(sorted(called)) for member, called in names.items()}


def _count(connection: Connection, change: Change) -> int:
    return int(
        connection.execute(select(func.count()).select_from(t.orders).where(*_which(change))).scalar_one()
    )


def _name(connection: Connection, env: int, found: Simulation) -> None:
    """Add what their shops call the members."""
    members = [holder.member for holder in found.holders.values() if holder.member is not None]
    names: dict[int, list[str]] = {}
    for start in range(0, len(members), CHUNK):
        keys = [(env, member) for member in members[start : start + CHUNK]]
        for row in select_by_keys(connection, t.identities, ("env", "member"), keys):
            if row.source != ADDRESS:
                names.setdefault(row.member, []).append(f"{row.source}:{row.customer}")
    for holder in found.holders.values():
        if holder.member is not None:
            holder.names = tuple(sorted(names.get(holder.member, ())))
