"""What keeps a redemption back, in words and figures; money is text, because a float never gets near it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.program.redeeming import Bar, Limits, increments_below, minimum_of, money_text, worth

if TYPE_CHECKING:
    from decimal import Decimal

    from adapter.program.model import Redeeming


@dataclass(frozen=True, slots=True)
class Barred:
    """Why a redemption of so many points (smallest units) is kept back."""

    bar: Bar
    points: int
    rules: Redeeming
    limits: Limits
    tier: str | None = None

    @property
    def figures(self) -> dict[str, int | str]:
        """Return what the bar depends on, in money; the points as they are."""
        limit, left = self._bound()
        told: dict[str, Decimal | None] = {"value": self._money, "limit": limit, "left": left}
        if limit is not None and left is not None:
            told["used"] = self.limits.used_today
        if self.bar in (Bar.BELOW_MINIMUM, Bar.NOT_AN_INCREMENT):
            told |= {"minimum": minimum_of(self.rules), "increment": self.rules.increment}
        shown = {name: money_text(one, self.rules) for name, one in told.items() if one is not None}
        return {"points": self.points, **shown}

    @property
    def sentence(self) -> str:
        """Return what keeps it back, and what to do."""
        limit, left = self._bound()
        asked = self._shown(self._money)
        span = "of the last 24 hours" if self.rules.day == "rolling" else "of a day"
        whose = f"of tier {self.tier!r}" if self.tier else "of the tier"
        if self.bar is Bar.BLOCKED:
            return (
                "A fraud advice is outstanding for this member: nothing can be redeemed until it is cleared."
            )
        if self.bar is Bar.BELOW_MINIMUM:
            return f"{asked} is less than the minimum of {self._shown(minimum_of(self.rules))}."
        if self.bar is Bar.NOT_AN_INCREMENT:
            below = increments_below(self.points, self.rules)
            nearest = f" {self._shown(below.money)} is the next below." if below.points else ""
            return f"Redeem whole multiples of {self._shown(self.rules.increment)}, not {asked}.{nearest}"
        if limit is None:
            return f"{asked} cannot be redeemed now."
        if left is None:
            of = f" {whose}" if self.bar is Bar.OF_TIER else ""
            return f"{asked} is more than one redemption{of} may be worth: {self._shown(limit)}."
        of = f"{span} {whose}" if self.bar is Bar.OF_TIER else span
        return f"{asked} is more than the {self._shown(left)} that is left of the {self._shown(limit)} {of}."

    @property
    def _money(self) -> Decimal:
        return worth(self.points, self.rules)

    def _bound(self) -> tuple[Decimal | None, Decimal | None]:
        """Return the limit that bars, and what is left of it where it is one of a day."""
        limits = self.limits
        of_tier = self.rules.tiers.get(self.tier or "")
        if self.bar is Bar.PER_TRANSACTION:
            return limits.per_transaction, None
        if self.bar is Bar.PER_DAY:
            return self.rules.per_day, limits.left_today
        at_once = limits.per_transaction_of_tier
        if self.bar is Bar.OF_TIER and at_once is not None and self._money > at_once:
            return at_once, None
        if self.bar is Bar.OF_TIER and of_tier is not None:
            return of_tier.per_day, limits.left_for_tier
        return None, None

    def _shown(self, money: Decimal) -> str:
        text = money_text(money, self.rules)
        return f"{text} {self.rules.currency}" if self.rules.currency else text
