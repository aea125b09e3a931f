"""What a seed draws: the lives of orders, and what the API is asked for. And what an order is worth, told once more.

The worth is computed from the events alone, by arithmetic that shares nothing with the product's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from adapter.commands import (
    AssignTier,
    AttributeVoucher,
    BeginRedemption,
    MoveRedemption,
    MoveVoucher,
    Once,
    ReverseTransaction,
)
from tests.shop import (
    DAY,
    NOW,
    begin,
    cancelled,
    end,
    line,
    merge,
    paid,
    placed,
    recorded,
    refunded,
    shipped,
    totals,
    transfer,
)
from tests.simulation.stage import MEMBERS, TIERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from adapter.clock import Millis
    from adapter.commands import ApiCommand, Command, RecordEvent
    from adapter.events import Event

ENDS = (DAY // 24, DAY // 2, DAY, 3 * DAY, 6 * DAY)
CUSTOMERS = tuple(MEMBERS.values())
CODES = ("CODE1", "CODE2")
"""Of the first vouchers that somebody gives by hand; orders use them, perhaps before."""
OCCASIONS = (("fifties", "points:50"), ("fifties", "points:100"), ("silver", "tier:status:silver"))


@dataclass
class Life:
    """One order: its totals in cents as last edited, its refunds by their id, and whether it is off."""

    ref: str
    cents: int
    refunds: dict[str, int] = field(default_factory=dict)
    off: bool = False
    events: list[Event] = field(default_factory=list)

    @property
    def award(self) -> int:
        return self.cents // 100

    @property
    def retained(self) -> int:
        """Return the share of the award that the money kept stands for, rounded down once."""
        kept = max(self.cents - sum(self.refunds.values()), 0)
        return 0 if self.off else self.award * kept // self.cents


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def draw_life(random: Random, number: int, codes: tuple[str, ...] = ()) -> Life:
    """Draw everything that ever happens to one order, in its natural order; some use one of these codes."""
    life = Life(str(number), random.randint(500, 9000))
    who, at = random.choice((CUSTOMERS[0], *CUSTOMERS)), NOW - random.randint(1, 4) * DAY
    for edit in range(1 + (random.random() < 0.2)):
        life.cents = random.randint(500, 9000) if edit else life.cents
        used = tuple(code for code in codes if random.random() < 0.4)
        what = totals(line(amount=money(life.cents)), version=at + 1000 * edit, codes=used)
        life.events.append(placed(life.ref, customer=who, at=at, version=what.version, what=what))
    if random.random() < 0.9:
        life.events.append(paid(life.ref, at=at + DAY // 2))
    if random.random() < 0.8:
        life.events.append(shipped(life.ref, at=at + DAY))
    for name in ("r1", "r2", "r3")[: random.choice((0, 0, 1, 2, 3))]:
        life.refunds[name] = random.randint(100, life.cents)
        life.events.append(refunded(life.ref, name, money(life.refunds[name]), at=at + DAY))
    if random.random() < 0.12:
        life.off = True
        life.events.append(cancelled(life.ref, at=at + DAY))
    return life


def draw_webhooks(random: Random, lives: list[Life]) -> list[RecordEvent]:
    """Return the webhooks of these lives in any order, some of them again, and some again under another delivery id."""
    webhooks = [recorded(event) for life in lives for event in life.events]
    again = [one for one in webhooks if random.random() < 0.3]
    renamed = [recorded(*one.events, salt="again") for one in webhooks if random.random() < 0.2]
    arriving = [*webhooks, *again, *renamed]
    random.shuffle(arriving)
    return arriving


@dataclass
class Caller:
    """Somebody who asks the API, each time under an Idempotency-Key of its own."""

    random: Random
    wide: bool = False  # points are given away too, and members become one
    standing: bool = False  # there are tiers and vouchers
    count: int = 0
    begun: list[tuple[int, int]] = field(default_factory=list)  # (member, transaction)
    redeemed: list[tuple[int, int]] = field(default_factory=list)  # (member, redemption)
    given: list[tuple[int, int]] = field(default_factory=list)  # (member, voucher)

    def ask(self, now: Millis) -> ApiCommand:
        """Draw the next command; it need not be one that the book grants."""
        self.count += 1
        ways: dict[Callable[[Millis], ApiCommand], int] = {self._begin: 4, self._end: 3, self._redeem: 1}
        if self.wide:
            ways = {self._begin: 8, self._end: 6, self._redeem: 2, self._give: 3, self._merge: 2}
        if self.standing:
            ways |= {self._attribute: 2, self._use: 3, self._assign: 1}
        command = self.random.choices(tuple(ways), tuple(ways.values()))[0](now)
        key = sha256(str(self.count).encode()).digest()
        once = Once(key=key, request=key, ends_at=now + 400 * DAY)
        return msgspec.structs.replace(command, once=once, received_at=now)

    def _begin(self, now: Millis) -> ApiCommand:
        member, number = self.random.choice((1001, 1001, 1002)), 10_000 + self.count
        self.begun.append((member, number))
        kind, most, at_once = self.random.choice((("credit", 90, 0.5), ("debit", 40, 0.2)))
        ends = now + self.random.choice(ENDS) if self.random.random() < 0.7 else None
        return begin(
            member,
            number,
            kind,
            self.random.randint(1, most),
            complete=self.random.random() < at_once,
            occurred_at=now,
            points_end_at=ends if kind == "credit" else None,
            deadline=now + self.random.choice(ENDS) if self.random.random() < 0.3 else None,
        )

    def _end(self, now: Millis) -> ApiCommand:
        if not self.begun:
            return self._begin(now)
        member, number = self.random.choice(self.begun[-5:])
        state = self.random.choice(("completed", "cancelled", "cancelled", "reversed"))
        if state != "reversed":
            return end(member, number, state)
        return ReverseTransaction(
            env=1, id=20_000 + self.count, transaction=number, member=member, definition=1, received_at=now
        )

    def _redeem(self, now: Millis) -> ApiCommand:
        if self.redeemed and self.random.random() < 0.6:
            member, number = self.random.choice(self.redeemed)
            state = self.random.choice(("applied", "released", "fulfilled", "reversed"))
            return MoveRedemption(
                env=1,
                redemption=number,
                member=member,
                definition=1,
                state=state,
                force=True,
                received_at=now,
            )
        member, number = self.random.choice((1001, 1002)), 30_000 + self.count
        self.redeemed.append((member, number))
        return BeginRedemption(
            env=1, id=number, member=member, definition=1, code=f"C{number}", reward="bag", received_at=now
        )

    def _give(self, now: Millis) -> ApiCommand:
        giver, taker = self.random.sample(tuple(MEMBERS), 2)
        return transfer(40_000 + 2 * self.count, giver, taker, self.random.randint(1, 40), received_at=now)

    def _merge(self, _now: Millis) -> ApiCommand:
        member, into = self.random.choice(((1003, 1001), (1003, 1002), (1002, 1001), (1001, 1003)))
        return merge(member, into)

    def _attribute(self, now: Millis) -> ApiCommand:
        member, number = self.random.choice(tuple(MEMBERS)), 50_000 + self.count
        self.given.append((member, number))
        return AttributeVoucher(
            env=1,
            id=number,
            member=member,
            program="main",
            code=CODES[len(self.given) - 1] if len(self.given) <= len(CODES) else f"G{number}",
            percent="10",
            ends_at=now + self.random.choice(ENDS) if self.random.random() < 0.5 else None,
            received_at=now,
        )

    def _use(self, now: Millis) -> ApiCommand:
        member, number = self.random.choice([*self.given, *((member, None) for member in MEMBERS)])
        which = self.random.randrange(len(OCCASIONS))
        state = self.random.choice(("redeemed", "revoked", "held", "held", "released"))
        return MoveVoucher(
            env=1,
            voucher=number or 100 * member + which,  # whichever it is, it is called the same each time
            member=member,
            occasion=None if number else ("main", *OCCASIONS[which]),
            state=state,
            id=80_000 + self.count if state in ("held", "released") else None,
            hold=self.random.choice((None, 1, 2)),
            until=now + self.random.choice(ENDS),
            received_at=now,
        )

    def _assign(self, now: Millis) -> ApiCommand:
        until = now + self.random.choice(ENDS) if self.random.random() < 0.7 else None
        return AssignTier(
            env=1,
            id=60_000 + self.count,
            member=self.random.choice(tuple(MEMBERS)),
            program="main",
            group="status",
            tier=self.random.choice((None, *TIERS)),
            until=until,
            received_at=now,
        )


def key_of(command: Command) -> bytes | None:
    """Return what tells a command from all others, None for what time alone does."""
    once = getattr(command, "once", None)
    return once.key if once is not None else getattr(command, "key", None)
