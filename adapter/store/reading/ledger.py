"""The ledger as an accountant reads it: two lines for each transfer, a debit and a credit, and their trial balance.

Points leave the account that is debited and go into the one that is credited. Seen from the program, what members
hold is a liability: issuing debits `issued` and credits the member. Lines come in the order of the primary key
(member, definition, sequence, number, debit first), a page at a time along it: the same whenever they are read, at
any length, and from any place on. That order is not one of time, for the book is kept by member.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select, tuple_

from adapter import ids
from adapter.book.state import MEMBER_ACCOUNTS, Transfer
from adapter.clock import iso
from adapter.points import points
from adapter.store import tables as t
from adapter.store.reading.holders import ranges
from adapter.store.reading.paging import Page, decode_cursor, encode_cursor
from adapter.store.reading.statement import TRANSFER_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter.catalog import Definition
    from adapter.clock import Millis

SCAN = 2000
Place = tuple[int, int, int, int]
"""Member, definition, sequence and number of a transfer."""

Side = tuple[Transfer, int]
"""A transfer, and which of its lines: 0 the debit, 1 the credit."""

_PLACE = (t.transfers.c.member, t.transfers.c.definition, t.transfers.c.sequence, t.transfers.c.n)
START: Place = (-1, 0, 0, 0)
COLUMNS = (
    "entry", "program", "balance_definition", "member", "account", "debit", "credit", "kind", "order_source", "order",
    "transaction", "event", "occurred_at", "posted_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """When transfers were posted: at or after `since`, before `until`."""

    since: Millis | None = None
    until: Millis | None = None

    def has(self, at: Millis) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def conditions(self) -> list[Any]:
        posted = t.transfers.c.posted_at
        given = ((self.since, posted.__ge__), (self.until, posted.__lt__))
        return [compare(at) for at, compare in given if at is not None]


def scan(connection: Connection, env: int, after: Place, *, limit: int) -> list[Transfer]:
    """Return the next transfers after a place, at most `limit`."""
    query = select(*TRANSFER_COLUMNS).where(t.transfers.c.env == env, tuple_(*_PLACE) > after)
    return [Transfer(*row) for row in connection.execute(query.order_by(*_PLACE).limit(limit))]


def place_of(transfer: Transfer) -> Place:
    """Return where a transfer stands in the order of the ledger."""
    return transfer.member, transfer.definition, transfer.sequence, transfer.n


def transfers(connection: Connection, env: int, span: Span, after: Place = START) -> Iterator[Transfer]:
    """Yield the transfers after a place, a page in memory at a time."""
    while read := scan(connection, env, after, limit=SCAN):
        yield from (one for one in read if span.has(one.posted_at))
        after = place_of(read[-1])


def page(
    connection: Connection, env: int, span: Span, *, limit: int, cursor: str | None, most: int = SCAN
) -> Page[Side]:
    """Return a page of lines. It looks at `most` transfers: where few are in the span it is short, and goes on."""
    passed: tuple[int, ...] = (*START, 1)
    if cursor is not None:
        passed = decode_cursor(cursor, int, int, int, int, int)
    member, definition, sequence, n, side = passed
    found: list[Side] = []
    batch = scan(connection, env, (member, definition, sequence, n if side else n - 1), limit=most)
    for one in batch:
        for number in (0, 1) if span.has(one.posted_at) else ():
            if (*place_of(one), number) <= passed:
                continue
            if len(found) == limit:
                last, was = found[-1]
                return Page(tuple(found), encode_cursor(*place_of(last), was))
            found.append((one, number))
    more = encode_cursor(*place_of(batch[-1]), 1) if len(batch) == most else None
    return Page(tuple(found), more)


def entry_of(transfer: Transfer) -> str:
    """Return the name of a transfer, from which an export can be resumed: `mem_….1.12.0`."""
    member, *rest = place_of(transfer)
    return ".".join([ids.show("mem", member), *map(str, rest)])


def read_entry(text: str) -> Place | None:
    """Return the place that an entry names, or None for text that names none."""
    name, *rest = text.split(".")
    member = ids.read("mem", name)
    if (
        member is None
        or len(rest) != len(_PLACE) - 1
        or not all(one.isascii() and one.isdigit() for one in rest)
    ):
        return None
    definition, sequence, n = (int(one[:18]) for one in rest)
    return member, definition, sequence, n


def lines(transfer: Transfer, definition: Definition) -> list[dict[str, Any]]:
    """Return both sides of a transfer, the debit first."""
    amount = points(transfer.amount, definition.decimals)
    shared = {
        "kind": transfer.kind,
        "order_source": transfer.order_source,
        "order": transfer.order_ref,
        "transaction": None if transfer.transaction is None else ids.show("txn", transfer.transaction),
        "event": None if transfer.event is None else ids.show("evt", transfer.event),
        "occurred_at": iso(transfer.occurred_at),
        "posted_at": iso(transfer.posted_at),
    }
    whose = {
        "entry": entry_of(transfer),
        "program": definition.program,
        "balance_definition": definition.name,
        "member": ids.show("mem", transfer.member),
    }
    return [
        {**whose, "account": transfer.from_account, "debit": amount, "credit": None, **shared},
        {**whose, "account": transfer.to_account, "debit": None, "credit": amount, **shared},
    ]


class Totals:
    """Debits and credits by definition and account."""

    def __init__(self) -> None:
        self.debits: Counter[tuple[int, str]] = Counter()
        self.credits: Counter[tuple[int, str]] = Counter()

    def add(self, definition: int, origin: str, target: str, amount: int) -> None:
        """Count an amount that went from one account to another."""
        self.debits[definition, origin] += amount
        self.credits[definition, target] += amount

    def definitions(self) -> list[int]:
        """Return the numbers of the definitions that something moved of."""
        return sorted({number for number, _ in (*self.debits, *self.credits)})

    def view(self, definitions: Mapping[int, Definition]) -> list[dict[str, Any]]:
        """Return a line for each account, and one for each definition that adds them up: its balance is zero."""
        found = []
        for number in self.definitions():
            one = definitions[number]
            accounts = {account for which, account in (*self.debits, *self.credits) if which == number}
            sides = [
                (name, self.debits[number, name], self.credits[number, name])
                for name in sorted(accounts, key=_rank)
            ]
            sides.append(("total", sum(side[1] for side in sides), sum(side[2] for side in sides)))
            found += [_balance(one, *side) for side in sides]
        return found


def _rank(account: str) -> tuple[bool, str]:
    """Sort the members' accounts first."""
    return account not in MEMBER_ACCOUNTS, account


def _balance(definition: Definition, account: str, debit: int, credit: int) -> dict[str, Any]:
    shown = {"debit": debit, "credit": credit, "balance": debit - credit}
    return {
        "program": definition.program,
        "balance_definition": definition.name,
        "account": account,
        **{side: points(amount, definition.decimals) for side, amount in shown.items()},
    }


def trial_balance(connection: Connection, env: int, span: Span) -> Totals:
    """Add up both sides of everything posted in a span, by account, one range of members at a time."""
    found, moved = Totals(), t.transfers.c
    keys = (moved.definition, moved.from_account, moved.to_account)
    for after, upto in ranges(connection, env):
        query = select(*keys, func.sum(moved.amount)).where(
            moved.env == env, moved.member > after, moved.member <= upto, *span.conditions()
        )
        for number, origin, target, amount in connection.execute(query.group_by(*keys)):
            found.add(number, origin, target, int(amount))
    return found
