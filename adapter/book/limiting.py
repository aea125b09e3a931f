"""What keeps a redemption back: an advice, a lock, the program's minimum and increments, the limits of a day and a tier.

What counts against a day are the redemptions that were begun in it and are held or spent; those that were released,
reversed or are over do not. They count with what their points are worth now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter import ids
from adapter.book.advising import advice_of
from adapter.book.state import RedemptionState
from adapter.book.tiers import tier_of
from adapter.clock import iso
from adapter.outcome import Outcome
from adapter.program.bars import Barred
from adapter.program.redeeming import Bar, bar_of, counts_by_day, day_began, in_smallest_units, limits_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.book.state import Redemption
    from adapter.book.working import BalanceKey, WorkingSet
    from adapter.clock import Millis
    from adapter.program.model import Program, Redeeming

COUNTED = (
    RedemptionState.PENDING,
    RedemptionState.APPLIED,
    RedemptionState.FULFILLMENT_PENDING,
    RedemptionState.FULFILLED,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to redeem: so many points (smallest units) of a balance, named by this field of the request.

    A `reward` has its cost, whatever the program's minimum and increments are.
    """

    key: BalanceKey
    points: int
    field: str  # reward | points | value

    @property
    def free(self) -> bool:
        return self.field != "reward"


def refusal(work: WorkingSet, wish: Wish, program: Program) -> Outcome | None:
    """Return why this cannot be redeemed now, None where nothing of this module keeps it back."""
    env, member, definition = wish.key
    stored = (one for one in work.locking if one.balance_key == wish.key and one.id not in work.redemptions)
    lock = lock_of((*work.redemptions.of(wish.key), *stored), work.now)
    if lock is not None:
        return _locked(lock, work.now)
    decimals = work.catalog.definitions[env, definition].decimals
    rules = in_smallest_units(program.redeeming, decimals)
    tier = tier_of(work, env, member, program.name) if rules.tiers else None
    today = redeemed_today(work, wish.key, rules, program.timezone)
    limits = limits_of(rules, redeemed_today=today, tier=tier, advice=advice_of(work, env, member))
    bar = bar_of(wish.points, rules, limits, free=wish.free)
    if bar is None:
        return None
    barred = Barred(bar, wish.points, rules, limits, tier)
    return Outcome(error=bar, reason=barred.sentence, figures=barred.figures, field=wish.field)


def redeemed_today(work: WorkingSet, key: BalanceKey, rules: Redeeming, timezone: str) -> int:
    """Return how many points today's redemptions count, those of this very batch too; 0 where no limit asks for it."""
    if not counts_by_day(rules):
        return 0
    since = day_began(work.now, rules, timezone)
    ours = sum(counted(one, since, work.now) for one in work.redemptions.of(key))
    return work.redeemed_today.get(key, 0) + ours


def counted(redemption: Redemption, since: Millis, now: Millis) -> int:
    """Return how many points a redemption counts against a day that began at `since`."""
    begun = redemption.created_at >= since
    return redemption.cost if begun and redemption.state_at(now) in COUNTED else 0


def lock_of(redemptions: Iterable[Redemption], now: Millis) -> Redemption | None:
    """Return the redemption that locks its balance for longest; a lock past its time is over by itself."""
    locking = [one for one in redemptions if one.locks_until is not None and one.locks_until > now]
    return max(
        (one for one in locking if _keeps_lock(one, now)), key=lambda one: one.locks_until or 0, default=None
    )


def _keeps_lock(redemption: Redemption, now: Millis) -> bool:
    """Return whether its lock goes on: while it waits, or for its whole time where it was applied at once."""
    state = redemption.state_at(now)
    at_once = redemption.expires_at is None
    return state == RedemptionState.PENDING or (at_once and state == RedemptionState.APPLIED)


def _locked(lock: Redemption, now: Millis) -> Outcome:
    until = lock.locks_until or now
    wait = -(-(until - now) // 1000)
    name = ids.show("rdm", lock.id)
    return Outcome(
        error=Bar.LOCKED,
        reason=f"Redemption {name} locks this balance until {iso(until)}; ask again then, or when it has ended.",
        figures={"locked_until": iso(until)},
        retry_after_s=wait,
    )
