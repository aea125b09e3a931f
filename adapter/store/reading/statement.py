"""A member's transfers in order, each with the balances it left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from adapter.book.state import MEMBER_ACCOUNTS, Account, Transfer
from adapter.store import tables as t
from adapter.store.reading.paging import Page, decode_cursor, page_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from adapter.clock import Millis

Accounts = tuple[int, int, int, int]
"""pending, available, reserved, owed, as `MEMBER_ACCOUNTS` orders them."""

TRANSFER_COLUMNS = tuple(
    t.transfers.c[name]
    for name in (
        "env",
        "member",
        "definition",
        "sequence",
        "n",
        "from_account",
        "to_account",
        "amount",
        "kind",
        "order_source",
        "order_ref",
        "transaction",
        "event",
        "occurred_at",
        "posted_at",
        "hash",
    )
)


@dataclass(frozen=True, slots=True)
class Line:
    """One transfer, and the accounts after it."""

    transfer: Transfer
    after: Accounts


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose transfers, and up to which instant (inclusive); None: all there are."""

    env: int
    member: int
    definition: int
    as_of: Millis | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        transfers = t.transfers.c
        found = [
            transfers.env == self.env,
            transfers.member == self.member,
            transfers.definition == self.definition,
        ]
        return found if self.as_of is None else [*found, transfers.posted_at <= self.as_of]


def statement(connection: Connection, whose: Whose, *, limit: int, cursor: str | None = None) -> Page[Line]:
    """Return a page, oldest first. The cursor carries the accounts as the page before left them: nothing is summed up."""
    transfers = t.transfers.c
    query = select(*TRANSFER_COLUMNS).where(*whose.conditions()).order_by(transfers.sequence, transfers.n)
    before: Sequence[int] = (0, 0, 0, 0)
    if cursor is not None:
        sequence, n, *before = decode_cursor(cursor, int, int, int, int, int, int)
        later = or_(transfers.sequence > sequence, (transfers.sequence == sequence) & (transfers.n > n))
        query = query.where(later)
    rows = connection.execute(query.limit(limit + 1)).all()
    pending, available, reserved, owed = before
    lines = _run((pending, available, reserved, owed), rows)
    return page_of(lines, limit, lambda line: (line.transfer.sequence, line.transfer.n, *line.after))


def accounts_at(connection: Connection, whose: Whose) -> Accounts:
    """Return the accounts after all of these transfers, summed up by the database."""
    query = select(*(sum_into(account) for account in MEMBER_ACCOUNTS)).where(*whose.conditions())
    pending, available, reserved, owed = tuple(connection.execute(query).one())
    return int(pending), int(available), int(reserved), int(owed)


def sum_into(account: Account) -> ColumnElement[int]:
    """Return the sum of what came into an account less what left it; `owed` is kept from the other side."""
    sign = -1 if account is Account.OWED else 1
    transfers = t.transfers.c
    moved = case(
        (transfers.to_account == account.value, sign * transfers.amount),
        (transfers.from_account == account.value, -sign * transfers.amount),
        else_=0,
    )
    return func.coalesce(func.sum(moved), 0)


def _run(before: Accounts, rows: Iterable[Any]) -> list[Line]:
    lines, now = [], before
    for row in rows:
        transfer = Transfer(*row)
        now = apply_transfer(now, transfer)
        lines.append(Line(transfer, now))
    return lines


def apply_transfer(before: Accounts, transfer: Transfer) -> Accounts:
    """Return the accounts after one more transfer."""
    after = dict(zip((account.value for account in MEMBER_ACCOUNTS), before, strict=True))
    for account, amount in (
        (transfer.from_account, -transfer.amount),
        (transfer.to_account, transfer.amount),
    ):
        if account in after:
            after[account] += -amount if account == Account.OWED else amount
    return after["pending"], after["available"], after["reserved"], after["owed"]


def net_of(transfers: Iterable[Transfer]) -> dict[str, int]:
    """Return what these transfers did to each account, together."""
    after: Accounts = (0, 0, 0, 0)
    for transfer in transfers:
        after = apply_transfer(after, transfer)
    return dict(zip((account.value for account in MEMBER_ACCOUNTS), after, strict=True))
