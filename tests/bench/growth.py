"""What a member with a long history costs, beside one with a short one: the same command and the same read for both.

Both live in one database; they take turns, and the medians count. Commits are left out: they cost what the disk costs,
whoever is booked for.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from rich.table import Table
from sqlalchemy import Connection

from adapter.commands import BeginRedemption, MoveRedemption
from adapter.engine.batch import Batcher
from adapter.program.model import Program
from adapter.store.database import open_database
from adapter.store.reading.balances import balance_now, expiring
from adapter.store.reading.statement import Whose, statement
from adapter.store.reading.transactions import TransactionFilter, list_transactions
from tests.bench.service import fresh
from tests.shop import (
    DAY,
    NOW,
    begin,
    configure,
    customer,
    line,
    member_of,
    paid,
    placed,
    play,
    recorded,
    shipped,
)

if TYPE_CHECKING:
    from rich.console import Console

    from adapter.commands import Command

SHORT, LONG = 10, 10_000
TURNS = 60
PROGRAM = Program.model_validate(
    {
        "name": "main",
        "earning": {"rate": "1"},
        "expiry": {"months": 12},
        "redeeming": {"currency": "EUR", "hold_minutes": 60},
    }
)
CUSTOMERS = {SHORT: "short", LONG: "long"}

Ask = Callable[[Connection], object]


def show(console: Console, name: str, url: str) -> None:
    """Print, for each kind of command and read, the long history's cost over the short one's."""
    fresh(url)
    engine = open_database(url)
    configure(engine, PROGRAM)
    play(engine, [recorded(customer(name)) for name in CUSTOMERS.values()])
    members = {size: member_of(engine, name) for size, name in CUSTOMERS.items()}
    numbers = count(1)
    for size, member in members.items():
        play(engine, [_credit(member, next(numbers), at=n) for n in range(size)], sizes=[200])
    for size, member in members.items():
        begun = [
            _redeem(member, _held(member), order=("shop", CUSTOMERS[size])),
            _redeem(member, _used(member)),
        ]
        bought = recorded(placed(CUSTOMERS[size], line(amount="20.00"), customer=CUSTOMERS[size]))
        play(engine, [bought, *begun, _move(member, _used(member), "applied")])
    table = Table(title=f"{LONG} lots and transactions ÷ {SHORT}, {name}", title_justify="left")
    for column in ("", f"{SHORT}: µs", f"{LONG}: µs", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    kinds = {size: _kinds(member, CUSTOMERS[size], numbers) for size, member in members.items()}
    for kind in kinds[SHORT]:
        took: dict[int, list[float]] = {SHORT: [], LONG: []}
        for _ in range(TURNS):
            for size, spent in took.items():
                with (
                    engine.connect().execution_options(writer=True) as connection,
                    connection.begin() as unit,
                ):
                    began = time.perf_counter()
                    kinds[size][kind](connection)
                    spent.append(time.perf_counter() - began)
                    unit.rollback()
        short, long = (statistics.median(took[size]) * 1e6 for size in (SHORT, LONG))
        table.add_row(kind, f"{short:.0f}", f"{long:.0f}", f"[bold]{long / short:.2f}[/]")
    console.print(table)
    engine.dispose()


def _kinds(member: int, name: str, numbers: Iterator[int]) -> dict[str, Ask]:
    def carried_out(make: Callable[[int], list[Command]]) -> Ask:
        return lambda connection: Batcher(lambda: NOW)(connection, make(next(numbers)))

    def order(number: int) -> list[Command]:
        ref = f"{name}-{number}"
        return [recorded(placed(ref, line(amount="20.00"), customer=name), shipped(ref))]

    return {
        "an order, placed and shipped": carried_out(order),
        "a credit": carried_out(lambda number: [_credit(member, number)]),
        "a debit of the next lots": carried_out(lambda number: [_debit(member, number, complete=True)]),
        "a hold": carried_out(lambda number: [_debit(member, number, complete=False)]),
        "a redemption": carried_out(lambda number: [_redeem(member, number)]),
        "applying one": carried_out(lambda _number: [_move(member, _held(member), "applied")]),
        "the payment of the order that uses one": carried_out(lambda _number: [recorded(paid(name))]),
        "reversing one": carried_out(lambda _number: [_move(member, _used(member), "reversed")]),
        "reading the balance": partial(_read_balance, member=member),
        "the first page of the statement": partial(_read_statement, member=member),
        "the first page of its transactions": partial(_read_transactions, member=member),
    }


def _credit(member: int, number: int, at: int = 0) -> Command:
    ends = NOW + 400 * DAY + at * 1000
    return begin(member, number, "credit", 10, complete=True, points_end_at=ends, occurred_at=NOW - at)


def _debit(member: int, number: int, *, complete: bool) -> Command:
    return begin(member, number, "debit", 25, complete=complete)


def _held(member: int) -> int:
    """Return the id of the redemption that a member has begun."""
    return member + 1


def _used(member: int) -> int:
    """Return the id of the one that was applied."""
    return member + 2


def _redeem(member: int, number: int, order: tuple[str, str] | None = None) -> Command:
    code = f"CODE-{number}"
    return BeginRedemption(
        env=1, id=number, member=member, definition=1, code=code, points=25, order=order, received_at=NOW
    )


def _move(member: int, number: int, state: str) -> Command:
    return MoveRedemption(
        env=1, redemption=number, member=member, definition=1, state=state, force=True, received_at=NOW
    )


def _read_balance(connection: Connection, member: int) -> Any:
    balance, passed = balance_now(connection, 1, member, 1, NOW)
    return balance, expiring(connection, balance, passed, NOW, NOW + 30 * DAY)


def _read_statement(connection: Connection, member: int) -> Any:
    return statement(connection, Whose(1, member, 1), limit=SHORT)


def _read_transactions(connection: Connection, member: int) -> Any:
    return list_transactions(connection, 1, TransactionFilter(NOW, member), limit=SHORT)
