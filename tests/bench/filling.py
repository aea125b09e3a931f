"""A large shop's database within minutes: one order is booked by the door, and all the others are made after its rows.

Set-based SQL: each table is filled by one statement, in the order of its key, from the rows that the sample left, with what
distinguishes one order from the next put in by expressions. So a column that is added to a table is filled as the door
fills it. What holds for the rows: every member has `ROUNDS` orders, one a round, in another order in each round; ids are
those of `adapter/ids.py` and rise with time; sequences have no gap; balances are the sums of their lots. The first half
of the orders spreads over most of a year, the second half, whose messages are still there, over the last weeks. Hashes
are random bytes, so `audit` finds them; raw bodies were emptied.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Table, select

from adapter import clock, ids
from adapter.engine.batch import Batcher
from adapter.intake import command_of
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import in_unit_of_work
from connectors import CONNECTORS
from connectors.base import RawEvent
from tests.bench import hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 10
PACKED_ROUNDS = 7
"""What these leave behind on SQLite are full pages; the other rounds split them, as what comes in a year does."""
SAMPLE = 1_000_000_000  # the sample's order; the others' numbers follow, as long as its own
DAY_MS = 86_400_000
BEGAN_DAYS, DENSE_DAYS, ENDED_DAYS = 300, 28, 1  # before now
SHUFFLE = 7_368_787  # prime: another order of the members in every round, but the first
_EPOCH_MS, _LOW_BITS = ids.made_at(0), 22


@dataclass(frozen=True)
class Shop:
    """How much there is to be: so many transfers, each with a lot, of a tenth as many members."""

    transfers: int
    now: int

    @property
    def members(self) -> int:
        return self.transfers // ROUNDS

    @cached_property
    def _steps(self) -> tuple[int, int]:
        """Return the milliseconds between two orders of the first half, and of the second."""
        half = self.transfers // 2
        return (BEGAN_DAYS - DENSE_DAYS) * DAY_MS // half, (DENSE_DAYS - ENDED_DAYS) * DAY_MS // half

    def at(self, order: str) -> str:
        """Return when an order came."""
        slow, dense = self._steps
        half = self.transfers // 2
        began, turned = self.now - BEGAN_DAYS * DAY_MS, self.now - DENSE_DAYS * DAY_MS
        return (
            f"CASE WHEN {order} < {half} THEN {began} + ({order}) * {slow}"
            f" ELSE {turned} + ({order} - {half}) * {dense} END"
        )

    def id(self, order: str, kind: int) -> str:
        """Return the id of what an order made, by its kind."""
        return f"((({self.at(order)}) - {_EPOCH_MS}) * {1 << _LOW_BITS} + (({order}) * 8 + {kind}) % {1 << _LOW_BITS})"

    def by_time(self, postgres: bool) -> str:
        """Return all orders as they came: `i`, the number `m` of its member, and the `r`ound."""
        m = self.members
        shuffled = f"((i % {m}) * {SHUFFLE} + i / {m} * 7919) % {m}"
        return (
            f"(SELECT i, i / {m} AS r, CASE WHEN i < {m} THEN i ELSE {shuffled} END AS m"
            f" FROM {numbers(self.transfers, postgres)} AS s)"
        )

    def by_member(self, postgres: bool) -> str:
        """Return the same ones member by member, in the order of their sequence."""
        m = self.members
        behind = pow(SHUFFLE, -1, m)
        back = f"((i / {ROUNDS} - i % {ROUNDS} * 7919) % {m} + {m}) % {m} * {behind} % {m}"
        return (
            f"(SELECT CASE WHEN i % {ROUNDS} = 0 THEN i / {ROUNDS} ELSE i % {ROUNDS} * {m} + {back} END AS i,"
            f" i % {ROUNDS} AS r, i / {ROUNDS} AS m FROM {numbers(self.transfers, postgres)} AS s)"
        )


def numbers(count: int, postgres: bool) -> str:
    """Return what stands in a FROM for the numbers from 0: `i`."""
    if postgres:
        return f"(SELECT generate_series(0::bigint, {count - 1}) AS i)"
    return f"(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) SELECT i FROM n)"


def fill(engine: Engine, transfers: int) -> Shop:
    """Fill a configured database that has no orders yet; its endpoint has taken all messages."""
    samples = _samples(engine)
    shop = Shop(transfers, clock.now())
    postgres = engine.dialect.name == "postgresql"
    engine.dispose()  # SQLite changes its journal only where nobody else has the file open
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        fillings = list(_fillings(shop, samples, postgres=postgres))
        if postgres:
            with _in_a_hurry(cursor):
                _insert(cursor, samples, fillings, "true", postgres=True)
        else:
            with _in_a_hurry_on_sqlite(cursor):
                with _without_indexes(cursor):
                    _insert(cursor, samples, fillings, f"r < {PACKED_ROUNDS}", postgres=False)
                _insert(cursor, samples, fillings, f"r >= {PACKED_ROUNDS}", postgres=False)
        connection.commit()
    if not postgres:  # or whoever commits first would wait for all of it to reach the disk
        with Path(engine.url.database or "").open("rb") as file:
            os.fsync(file.fileno())
    return shop


def _insert(cursor: Any, samples: _Samples, fillings: list[_Filling], rounds: str, *, postgres: bool) -> None:
    """Fill all tables with what came in some rounds."""
    for table, from_, values, condition in fillings:
        row = samples[table] | values
        names = ", ".join(f'"{name}"' for name in row)
        written = ", ".join(_written(value, postgres=postgres) for value in row.values())
        cursor.execute(
            f"INSERT INTO {table.name} ({names}) SELECT {written} FROM {from_} AS x WHERE {rounds} AND {condition}"
        )
        cursor.connection.commit()


@contextmanager
def _in_a_hurry(cursor: Any) -> Iterator[None]:
    """Fill PostgreSQL's tables without unique constraints and indexes but their primary keys; make those afterwards."""
    tables = [table.name for table in _FILLED]
    cursor.execute("SET synchronous_commit = off")
    cursor.execute("SET maintenance_work_mem = '512MB'")
    cursor.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'u' AND conrelid::regclass::text = ANY(%s)",
        (tables,),
    )
    unique = cursor.fetchall()
    for table, name, _ in unique:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        (tables,),
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    for table, name, definition in unique:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for _, definition in indexes:
        cursor.execute(definition)
    cursor.connection.commit()
    cursor.connection.autocommit = True
    cursor.execute("VACUUM ANALYZE")  # a database that has grown for a year has been looked at
    cursor.execute("CHECKPOINT")
    cursor.connection.autocommit = False


