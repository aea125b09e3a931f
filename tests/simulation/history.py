"""What the ledger's own history must say: nothing dead was spent or came to life, and the right lots were used first."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from adapter.clock import LATEST
from adapter.store import tables as t
from adapter.store.allocated import by_transfer, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = ("pending", "available", "reserved")
SPENDS = ("reserved", "redeemed")


@dataclass
class Account:
    """One member's points as they were after each transfer."""

    free: set[int]  # lots that no order gave: their end never moves
    sums: Counter[str] = field(default_factory=Counter)
    lots: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ends: dict[int, int] = field(default_factory=dict)

    def move(self, row: Any, parts: list[Any]) -> Iterator[str]:
        for part in parts:
            self.ends[part.lot] = LATEST + 1 if part.expires_at is None else part.expires_at
            self.lots[part.lot][row.from_account] -= part.amount
            self.lots[part.lot][row.to_account] += part.amount
        self.sums[row.from_account] -= row.amount
        self.sums[row.to_account] += row.amount
        if row.from_account == "available" and row.to_account in SPENDS:
            yield from self._spent(row, {part.lot for part in parts})

    def _spent(self, row: Any, used: set[int]) -> Iterator[str]:
        dead = [lot for lot in used if self.ends[lot] <= row.posted_at]
        if dead:
            yield f"change {row.sequence} spends points of lots that were over: {dead}"
        last = max((self._turn(lot) for lot in used & self.free), default=(0, 0))
        for lot in self.free - used:
            live = self.lots[lot]["available"] > 0 and self.ends[lot] > row.posted_at
            if live and self._turn(lot) < last:
                yield f"change {row.sequence} passes over lot {lot}, whose turn it was"

    def _turn(self, lot: int) -> tuple[int, int]:
        return self.ends.get(lot, LATEST + 1), lot

    def after(self, sequence: int, touched: set[int], posted_at: int) -> Iterator[str]:
        """Look at the member once a whole change is done."""
        if self.sums["available"] > 0 and self.sums["owed"] < 0:
            yield f"change {sequence} leaves points available while some are owed"
        for lot in touched:
            if self.lots[lot]["available"] > 0 and self.ends[lot] <= posted_at:
                yield f"change {sequence} leaves points available in lot {lot}, which is over"
        below = [
            name for name in PARTS if self.sums[name] < 0 or any(self.lots[lot][name] < 0 for lot in touched)
        ]
        if below:
            yield f"change {sequence} leaves less than nothing {below}"


def broken(connection: Connection) -> Iterator[str]:
    """Go through every transfer that there ever was, and say where it broke a rule."""
    free = set(connection.execute(select(t.lots.c.id).where(t.lots.c.order_ref.is_(None))).scalars())
    c = t.transfers.c
    rows = connection.execute(select(t.transfers).order_by(c.member, c.definition, c.sequence, c.n)).all()
    parts = by_transfer(rows, connection.execute(select(t.allocations)))
    for _, group in groupby(rows, key=lambda row: (row.member, row.definition)):
        account = Account(free)
        for sequence, change in groupby(group, key=lambda row: row.sequence):
            touched: set[int] = set()
            for row in change:
                mine = parts[place_of(row)]
                yield from account.move(row, mine)
                touched |= {part.lot for part in mine}
                posted_at = row.posted_at
            yield from account.after(sequence, touched, posted_at)
    yield from _unmatched(connection, rows)


def _unmatched(connection: Connection, rows: Any) -> Iterator[str]:
    """Find holds of which more left than was held, and transactions that another undid by more than they were."""
    held: Counter[int] = Counter()
    moved: Counter[int] = Counter()
    for row in rows:
        if row.transaction is not None:
            held[row.transaction] += row.amount * (
                (row.to_account == "reserved") - (row.from_account == "reserved")
            )
            moved[row.transaction] += row.amount
    yield from (f"of hold {number} more was taken than it held" for number, left in held.items() if left < 0)
    c = t.transactions.c
    for row in connection.execute(select(c.id, c.reverses, c.amount).where(c.reverses.is_not(None))):
        if moved[row.id] > row.amount:
            yield f"transaction {row.id} undoes {row.amount} by {moved[row.id]}"
