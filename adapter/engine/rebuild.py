"""Rebuild: replay every stored event into an empty book, and compare it with the one we have.

What came in is kept byte for byte, so the whole book can be made again from it: the connectors read the bytes anew, the
door decides anew, time passes as it passed then. What differs afterwards is a bug, a row that was tampered with, or a
connector that reads differently today; each difference is one line. The empty book is a SQLite database in a temporary
folder, whatever the real one is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from sqlalchemy import Connection, Engine, func, insert, select

from adapter import ids
from adapter.book.state import Redemption
from adapter.book.voucher import Voucher, VoucherState
from adapter.catalog import Catalog, Source
from adapter.commands import Command, RecordEvent
from adapter.engine.batch import Batcher
from adapter.engine.journal import API, Counterparts, command_of
from adapter.engine.reviewing import (
    last_review,
    late_birthdays,
    late_members,
    stale_members,
    standing_kept,
    tiers_by_name,
)
from adapter.engine.sweep import due_balances, due_members
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.database import in_unit_of_work, open_database
from adapter.store.reading.balances import balance_now
from adapter.store.reading.kept import require_bytes
from adapter.store.reading.snapshot import snapshot
from adapter.store.rows import REDEMPTION_COLUMNS, VOUCHER_COLUMNS, columns_of
from connectors.base import RawEvent

if TYPE_CHECKING:
    from adapter.clock import Millis

CHUNK = 200
NOBODY = ("erased member",)
Read = Callable[[Source, RawEvent], RecordEvent]
"""Reads a stored webhook again, as the receiver read it the first time."""

_CONFIGURED = (t.environments, t.configuration, t.programs, t.definitions, t.sources)


def rebuild(engine: Engine, read: Read, progress: Callable[[int], None] = lambda _done: None) -> list[str]:
    """Return every difference between the book and one made anew from the stored events; empty: they agree.

    Raises `Conflict` where retention removed what some of them said.
    """
    with (
        snapshot(engine) as connection,  # what comes in meanwhile is neither replayed nor compared
        empty_book(connection) as scratch,
    ):
        require_bytes(connection)
        passed = max(_last_posted(connection), last_review(connection))
        until = max(passed, replay(connection, scratch, read, progress))
        _elapse(scratch, until)
        _take_in(scratch, list(stale_members(scratch, until)), until)
        with scratch.connect() as other:
            return list(_differences(connection, other, until))


@contextmanager
def empty_book(connection: Connection) -> Iterator[Engine]:
    """Give an empty book, configured as the one that `connection` reads; it goes when the block ends."""
    with TemporaryDirectory(prefix="loyalty-book-") as folder:
        scratch = open_database(f"sqlite:///{Path(folder) / 'book.db'}")
        try:
            with scratch.begin() as other:
                t.metadata.create_all(other)
                _copy_configuration(connection, other)
            yield scratch
        finally:
            scratch.dispose()


def _copy_configuration(connection: Connection, scratch: Connection) -> None:
    for table in _CONFIGURED:
        rows = [dict(row._mapping) for row in connection.execute(select(table))]  # noqa: SLF001 - SQLAlchemy's public name
        if rows:
            scratch.execute(insert(table), rows)


def _last_posted(connection: Connection) -> Millis:
    """Return the last instant at which something of the book changed, be it by time alone."""
    newest = (t.balances.c.updated_at, t.vouchers.c.updated_at, t.tier_changes.c.at)
    return max(connection.execute(select(func.max(column))).scalar_one() or 0 for column in newest)


def replay(
    connection: Connection,
    scratch: Engine,
    read: Read,
    progress: Callable[[int], None],
    sources: Collection[str] | None = None,
) -> Millis:
    """Take in the stored events in the order in which they were posted, with the clock of then.

    Returns when the last one was posted: so far the empty book's time has passed. `sources` narrows them to the
    webhooks of these.
    """
    catalog, members = load_catalog(connection), Counterparts()
    columns = t.events.c
    query = select(
        columns.env,
        columns.source,
        columns.key,
        columns.member,
        columns.headers,
        columns.body,
        columns.received_at,
        columns.posted_at,
    ).order_by(columns.posted_at, columns.env, columns.id)
    if sources is not None:
        query = query.where(columns.source.in_(sources))
    rows = connection.execute(query, execution_options={"stream_results": True, "yield_per": CHUNK})
    posted_at = 0
    for posted_at, group in groupby(rows, key=lambda row: row.posted_at):
        _elapse(scratch, posted_at)
        for asked, run in groupby(group, key=lambda row: row.source == API):
            part = list(run)
            if asked:
                _carry_out(scratch, part, members, posted_at)
            else:
                commands = [command for row in part if (command := _command(catalog, row, read)) is not None]
                _take_in(scratch, commands, posted_at)
                members.learn(scratch, part)
            progress(len(part))
    return posted_at


def _command(catalog: Catalog, row: Any, read: Read) -> Command | None:
    source = catalog.sources.get(row.source)
    if source is None:  # it was removed since; its events cannot be read any more
        return None
    command = read(source, RawEvent(orjson.loads(row.headers), bytes(row.body), row.received_at))
    return msgspec.structs.replace(command, member=row.member)


def _carry_out(scratch: Engine, asked: list[Any], members: Counterparts, now: Millis) -> None:
    """Carry stored commands out again, one by one, each for the members whom the scratch book has in their place."""
    for row in asked:
        _take_in(scratch, [command_of(bytes(row.body), row.env, members)], now)


def _take_in(scratch: Engine, commands: list[Command], now: Millis) -> None:
    batcher = Batcher(lambda: now)
    for start in range(0, len(commands), CHUNK):
        part = commands[start : start + CHUNK]
        in_unit_of_work(scratch, partial(batcher, commands=part))


def _elapse(scratch: Engine, until: Millis) -> None:
    """Let time pass as a sweep that is never late: a tier's deadline sees the points of its own instant."""
    while (at := _next_review(scratch)) is not None and at <= until:
        _sweep(scratch, at)
        while reviews := due_members(scratch, at, CHUNK):
            _take_in(scratch, list(reviews), at)
    _sweep(scratch, until)


