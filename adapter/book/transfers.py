"""The one place where a balance moves.

A transfer takes a positive amount from one account and gives it to another; what it does to the balance, to its lots
and to the chain happens here together or not at all. `owed` is kept from the other side: points that are taken back
although none are there leave `owed` (it grows), and the next credits go into it (it shrinks).

The chain: each transfer's hash covers everything it says, the lots it touched with their expiry, and the hash before
it. The encoding is canonical JSON of an array, so no two different transfers are ever encoded alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from adapter.book.state import MEMBER_ACCOUNTS, Account, Allocation, Balance, Lot, Transfer
from adapter.clock import Millis
from adapter.program.ending import idle_at
from adapter.program.reminding import reminds_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapter.program.model import Program

_NAMES = tuple(account.value for account in MEMBER_ACCOUNTS)
_LOT_PARTS = {Account.PENDING, Account.AVAILABLE, Account.RESERVED}


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Why points move: what a transfer, a message and an explanation all say."""

    kind: str
    occurred_at: Millis
    event: int | None = None
    source: str | None = None  # who told us, which need not be whose order it is


@dataclass(slots=True)
class Change:
    """All that one command does to one balance: its transfers share a sequence, and one message tells of them."""

    balance: Balance
    cause: Cause
    now: Millis
    program_at: Callable[[Millis], Program]  # the balance's, in the version that was in force
    due_at: Millis | None = None  # while something is done that was due before now
    before: tuple[int, int, int, int] = (0, 0, 0, 0)
    earned: int = 0  # the balance's, when the change began
    names_lots: bool = True  # whether a transfer of one lot names it itself
    transfers: list[Transfer] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)
    transaction: int | None = None  # the transaction that the message names
    order: tuple[str, str] | None = None
    key: tuple[int, int, int] = field(init=False)  # the balance's

    def __post_init__(self) -> None:
        self.key = self.balance.key
        self.before = _accounts(self.balance)
        self.earned = self.balance.earned

    def idle_by(self, at: Millis) -> bool:
        """Return whether the member did nothing for so long, as of an instant, that all points are over."""
        return self.balance.idle_at is not None and self.balance.idle_at <= at

    def deltas(self) -> dict[str, int]:
        """Return what changed, by account; accounts that ended as they began are left out."""
        after = _accounts(self.balance)
        return {
            name: new - old for name, old, new in zip(_NAMES, self.before, after, strict=True) if new != old
        }


def _accounts(balance: Balance) -> tuple[int, int, int, int]:
    return (balance.pending, balance.available, balance.reserved, balance.owed)


def move(
    change: Change,
    route: tuple[Account, Account],
    parts: Sequence[tuple[Lot | None, int]],
    *,
    kind: str,
    order: tuple[str, str] | None = None,
    transaction: int | None = None,
) -> None:
    """Move points along `route` (from, to), each part from and to its own lot; a part without a lot touches none."""
    amount = sum(part for _, part in parts)
    if amount == 0:
        return
    assert all(part > 0 for _, part in parts)
    source, target = route
    balance = change.balance
    if not change.transfers:
        balance.sequence += 1
        change.order, change.transaction = order, transaction
    for lot, part in parts:
        if lot is not None:
            _move_lot(lot, source, -part)
            _move_lot(lot, target, part)
    _move_balance(balance, source, -amount)
    _move_balance(balance, target, amount)
    _count_earned(balance, route, amount)
    kind_of_activity = _ACTIVITIES.get(route)
    if kind_of_activity is not None:
        be_active(change, kind_of_activity, change.now if change.due_at is None else change.due_at)
    sequence, n = balance.sequence, len(change.transfers)
    origin, ref = order or (None, None)
    said = (
        *change.key,
        sequence,
        n,
        source.value,
        target.value,
        amount,
        kind,
        origin,
        ref,
        transaction,
        change.cause.event,
        change.cause.occurred_at,
        change.now,
    )
    touched = [(lot.id, part, lot.expires_at) for lot, part in parts if lot is not None]
    balance.head = chain_hash(balance.head, said, touched)
    given = [Allocation(*change.key, sequence, n, *one) for one in touched]
    _keep(change, Transfer(*said, balance.head), given)


def _keep(change: Change, transfer: Transfer, given: list[Allocation]) -> None:
    """Keep a transfer: with the lot that gave or took all of it, or beside it what each of several did."""
    if change.names_lots and [one.amount for one in given] == [transfer.amount]:
        (only,) = given
        transfer = msgspec.structs.replace(transfer, lot=only.lot, lot_expires_at=only.expires_at)
    else:
        change.allocations += given
    change.transfers.append(transfer)


def chain_hash(
    previous: bytes, said: Sequence[Any], touched: Sequence[tuple[int, int, Millis | None]]
) -> bytes:
    """Seal a transfer: SHA-256 over the hash before it and everything it says.

    `said` are the fields of a `Transfer` up to `posted_at`, in their order; `touched` are (lot, amount, expires_at).
    """
    return sha256(previous + orjson.dumps([*said, sorted(touched)])).digest()


def _move_lot(lot: Lot, account: Account, amount: int) -> None:
    if account in _LOT_PARTS:
        name = account.value
        setattr(lot, name, getattr(lot, name) + amount)
    elif account is Account.EXPIRED:
        lot.expired += amount  # negative where a later fact revives what had run out
        lot.idled = min(lot.idled, lot.expired)


def _move_balance(balance: Balance, account: Account, amount: int) -> None:
    if account is Account.OWED:
        balance.owed -= amount
    elif account in MEMBER_ACCOUNTS:
        name = account.value
        setattr(balance, name, getattr(balance, name) + amount)


def be_active(change: Change, kind: str, at: Millis) -> None:
    """Put off the end that inactivity brings, if this kind of activity (`earn` or `spend`) does.

    Where all points are over, or there were none, those that are earned or received begin it anew.
    """
    program, balance = change.program_at(at), change.balance
    if not program.expiry.by_inactivity:
        balance.idle_at = balance.remind_at = None
    elif kind in program.expiry.activity or (
        kind != "spend" and (balance.idle_at is None or change.idle_by(at))
    ):
        ends = idle_at(at, program.expiry, program.timezone) or at
        balance.idle_at = max(ends, balance.idle_at or ends)
        balance.remind_at = reminds_at(balance.idle_at, program.reminders, program.timezone, at)


_POSTED = {Account.AVAILABLE, Account.OWED}
_NOT_YET = {Account.ISSUED, Account.PENDING}
_WAS_POSTED = {*_POSTED, Account.EXPIRED}


_ACTIVITIES = (
    {(source, target): "earn" for source in _NOT_YET for target in _POSTED}
    | {(source, Account.REDEEMED): "spend" for source in (Account.AVAILABLE, Account.RESERVED)}
    | {(Account.AVAILABLE, Account.MOVED): "spend", (Account.MOVED, Account.AVAILABLE): "receive"}
)
"""Which routes are something that a member did."""


def _count_earned(balance: Balance, route: tuple[Account, Account], amount: int) -> None:
    """Keep the lifetime's sum: what was posted, less what was taken back of it."""
    source, target = route
    if source in _NOT_YET and target in _POSTED:
        balance.earned += amount
    elif source in _WAS_POSTED and target in (Account.REVOKED, Account.PENDING):
        balance.earned -= amount