@contextmanager
def _in_a_hurry_on_sqlite(cursor: Any) -> Iterator[None]:
    """Fill SQLite's tables without a journal."""
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000"):
        cursor.execute(f"PRAGMA {pragma}")
    yield
    for pragma in ("cache_size = -8192", "synchronous = FULL", "journal_mode = WAL"):
        cursor.execute(f"PRAGMA {pragma}")


@contextmanager
def _without_indexes(cursor: Any) -> Iterator[None]:
    """Fill SQLite's tables without indexes but those of keys; make the others afterwards."""
    cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        cursor.execute(definition)


def _written(value: Any, *, postgres: bool) -> str:
    """Write a value as SQL does."""
    match value:
        case None:
            return "NULL"
        case _Sql(text=text):
            return text
        case bytes():
            return f"'\\x{value.hex()}'::bytea" if postgres else f"x'{value.hex()}'"
        case str():
            return "'" + value.replace("'", "''") + "'"
    return str(value)


def _renamed(sample: str, ref: _Sql) -> str:
    """Return what names the sample's order naming another one."""
    return f"replace({_written(sample, postgres=False)}, '{SAMPLE}', {ref.text})"


@dataclass(frozen=True)
class _Sql:
    """An expression over one order."""

    text: str


_Filling = tuple[Table, str, dict[str, Any], str]
_Samples = dict[Table, dict[str, Any]]


def _fillings(shop: Shop, samples: _Samples, *, postgres: bool) -> Iterator[_Filling]:
    """Yield what each table is filled from and what its rows have of their own."""
    of_time, of_member = shop.by_time(postgres), shop.by_member(postgres)
    kept = f"i >= {shop.transfers // 2}"
    for table, values in _came(shop, samples, postgres=postgres).items():
        yield table, of_time, values, kept if table in _SENT else "true"
    for table, values in _of_members(shop, postgres=postgres).items():
        yield table, of_member, values, "r = 0" if table in _ONCE else "true"


_SENT = (t.messages, t.deliveries, t.attempts)
_ONCE = (t.balances, t.members, t.people, t.identities)