def _sweep(scratch: Engine, until: Millis) -> None:
    while commands := due_balances(scratch, until, CHUNK):
        _take_in(scratch, list(commands), until)


def _next_review(scratch: Engine) -> Millis | None:
    with scratch.connect() as connection:
        first: Millis | None = connection.execute(select(func.min(t.memberships.c.next_due_at))).scalar_one()
    return first


# --- comparing ----------------------------------------------------------------------------------------------------------


def _differences(connection: Connection, scratch: Connection, until: Millis) -> Iterator[str]:
    unswept = _unswept(connection, until)
    late = _named(connection, late_members(connection, until))
    born = _named(connection, late_birthdays(connection, until))
    for kind, there, made in (
        ("balance", _balances(connection, until, born), _balances(scratch, until, born)),
        ("order", _orders(connection, unswept), _orders(scratch, unswept)),
        ("tier", _tiers(connection, late), _tiers(scratch, late)),
        ("advice", _advices(connection), _advices(scratch)),
        ("redemption", _redemptions(connection, until), _redemptions(scratch, until)),
        ("voucher", *_both_vouchers(connection, scratch, until, late)),
    ):
        for key in sorted(there.keys() | made.keys(), key=str):
            if there.get(key) != made.get(key):
                yield f"{kind} {_name(key)}: the book has {there.get(key)}, the stored events give {made.get(key)}"


def _name(key: tuple[Any, ...]) -> str:
    return " ".join(", ".join(part) if isinstance(part, tuple) else str(part) for part in key)


def _people(connection: Connection) -> dict[tuple[int, int], tuple[str, ...]]:
    """Return what members are called by their shops: their own ids are drawn anew in every book."""
    names: dict[tuple[int, int], list[str]] = defaultdict(list)
    for row in connection.execute(select(t.identities)):
        names[row.env, row.member].append(f"{row.source}:{row.customer}")
    return {member: tuple(sorted(called)) for member, called in names.items()}


def _unswept(connection: Connection, until: Millis) -> set[tuple[Any, ...]]:
    """Return the orders that time has caught up with and the sweep has not: their state is behind by right."""
    lots = t.lots.c
    query = select(lots.env, lots.order_source, lots.order_ref).where(lots.due_at <= until)
    return {tuple(row) for row in connection.execute(query)}


def _named(connection: Connection, members: set[tuple[int, int]]) -> set[tuple[str, ...]]:
    """Return what their shops call these members."""
    called = _people(connection) if members else {}
    return {called.get(whose, NOBODY) for whose in members}


