"""Where members stand in a program, as rows: since when they take part, their tiers, and what an order keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from adapter.clock import Millis


@dataclass(slots=True)
class Membership:
    """A member in one program that has tiers, bonuses, or rules that look at more than one order."""

    env: int
    member: int
    program: str
    joined_at: Millis
    version: int  # of the program by which it was reviewed last
    first_source: str | None = None  # the order that is the member's first one
    first_ref: str | None = None
    birthday_at: Millis | None = None  # when the next birthday begins
    anniversary_at: Millis | None = None  # when there is next one to tell of, or a reminder
    next_due_at: Millis | None = None  # nothing of it changes by time alone before this

    @property
    def key(self) -> tuple[int, int, str]:
        return (self.env, self.member, self.program)


@dataclass(slots=True)
class Standing:
    """The tier of one group that a member is on. All deadlines up to `reviewed_at` have been met."""

    env: int
    member: int
    program: str
    tier_group: str
    tier: str
    since: Millis
    reviewed_at: Millis
    assigned_until: Millis | None = None  # until then no rule moves it
    changes: int = 0  # how many lines its history has

    @property
    def key(self) -> tuple[int, int, str, str]:
        return (self.env, self.member, self.program, self.tier_group)

    def assigned(self, at: Millis) -> bool:
        """Return whether somebody chose the tier, and the rules have to wait."""
        return self.assigned_until is not None and at < self.assigned_until


@dataclass(frozen=True, slots=True)
class TierChange:
    """A line of the history of a standing; `n` counts from 1."""

    env: int
    member: int
    id: int
    program: str
    tier_group: str
    n: int
    from_tier: str | None
    to_tier: str
    at: Millis
    kind: str  # of the cause
    event: int | None
    reason: str | None
    measure: int  # in smallest units


@dataclass(frozen=True, slots=True)
class Bonus:
    """A bonus that was credited: `sign_up`, or `birthday:2026`."""

    env: int
    member: int
    program: str
    occasion: str
    transaction: int
    credited_at: Millis


MeasureKey = tuple[int, int, int, str, int]
"""(env, member, definition, unit, day): see `measured` in `book/counting.py` for the units."""


class Stood(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where a member stood when an order was settled for them first.

    `room` is how many points the caps of its windows left for it, in smallest units.
    """

    tier: str | None = None
    first: bool = False
    room: int | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an order keeps: where its member stood, and what it adds to the member's measures: (unit, day, amount).

    `left` are the members whose it turned out not to be, should it be theirs again after all.
    """

    stood: Stood | None = None
    counted: tuple[tuple[str, int, int], ...] = ()
    left: dict[int, Stood] = {}


_decoder = msgspec.json.Decoder(Kept)


def dump_kept(kept: Kept) -> str:
    """Write what an order keeps as JSON."""
    return msgspec.json.encode(kept).decode()


def read_kept(text: str | None) -> Kept | None:
    """Read what `dump_kept` wrote; None where the order keeps nothing."""
    return None if text is None else _decoder.decode(text)
