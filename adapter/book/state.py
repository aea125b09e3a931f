"""The rows that a decision works on, as plain objects. The engine loads them, decisions change them, the engine writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from adapter.book.facts import NO_FACTS, Facts
from adapter.clock import Millis

GENESIS = bytes(32)
"""The head of a chain that has no transfer yet."""


class Account(StrEnum):
    """Where points can be. The first four are a member's, the rest the program's."""

    PENDING = "pending"  #: earned, not yet usable
    AVAILABLE = "available"  #: can be spent now
    RESERVED = "reserved"  #: under a hold
    OWED = (
        "owed"  #: taken back although there was nothing to take; kept from the other side, see transfers.py
    )
    ISSUED = "issued"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    REVOKED = "revoked"
    ADJUSTED = "adjusted"
    MOVED = "moved"  #: left one member for another; what both sides say is zero together


MEMBER_ACCOUNTS = (Account.PENDING, Account.AVAILABLE, Account.RESERVED, Account.OWED)


class OrderState(StrEnum):
    """Where an order stands, for lists and filters; the facts decide."""

    WAITING = "waiting"  #: its totals are not known yet
    PARKED = "parked"  #: its member is not known yet
    PLACED = "placed"  #: its points are pending
    POSTED = "posted"  #: its points are usable
    NOTHING = "nothing"  #: it earns nothing; the reason says why
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Balance:
    """One member's points of one definition. All amounts are in smallest units and never negative."""

    env: int
    member: int
    definition: int
    pending: int = 0
    available: int = 0
    reserved: int = 0
    owed: int = 0
    earned: int = 0
    sequence: int = 0
    head: bytes = GENESIS
    next_due_at: Millis | None = None
    idle_at: Millis | None = None  # all available points end then, unless their member does something before
    remind_at: Millis | None = None  # the member is reminded of that then
    updated_at: Millis = 0  # as it was loaded; it is written with the instant of the batch

    @property
    def key(self) -> tuple[int, int, int]:
        return (self.env, self.member, self.definition)

    @property
    def held(self) -> int:
        """Return what the member has: usable and under holds, less what is owed."""
        return self.available + self.reserved - self.owed

    @property
    def due_at(self) -> Millis | None:
        """Return the next instant at which time alone does something to the balance as a whole."""
        if not self.available:
            return None
        return min([at for at in (self.idle_at, self.remind_at) if at is not None], default=None)


@dataclass(slots=True)
class Lot:
    """Points credited together with one expiry."""

    env: int
    member: int
    definition: int
    id: int
    order_source: str | None
    order_ref: str | None
    earned_at: Millis
    pending: int = 0
    available: int = 0
    reserved: int = 0
    expired: int = 0
    due_amount: int = 0
    available_at: Millis | None = None
    expires_at: Millis | None = None
    transaction: int | None = None  # the credit whose points wait in it for `available_at`
    idled: int = 0  # how many of `expired` ended because their member did nothing
    remind_at: Millis | None = None  # the member is reminded of its end then

    @property
    def key(self) -> tuple[int, int, int, int]:
        return (self.env, self.member, self.definition, self.id)

    @property
    def balance_key(self) -> tuple[int, int, int]:
        return (self.env, self.member, self.definition)

    @property
    def due_at(self) -> Millis | None:
        """Return the next instant at which time alone changes this lot."""
        posts = self.available_at if self.pending and self.due_amount else None
        dues = (posts, self.expires_at, self.remind_at) if self.available else (posts,)
        return min([at for at in dues if at is not None], default=None)

    def of(self, member: int) -> Lot:
        """Return the same lot of another member, without its points."""
        return replace(self, member=member, pending=0, available=0, reserved=0, expired=0)

    def live(self, now: Millis) -> bool:
        """Return whether its points can still be used: expiry is half-open."""
        return self.expires_at is None or now < self.expires_at


@dataclass(slots=True)
class Order:
    """One order: its merged facts, and what the ledger holds for it."""

    env: int
    source: str
    ref: str
    program: str
    created_at: Millis
    facts: Facts = NO_FACTS
    name: str | None = None
    member: int | None = None
    email: str | None = None
    program_version: int | None = None
    definition: int | None = None
    state: str = OrderState.WAITING
    reason: str | None = None
    basis: str | None = None
    currency: str | None = None
    award: int = 0
    retained: int = 0
    credited: int = 0
    taken: int = 0
    lot: int | None = None
    award_transaction: int | None = None
    placed_at: Millis | None = None
    parts: str | None = None  # JSON [[rule, points], …]; None: the only rule gave the whole award
    standing: str | None = None  # JSON of membership.Kept: where its member stood when it was settled first
    customer: str | None = None  # the shop's customer id, while they are no member

    @property
    def key(self) -> tuple[int, str, str]:
        return (self.env, self.source, self.ref)

    @property
    def held(self) -> int:
        """Return what the ledger holds for it: issued, less what was taken back."""
        return self.credited - self.taken