def _tiers(connection: Connection, late: set[tuple[str, ...]]) -> dict[tuple[Any, ...], Any]:
    return tiers_by_name(connection, _people(connection), late)


def _balances(
    connection: Connection, until: Millis, born: set[tuple[str, ...]]
) -> dict[tuple[Any, ...], Any]:
    """Return what members have as of `until`: the sweep of the one book was later than that of the other."""
    called = _people(connection)
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in connection.execute(select(t.balances)).all():
        whose = called.get((row.env, row.member), NOBODY)
        if whose in born:
            continue
        balance: Any = row
        if row.next_due_at is not None and row.next_due_at <= until:
            balance, _ = balance_now(connection, row.env, row.member, row.definition, until)
        amounts = {
            name: getattr(balance, name) for name in ("pending", "available", "reserved", "owed", "earned")
        }
        if any(amounts.values()):
            found["environment", row.env, whose, row.definition].append(amounts)
    return {key: sorted(values, key=str) for key, values in found.items()}


def _orders(connection: Connection, unswept: set[tuple[Any, ...]]) -> dict[tuple[Any, ...], Any]:
    columns = ("state", "reason", "award", "retained", "basis", "parts")
    return {
        ("environment", row.env, row.source, row.ref): {
            name: getattr(row, name)
            for name in columns
            if name != "state" or (row.env, row.source, row.ref) not in unswept
        }
        | {"standing": standing_kept(row.standing)}
        for row in connection.execute(select(t.orders))
    }


def _redemptions(connection: Connection, until: Millis) -> dict[tuple[Any, ...], Any]:
    """Return what became of redemptions as of `until`; their ids were drawn with the commands, and are the same."""
    columns = columns_of(t.redemptions, REDEMPTION_COLUMNS)
    return {
        ("environment", one.env, ids.show("rdm", one.id)): {
            "state": str(one.state_at(until)),
            **{
                name: getattr(one, name)
                for name in ("kind", "cost", "returned", "value", "code", "linked", "flagged")
            },
        }
        for one in (Redemption(*row) for row in connection.execute(select(*columns)))
    }


def _advices(connection: Connection) -> dict[tuple[Any, ...], Any]:
    called = _people(connection)
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in connection.execute(select(t.advices)):
        whose = called.get((row.env, row.member), NOBODY)
        found["environment", row.env, whose].append((row.number, row.advice, row.reason, row.cleared_reason))
    return {key: sorted(rows, key=str) for key, rows in found.items()}


def _both_vouchers(
    connection: Connection, scratch: Connection, until: Millis, late: set[tuple[str, ...]]
) -> tuple[dict[tuple[Any, ...], Any], dict[tuple[Any, ...], Any]]:
    """Return who has which vouchers, here and in the book made anew.

    Where a rule's vouchers are for good, a sweep that is never late may have found occasions that were over when ours
    came by: those are no difference.
    """
    there, made = _vouchers(connection, until, late), _vouchers(scratch, until, late)
    passing = {
        (env, rule.name)
        for (env, _), versions in load_catalog(connection).programs.items()
        for rule in versions[-1].program.voucher_rules
        if rule.revocable
    }
    given = {
        key: rows
        for key, rows in made.items()
        if key in there or (key[1], key[-1].partition(" ")[0]) in passing or " " not in key[-1]
    }
    return there, given


def _vouchers(
    connection: Connection, until: Millis, late: set[tuple[str, ...]]
) -> dict[tuple[Any, ...], Any]:
    """Return who has which vouchers as of `until`; of rules only of those whose tiers and points are not `late`."""
    called = _people(connection)
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in connection.execute(select(*columns_of(t.vouchers, VOUCHER_COLUMNS))):
        voucher = Voucher(*row)
        if voucher.state == VoucherState.EXPIRED:  # written down by the sweep: what counts is its end
            voucher.state = VoucherState.ACTIVE
        whose = called.get((voucher.env, voucher.member), ("erased member",))
        if voucher.rule is not None and whose in late:
            continue
        why = voucher.code if voucher.rule is None else f"{voucher.rule} {voucher.occasion}"
        said = (
            voucher.code,
            voucher.reward,
            voucher.value,
            voucher.currency,
            voucher.percent,
            voucher.linked,
        )
        found["environment", voucher.env, whose, voucher.program, why].append(
            (voucher.state_at(until), *said)
        )
    return {key: sorted(rows, key=str) for key, rows in found.items()}