def _came(shop: Shop, samples: _Samples, *, postgres: bool) -> dict[Table, dict[str, Any]]:
    """Return what the rows have that are kept in the order in which they came."""
    event, member, lot, transaction, message, delivery = _ids(shop)
    at, ref = _Sql(shop.at("i")), _Sql(f"CAST({SAMPLE} + 1 + i AS text)")
    times = {"created_at": at, "updated_at": at}
    facts = _renamed(samples[t.orders]["facts"], ref)
    body = _renamed(samples[t.messages]["body"].decode(), ref)
    return {
        t.events: {
            "id": event, "key": _random(1, postgres=postgres), "order_ref": ref, "member": member, "occurred_at": at,
            "received_at": at, "posted_at": at, "headers": "{}", "body": b"", "emptied_at": at,
        },
        t.orders: {
            "ref": ref, "name": _Sql(f"'#' || {ref.text}"), "member": member, "lot": lot, "placed_at": at, **times,
            "facts": _Sql(facts),
        },
        t.transactions: {
            "id": transaction, "member": member, "order_ref": ref, "event": event, "occurred_at": at, **times,
            "completed_at": at,
        },
        t.messages: {
            "id": message, "member": member, "sequence": _Sql("r + 1"), "created_at": at,
            "body": _Sql(f"convert_to({body}, 'UTF8')" if postgres else f"CAST({body} AS blob)"),
        },
        t.deliveries: {
            "id": delivery, "message": message, "member": member, "state": "delivered", "attempts": 1,
            "next_attempt_at": at, "fence": 1, "last_status": 200, **times,
        },
        t.attempts: {"delivery": delivery, "started_at": at},
    }  # fmt: skip


def _of_members(shop: Shop, *, postgres: bool) -> dict[Table, dict[str, Any]]:
    """Return what the rows have that are kept member by member."""
    event, member, lot, transaction, _, _ = _ids(shop)
    at, ref = _Sql(shop.at("i")), _Sql(f"CAST({SAMPLE} + 1 + i AS text)")
    ends, sequence = _Sql(f"{at.text} + {365 * DAY_MS}"), _Sql("r + 1")
    customer = _Sql("CAST(m + 1 AS text)")
    last = _Sql(shop.at(f"CAST({shop.transfers - 1} AS bigint)"))
    points = _Sql(f"{ROUNDS} * 89")  # what an order of `hooks` earns
    return {
        t.transfers: {
            "member": member, "sequence": sequence, "order_ref": ref, "transaction": transaction, "event": event,
            "occurred_at": at, "posted_at": at, "hash": _random(2, postgres=postgres), "lot": lot, "lot_expires_at": ends,
        },
        t.lots: {"member": member, "id": lot, "order_ref": ref, "earned_at": at, "expires_at": ends, "due_at": ends},
        t.balances: {
            "member": member, "available": points, "earned": points, "sequence": ROUNDS, "next_due_at": ends,
            "head": _random(3, postgres=postgres), "updated_at": last,
        },
        t.members: {"id": member, "created_at": at, "updated_at": at},
        t.people: {"member": member, "email": _Sql(f"'ada' || {customer.text} || '@example.com'")},
        t.identities: {"customer": customer, "member": member},
    }  # fmt: skip


def _ids(shop: Shop) -> tuple[_Sql, ...]:
    """Return the ids of an order's event, member, lot, transaction, message and delivery."""
    event, lot, transaction, message, delivery = (_Sql(shop.id("i", kind)) for kind in (0, 2, 3, 4, 5))
    return (
        event,
        _Sql(shop.id("m", 1)),
        lot,
        transaction,
        message,
        delivery,
    )  # a member came with the first round


def _random(salt: int, *, postgres: bool) -> _Sql:
    return _Sql(f"sha256(int8send(i * 8 + {salt}))" if postgres else "randomblob(32)")


def _samples(engine: Engine) -> _Samples:
    """Book one order and return the rows that it left; texts that name it are expressions over the other orders."""
    source = CatalogCache(engine).get().sources[hooks.SOURCE]
    body = hooks.order(SAMPLE, members=1)
    raw = RawEvent({"x-wc-webhook-topic": "order.created"}, body, clock.now())
    command = command_of(source, CONNECTORS[source.connector], raw)
    in_unit_of_work(engine, partial(Batcher(clock.now), commands=[command]))
    samples: _Samples = {}
    with engine.begin() as connection:
        for table in t.metadata.tables.values():
            row = connection.execute(select(table)).first()
            samples[table] = {} if row is None else dict(row._mapping)
        for table in _FILLED:
            connection.execute(table.delete())
    samples[t.attempts] = {"env": 1, "number": 1, "duration_ms": 12, "status": 200, "response": ""}
    return samples


_FILLED = (
    t.events, t.orders, t.transactions, t.messages, t.transfers, t.lots, t.balances, t.members,
    t.people, t.identities, t.deliveries, t.attempts,
)  # fmt: skip
