"""The working set of one batch: everything its commands touch, loaded once; and everything they produce.

Decisions read and change these objects and nothing else. The engine fills them before, and writes what is marked
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from adapter.book.idling import coming_of, let_idle_end
from adapter.book.lots import turn_of
from adapter.book.rows import BalanceRows, Rows
from adapter.book.settle import NeedsLots
from adapter.book.state import Advice, Balance, BalanceOrder, Lot, Order, Redemption, Transaction
from adapter.book.transfers import Cause, Change
from adapter.clock import Millis
from adapter.program.reminding import reminds_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from decimal import Decimal

    from adapter.book.membership import Bonus, MeasureKey, Membership, Standing, TierChange
    from adapter.book.voucher import Voucher
    from adapter.catalog import Catalog
    from adapter.program.model import Program
    from connectors.vendor import Vendor


@dataclass(slots=True)
class Member:
    env: int
    id: int
    state: str
    created_at: Millis
    updated_at: Millis
    deleted_at: Millis | None = None
    merged_into: int | None = None  # who goes on in their place


@dataclass(slots=True)
class Person:
    """Who a member is; erased without touching a transfer."""

    env: int
    member: int
    email: str | None
    name: str | None
    version: Millis
    birthday: str | None = None  # YYYY-MM-DD
    metadata: str | None = None  # JSON: an object of strings


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message with its frozen bytes."""

    env: int
    id: int
    type: str
    member: int | None
    definition: int | None
    sequence: int | None
    created_at: Millis
    body: bytes
    format: str = "native"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who wants to hear of one type of message: whether anybody in our own format, and which events of which vendors.

    A stream takes every message in our own format.
    """

    native: bool
    events: tuple[tuple[Vendor, str], ...]

    def __bool__(self) -> bool:
        return self.native or bool(self.events)


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """What is written of a webhook besides its bytes."""

    id: int
    state: str
    reason: str | None
    types: str
    order: tuple[str, str] | None
    member: int | None
    occurred_at: Millis


BalanceKey = tuple[int, int, int]
OrderKey = tuple[int, str, str]
Span = tuple[int, int, int, str, int]
"""What a limit of a balance counts: environment, member, definition, credit or debit, the first instant."""
Occasion = tuple[int, int, str, str, str]
"""What a rule attributes one voucher for: environment, member, program, rule, occasion."""
Link = tuple[int, str, str]
"""What an order and a redemption have in common: the environment, of what kind it is (book/linking.py), and its name."""


@dataclass(slots=True)
class WorkingSet:
    """Rows that the batch loaded, rows it changed, and what it appends."""

    catalog: Catalog
    now: Millis
    new_id: Callable[[], int]
    vendors: Mapping[str, Vendor] = field(default_factory=dict)  # in whose formats endpoints may be told
    clock_now: Millis | None = None  # what the clock says, where that is behind `now`
    audiences: dict[tuple[int, str], Audience] = field(
        default_factory=dict
    )  # who wants a type of message, by (env, type)
    whose: int | None = None  # the member of the stored event that is carried out in this other book
    orders: Rows[OrderKey, Order] = field(default_factory=Rows)
    balances: Rows[BalanceKey, Balance] = field(default_factory=Rows)
    due_before: dict[BalanceKey, Millis | None] = field(default_factory=dict)  # of stored ones, as loaded
    lots: Rows[tuple[int, int, int, int], Lot] = field(default_factory=Rows)
    transactions: Rows[int, Transaction] = field(default_factory=Rows)
    members: Rows[tuple[int, int], Member] = field(default_factory=Rows)
    people: Rows[tuple[int, int], Person] = field(default_factory=Rows)
    identities: Rows[tuple[int, str, str], int] = field(default_factory=Rows)
    source_ids: dict[tuple[int, int], list[str]] = field(
        default_factory=dict
    )  # by (env, member): "shop:7000"
    by_email: dict[tuple[int, str], int] = field(default_factory=dict)  # the oldest member with this address
    guests: dict[tuple[int, str], list[OrderKey]] = field(default_factory=dict)  # parked orders by address
    awaited: dict[OrderKey, list[OrderKey]] = field(
        default_factory=dict
    )  # parked orders by (env, source, customer id)
    due: dict[BalanceKey, list[Lot]] = field(default_factory=dict)  # lots that time has caught up with
    later: dict[BalanceKey, Millis] = field(default_factory=dict)  # the first instant after those
    lots_of: dict[BalanceKey, dict[int, Lot]] = field(default_factory=dict)  # those of `lots`, by balance
    opened: set[BalanceKey] = field(default_factory=set)  # balances with all their available lots loaded
    last_turn: dict[BalanceKey, tuple[int, int]] = field(
        default_factory=dict
    )  # of balances with only their next lots loaded: the turn of the last one
    kept: dict[BalanceKey, dict[int, Lot]] = field(default_factory=dict)  # lots that changed, by their ids
    changes: list[Change] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    told: set[int] = field(default_factory=set)  # transactions that the change being made will tell of
    set_aside: dict[int, list[tuple[Lot, int]]] = field(default_factory=dict)  # by pending transaction
    moved: dict[int, list[tuple[Lot, int]]] = field(
        default_factory=dict
    )  # by transaction that is to be undone, or of this batch: the lots that it credited or took from
    undone: set[int] = field(default_factory=set)  # transactions that were reversed
    over: dict[BalanceKey, list[Transaction]] = field(default_factory=dict)  # pending past their deadline
    deadlines: dict[BalanceKey, dict[int, Transaction]] = field(default_factory=dict)  # those of this batch
    placed: list[BalanceOrder] = field(default_factory=list)
    labels: list[tuple[int, str, str, int]] = field(default_factory=list)  # metadata by which one asks
    advices: Rows[tuple[int, int, int], Advice] = field(default_factory=Rows)
    vouchers: Rows[int, Voucher] = field(default_factory=Rows)
    looked_up: set[Occasion] = field(
        default_factory=set
    )  # those whose vouchers were loaded, if there are any
    voucher_counts: dict[tuple[int, int, str, str], int] = field(
        default_factory=dict
    )  # by member, program and rule, where the rule has a limit: those that were not revoked
    welcomed: list[tuple[int, int, str]] = field(
        default_factory=list
    )  # (env, member, program) that began to be
    newcomers: set[tuple[int, int]] = field(default_factory=set)  # (env, member) of this batch
    tiers_told: int = 0  # how many of `tier_changes` gave occasion to vouchers already
    earned_before: dict[BalanceKey, int] = field(default_factory=dict)  # lifetime points before a command
    completed_before: dict[OrderKey, tuple[int | None, Decimal | None]] = field(
        default_factory=dict
    )  # whose an order was before a command, and what counted of it if it was completed
    occasions: dict[Occasion, int | None] = field(default_factory=dict)  # vouchers; None: there is none
    codes: dict[tuple[int, str], int] = field(default_factory=dict)  # those of vouchers, by (env, code)
    newest_advice: dict[tuple[int, int], Advice] = field(default_factory=dict)  # by (env, member)
    redemptions: BalanceRows[Redemption] = field(default_factory=BalanceRows)
    locking: list[Redemption] = field(
        default_factory=list
    )  # those stored that lock the balances to redeem from
    redeemed_today: dict[BalanceKey, int] = field(
        default_factory=dict
    )  # by those that are not in `redemptions`
    booked: dict[Span, tuple[int, int]] = field(
        default_factory=dict
    )  # transactions and their sum, of those that are not in `transactions`
    linked: dict[Link, dict[int, None]] = field(
        default_factory=dict
    )  # redemptions, by what links them to orders
    named: dict[tuple[Link, OrderKey], None] = field(
        default_factory=dict
    )  # codes and payments that orders name since this batch
    naming: dict[Link, dict[OrderKey, None]] = field(
        default_factory=dict
    )  # orders that named a code or payment, be it before this batch
    spent: dict[int, list[tuple[Lot | None, int]]] = field(
        default_factory=dict
    )  # by redemption: the lots that its spent points came from; without a lot: they were owed
    told_redemptions: list[tuple[int, str]] = field(default_factory=list)  # what the change tells of them
    memberships: Rows[tuple[int, int, str], Membership] = field(default_factory=Rows)
    standings: Rows[tuple[int, int, str, str], Standing] = field(default_factory=Rows)
    tier_changes: list[TierChange] = field(default_factory=list)
    bonuses: dict[tuple[int, int, str, str], Bonus] = field(default_factory=dict)  # credited in this batch
    measures: dict[tuple[int, int, int, str], dict[int, int]] = field(default_factory=dict)  # day → amount
    added: dict[MeasureKey, int] = field(default_factory=dict)  # to the measures, by this batch
    ordered: dict[tuple[int, int, str], tuple[str, str]] = field(
        default_factory=dict
    )  # an order of each member who was there before the program asked
    joined: list[tuple[int, int, str]] = field(
        default_factory=list
    )  # new members, with the program they came by
    stirred: dict[tuple[int, int, str], Cause] = field(
        default_factory=dict
    )  # members whose tiers have to be looked at once the command is decided, and why
    forgotten: set[tuple[int, int]] = field(default_factory=set)  # members whose person is erased
    unlinked: set[tuple[int, str, str]] = field(default_factory=set)  # customer ids that lead to nobody now
    merged: dict[tuple[int, int], int] = field(default_factory=dict)  # (env, member): who has all of it now
    unparked: dict[OrderKey, int | None] = field(
        default_factory=dict
    )  # orders that found their member or totals

    def new_member_id(self, env: int) -> int:
        """Return an id for a new member; where a stored event is carried out again, the one that it made then."""
        known = self.whose is not None and (env, self.whose) not in self.members
        return self.whose if known and self.whose is not None else self.new_id()

    def program_of(self, env: int, definition: int) -> Program:
        """Return the program of a balance, as it is for it, in the version in force now."""
        return self.catalog.program_of(env, definition, self.now)

    def audience(self, env: int, kind: str) -> Audience:
        """Return who wants a type of message, in our format or in a vendor's."""
        found = self.audiences.get((env, kind))
        if found is None:
            found = self.audiences[env, kind] = self._audience(env, kind)
        return found

    def _audience(self, env: int, kind: str) -> Audience:
        endpoints = self.catalog.endpoints_of.get(env, ())
        events = {
            (vendor.name, event): (vendor, event)
            for endpoint in endpoints
            if (vendor := self.vendors.get(endpoint.format)) is not None
            for event in vendor.events.get(kind, ())
            if endpoint.wants(event)
        }
        native = self.catalog.publishes or any(
            endpoint.format == "native" and endpoint.wants(kind) for endpoint in endpoints
        )
        return Audience(native, tuple(events.values()))

    def balance(self, key: BalanceKey) -> Balance:
        """Return a member's balance; one that never moved begins at zero."""
        return self.balances.get(key) or self.balances.add(key, Balance(*key))

    def change(self, key: BalanceKey, cause: Cause) -> Change:
        """Begin a change of one balance; it counts once it has a transfer.

        Points whose member did nothing for long end first. Raises `NeedsLots` where they are not loaded.
        """
        # The catalog is asked, not us: a change that knows the working set would keep all of it until the collector comes.
        program_at = partial(self.catalog.program_of, key[0], key[2])
        change = Change(self.balance(key), cause, self.now, program_at, names_lots=self.catalog.names_lots)
        if self.catalog.attributes_vouchers(key[0]):
            self.earned_before.setdefault(key, change.balance.earned)
        if change.idle_by(self.now) and change.balance.available:
            lots = self.other_lots(key)
            if lots is None:
                raise NeedsLots(key)
            coming = coming_of(self.lots_of.get(key, {}).values(), self.over.get(key, ()), self.now)
            let_idle_end(change, lots, coming)
            self.keep_lots(change, lots)
        return change

    def other_lots(self, key: BalanceKey) -> list[Lot] | None:
        """Return a balance's lots with available points, those of this very batch too; None: they are not loaded."""
        if key not in self.opened:
            return None
        return [lot for lot in self.lots_of.get(key, {}).values() if lot.available]

    def next_lots(self, key: BalanceKey) -> list[Lot]:
        """Return the lots that are used next: all, or those before whose turn no other one's can be."""
        lots = [lot for lot in self.lots_of.get(key, {}).values() if lot.available]
        last = None if key in self.opened else self.last_turn.get(key)
        return lots if last is None else [lot for lot in lots if turn_of(lot) <= last]

    def know_lot(self, lot: Lot) -> Lot:
        """Return the one object that stands for this lot in the batch."""
        known = self.lots.get(lot.key)
        if known is None:
            self.lots.load(lot.key, lot)
            self.lots_of.setdefault(lot.balance_key, {})[lot.id] = lot
            return lot
        return known

    def forget(self, env: int, member: int) -> None:
        """Let go of who a member is: nobody of this batch finds the person any more."""
        self.forgotten.add((env, member))
        self.people.drop((env, member))
        for key in [key for key, whose in self.identities.items() if (key[0], whose) == (env, member)]:
            self.identities.drop(key)
        for address in [key for key, whose in self.by_email.items() if (key[0], whose) == (env, member)]:
            del self.by_email[address]
        self.source_ids.pop((env, member), None)

    def measure(self, env: int, member: int, definition: int, unit: str) -> dict[int, int]:
        """Return one of a member's measures, by day."""
        return self.measures.setdefault((env, member, definition, unit), {})

    def add_measure(self, key: MeasureKey, amount: int) -> None:
        """Add to a member's measure of one day."""
        if amount:
            days = self.measure(*key[:4])
            days[key[4]] = days.get(key[4], 0) + amount
            self.added[key] = self.added.get(key, 0) + amount

    def stir(self, env: int, member: int, program: str, cause: Cause) -> None:
        """Have a member's standing looked at after this command, where the program keeps one."""
        if self.catalog.keeps_standing(env, program, self.now):
            self.stirred[env, member, program] = cause

    def keep_lots(self, change: Change, lots: Iterable[Lot]) -> None:
        """Mark the lots that a change touched; the balance's next due instant never comes after any of theirs."""
        balance = change.balance
        program = change.program_at(self.now)
        all_lots, kept = self.lots_of.setdefault(change.key, {}), self.kept.setdefault(change.key, {})
        for lot in lots:
            self.lots.put(lot.key, lot)
            all_lots[lot.id] = kept[lot.id] = lot
            if lot.remind_at is None or lot.remind_at > self.now:  # what is due is told of by the sweep
                lot.remind_at = reminds_at(lot.expires_at, program.reminders, program.timezone, self.now)
            due = lot.due_at
            if due is not None and (balance.next_due_at is None or due < balance.next_due_at):
                balance.next_due_at = due
                self.balances.mark(change.key)
