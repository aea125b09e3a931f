"""What a seed draws: the lives of orders, and what the API is asked for. And what an order is worth, told once more.

The worth is computed from the events alone, by arithmetic that shares nothing with the product's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from adapter.commands import BeginRedemption, MoveRedemption, Once, ReverseTransaction
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
    transfer,
)
from tests.simulation.stage import MEMBERS

if TYPE_CHECKING:
    from random import Random

    from adapter.clock import Millis
    from adapter.commands import ApiCommand, Command, RecordEvent
    from adapter.events import Event

ENDS = (DAY // 24, DAY // 2, DAY, 3 * DAY, 6 * DAY)
CUSTOMERS = tuple(MEMBERS.values())


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


def draw_life(random: Random, number: int) -> Life:
    """Draw everything that ever happens to one order, in its natural order."""
    life = Life(str(number), random.randint(500, 9000))
    who, at = random.choice((CUSTOMERS[0], *CUSTOMERS)), NOW - random.randint(1, 4) * DAY
    life.events.append(placed(life.ref, line(amount=money(life.cents)), customer=who, at=at, version=at))
    if random.random() < 0.2:
        life.cents = random.randint(500, 9000)
        edited = line(amount=money(life.cents))
        life.events.append(placed(life.ref, edited, customer=who, at=at, version=at + 1000))
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
    count: int = 0
    begun: list[tuple[int, int]] = field(default_factory=list)  # (member, transaction)
    redeemed: list[tuple[int, int]] = field(default_factory=list)  # (member, redemption)

    def ask(self, now: Millis) -> ApiCommand:
        """Draw the next command; it need not be one that the book grants."""
        self.count += 1
        ways = (self._begin, self._end, self._redeem, self._give, self._merge)
        command = self.random.choices(ways, (8, 6, 2, 3, 2) if self.wide else (4, 3, 1, 0, 0))[0](now)
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


def key_of(command: Command) -> bytes | None:
    """Return what tells a command from all others, None for what time alone does."""
    once = getattr(command, "once", None)
    return once.key if once is not None else getattr(command, "key", None)