@dataclass(slots=True)
class Transaction:
    """A credit or debit as the loyalty API shows it; it owns the transfers that name it."""

    env: int
    id: int
    member: int
    definition: int
    kind: str  # credit | debit
    state: str  # pending | completed | cancelled | expired | rejected
    amount: int
    order_source: str | None
    order_ref: str | None
    event: int | None
    occurred_at: Millis
    created_at: Millis
    updated_at: Millis
    reason: str | None = None
    completed_at: Millis | None = None
    cancelled_at: Millis | None = None
    expires_at: Millis | None = None  # a pending one is over from this instant on
    sequence: int | None = None  # of the change that set its points aside, credited or spent them
    metadata: str | None = None  # JSON
    redemption: int | None = None  # the redemption that owns it
    available_at: Millis | None = None  # from when on credited points can be used
    completes_at: Millis | None = None  # a pending one is completed by time alone at this instant
    rejected_at: Millis | None = None
    chain: int | None = None  # on whose chain `sequence` is, where another member has it since
    reverses: int | None = None  # the transaction that it undoes
    points_last: Millis | None = None  # credited points end so long after they can be used

    @property
    def balance_key(self) -> tuple[int, int, int]:
        return (self.env, self.member, self.definition)

    @property
    def change_key(self) -> tuple[int, int, int, int | None]:
        """Return the change that `sequence` names."""
        return (self.env, self.chain or self.member, self.definition, self.sequence)

    @property
    def due_at(self) -> Millis | None:
        """Return the instant at which time alone ends it."""
        ends = [at for at in (self.expires_at, self.completes_at) if at is not None]
        return min(ends, default=None) if self.state == "pending" else None

    def state_at(self, now: Millis) -> str:
        """Return its state as of now, whether or not the sweep has come by."""
        due = self.due_at
        if due is None or now < due:
            return self.state
        return "expired" if due == self.expires_at else "completed"


@dataclass(frozen=True, slots=True)
class BalanceOrder:
    """What a business order asked for; its transaction does it, and the two are in one state because it has none."""

    env: int
    id: int
    member: int
    definition: int
    transaction: int
    amount: int  # below zero for a debit
    source: str  # engine | user
    due_at: Millis
    created_at: Millis


@dataclass(slots=True)
class Advice:
    """What somebody advises about a member, such as to BLOCK; the newest one is outstanding until it is cleared."""

    env: int
    member: int
    number: int  # from 1, by member
    advice: str
    reason: str | None
    given_at: Millis
    cleared_at: Millis | None = None
    cleared_reason: str | None = None

    @property
    def key(self) -> tuple[int, int, int]:
        return (self.env, self.member, self.number)


class RedemptionState(StrEnum):
    """Where a redemption stands."""

    PENDING = "pending"  #: a discount that waits to be used; its points are held
    APPLIED = "applied"  #: the discount was used, the credit granted; its points are spent
    FULFILLMENT_PENDING = "fulfillment_pending"  #: an item to be sent; its points are spent
    FULFILLED = "fulfilled"  #: the item was sent
    RELEASED = "released"  #: given up before it was used; the points are back
    EXPIRED = "expired"  #: not used before its deadline; the points are back
    REVERSED = "reversed"  #: undone by hand; the points are back


@dataclass(slots=True)
class Redemption:
    """Points spent on something: a discount with its code, an item with its shipment, or credit.

    `cost` and `returned` are in the definition's smallest units. `value` is in the currency's, or without a currency in
    those of the definition that it was credited to.
    """

    env: int
    id: int
    member: int
    definition: int
    transaction: int  # the debit that holds its points or spent them
    program: str
    kind: str  # discount | item | credit
    state: str
    cost: int
    created_at: Millis
    updated_at: Millis
    reward: str | None = None
    value: int | None = None
    currency: str | None = None
    code: str | None = None  # upper-case
    credited: int | None = None  # the definition that its value was credited to
    payment: str | None = None  # the shop's payment that uses it
    order_source: str | None = None  # the order that uses it: as asked for, else the first that told of it
    order_ref: str | None = None
    linked: str | None = None  # JSON of book.linking: what each order that uses it says
    returned: int = 0  # came back for refunds of its order
    decided: int = 0  # 1: the API moved it, and no order's facts move it any more
    flagged: str | None = None  # why a person should look at it
    shipping: str | None = None  # JSON: an object of strings
    tracking: str | None = None
    reason: str | None = None
    metadata: str | None = None  # JSON: an object of strings
    expires_at: Millis | None = None  # a pending one is over from this instant on
    applied_at: Millis | None = None
    fulfilled_at: Millis | None = None
    released_at: Millis | None = None
    expired_at: Millis | None = None
    reversed_at: Millis | None = None
    locks_until: Millis | None = None  # no other redemption of its balance before then
    flag_cleared_at: Millis | None = None  # when a person had looked at it
    flag_note: str | None = None  # what the person found

    @property
    def balance_key(self) -> tuple[int, int, int]:
        return (self.env, self.member, self.definition)

    @property
    def spent(self) -> bool:
        """Return whether its points are spent, but for those that came back."""
        return self.state in (
            RedemptionState.APPLIED,
            RedemptionState.FULFILLMENT_PENDING,
            RedemptionState.FULFILLED,
        )

    def state_at(self, now: Millis) -> str:
        """Return its state: past its deadline it has expired, whether or not that is written yet."""
        over = self.expires_at is not None and self.expires_at <= now
        return RedemptionState.EXPIRED if over and self.state == RedemptionState.PENDING else self.state


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """An immutable movement of a positive amount between two accounts, sealed by its hash."""

    env: int
    member: int
    definition: int
    sequence: int
    n: int
    from_account: str
    to_account: str
    amount: int
    kind: str
    order_source: str | None
    order_ref: str | None
    transaction: int | None
    event: int | None
    occurred_at: Millis
    posted_at: Millis
    hash: bytes = GENESIS
    lot: int | None = None  # the one from and to whose parts all of it moved; else its allocations say
    lot_expires_at: Millis | None = None


class Allocation(msgspec.Struct, frozen=True, gc=False):
    """Which lot gave or took how much of a transfer that does not name its only one."""

    env: int
    member: int
    definition: int
    sequence: int
    n: int
    lot: int
    amount: int
    expires_at: Millis | None
