"""What a member may redeem now, over HTTP: in points and in money, with the limits, and why it is nothing if it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from adapter import ids
from adapter.book.limiting import lock_of
from adapter.clock import iso
from adapter.points import points
from adapter.program.bars import Barred
from adapter.program.redeeming import (
    NONE,
    Bar,
    Limits,
    Span,
    day_began,
    in_smallest_units,
    least_now,
    limits_of,
    money_text,
    most_now,
    redeemable,
    why_nothing,
    worth,
)
from adapter.store.limits import locking, redeemed_since
from adapter.store.pipeline import answered
from adapter.store.reading.advices import outstanding_advice
from adapter.store.reading.balances import balance_now, choose_definition
from adapter.store.reading.members import find_member
from adapter.store.reading.tiers import tier_now
from adapter.web.queries import OneDefinition
from adapter.web.routing import Call, Route, Shown
from adapter.web.shown import Instant, MemberId, Points

if TYPE_CHECKING:
    from decimal import Decimal

    from adapter.book.state import Redemption
    from adapter.catalog import Definition
    from adapter.program.model import Redeeming


class PointsAndMoney(Shown):
    points: Points
    money: str = Field(examples=["50.00"], description="In the program's currency.")


class RedemptionLimits(Shown):
    """In money; null: no such limit."""

    per_transaction: str | None
    per_day: str | None
    per_transaction_of_tier: str | None
    per_day_of_tier: str | None
    used_today: str | None = Field(description="What redemptions of this day hold or spent.")
    left_today: str | None
    left_today_of_tier: str | None


class RedeemableShown(Shown):
    """What a member may redeem as of `as_of`."""

    member: MemberId
    program: str
    balance_definition: str
    currency: str | None
    balance: PointsAndMoney = Field(description="All posted points, those under a hold as well.")
    available: PointsAndMoney
    redeemable: PointsAndMoney = Field(description="What the balance is good for, in whole increments.")
    most: PointsAndMoney = Field(description="The most that one redemption may be now.")
    least: PointsAndMoney = Field(description="The least that one redemption may be now.")
    limits: RedemptionLimits
    tier: str | None
    advice: str | None = Field(description="The fraud advice that is outstanding.")
    locked_until: Instant | None
    reason: str | None = Field(
        description="Why `most` is nothing: the code that a redemption would be refused with."
    )
    explanation: str | None
    as_of: Instant


SPANS = ("balance", "available", "redeemable", "most", "least")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is redeemable depends on this: the rules for smallest units, the limits as they stand, and what is there."""

    rules: Redeeming
    limits: Limits
    tier: str | None
    available: int
    lock: Redemption | None
    state: str  # of the program; "published" where points can be redeemed

    @property
    def open(self) -> bool:
        return self.lock is None and self.state == "published"


@dataclass(frozen=True, slots=True)
class Redeemable:
    """What a member may redeem of one balance now. `points` are smallest units, money is the program's currency."""

    balance: Span  # all posted points, those under a hold as well
    available: Span
    redeemable: Span
    most: Span
    least: Span
    now: Conditions


def redeemable_now(call: Call) -> dict[str, Any]:
    """Show what a member may redeem now."""
    member = find_member(call.database, call.env, call.path["member"])
    asked: OneDefinition = call.query
    definition = choose_definition(
        call.database, call.catalog, call.env, member.id, program=asked.program, name=asked.balance_definition
    )
    found = redeemable_of(call, member.id, definition)
    now = found.now
    return {
        "member": ids.show("mem", member.id),
        "program": definition.program,
        "balance_definition": definition.name,
        "currency": now.rules.currency,
        **{name: _span_view(getattr(found, name), now.rules, definition) for name in SPANS},
        "limits": _limits_view(now),
        "tier": now.tier,
        "advice": now.limits.advice,
        "locked_until": None if now.lock is None else iso(now.lock.locks_until or call.now),
        **_why(now, found.most),
        "as_of": iso(call.now),
    }


def redeemable_of(call: Call, member: int, definition: Definition) -> Redeemable:
    """Return what a member may redeem of one balance now, with everything that it depends on."""
    balance, _ = balance_now(call.database, call.env, member, definition.id, call.now)
    now = _now(call, member, definition, balance.available)
    return Redeemable(
        balance=_whole(balance.available + balance.reserved, now.rules),
        available=_whole(balance.available, now.rules),
        redeemable=redeemable(balance.available, now.rules, now.limits),
        most=most_now(now.available, now.rules, now.limits) if now.open else NONE,
        least=least_now(now.available, now.rules, now.limits) if now.open else NONE,
        now=now,
    )


def _now(call: Call, member: int, definition: Definition, available: int) -> Conditions:
    program = call.catalog.version_at(call.env, definition.program, call.now).program
    rules = in_smallest_units(program.redeeming, definition.decimals)
    key = (call.env, member, definition.id)
    since = day_began(call.now, rules, program.timezone)
    whose = (call.env, member)
    tier = tier_now(call.database, call.catalog, whose, definition.program, call.now) if rules.tiers else None
    limits = limits_of(
        rules,
        redeemed_today=answered(call.database, redeemed_since(call.database, {key: since}, call.now)).get(
            key, 0
        ),
        tier=tier,
        advice=outstanding_advice(call.database, call.env, member),
    )
    lock = lock_of(answered(call.database, locking(call.database, [key], call.now)), call.now)
    state = "published" if program.spends_at(call.now) else program.state_at(call.now)
    return Conditions(rules, limits, tier, available, lock, state)


def _whole(amount: int, rules: Redeeming) -> Span:
    return Span(amount, worth(amount, rules))


def _span_view(span: Span, rules: Redeeming, definition: Definition) -> dict[str, Any]:
    return {"points": points(span.points, definition.decimals), "money": money_text(span.money, rules)}


def _limits_view(now: Conditions) -> dict[str, str | None]:
    rules, limits = now.rules, now.limits
    of_tier = rules.tiers.get(now.tier or "")
    told: dict[str, Decimal | None] = {
        "per_transaction": rules.per_transaction,
        "per_day": rules.per_day,
        "per_transaction_of_tier": None if of_tier is None else of_tier.per_transaction,
        "per_day_of_tier": None if of_tier is None else of_tier.per_day,
        "used_today": limits.used_today,
        "left_today": limits.left_today,
        "left_today_of_tier": limits.left_for_tier,
    }
    return {name: None if one is None else money_text(one, rules) for name, one in told.items()}


def _why(now: Conditions, most: Span) -> dict[str, str | None]:
    """Return what makes it nothing, as the refusal of a redemption would say it; nothing where something may be."""
    if most.points:
        return {"reason": None, "explanation": None}
    if now.state != "published":
        code = "program_not_published" if now.state == "draft" else f"program_{now.state}"
        return {"reason": code, "explanation": "The program lets no points be redeemed now."}
    if now.lock is not None:
        name = ids.show("rdm", now.lock.id)
        why = f"Redemption {name} locks this balance until {iso(now.lock.locks_until or 0)}."
        return {"reason": Bar.LOCKED, "explanation": why}
    bar = why_nothing(now.available, now.rules, now.limits) or Bar.BELOW_MINIMUM
    wanted = now.available if bar is Bar.BELOW_MINIMUM else _least_points(now)
    return {"reason": bar, "explanation": Barred(bar, wanted, now.rules, now.limits, now.tier).sentence}


def _least_points(now: Conditions) -> int:
    return least_now(now.available, now.rules, Limits()).points


ROUTES = (
    Route(
        "GET",
        "/v1/members/{member}/redeemable",
        redeemable_now,
        "members:read",
        "Show what can be redeemed",
        RedeemableShown,
        "Members",
        query=OneDefinition,
        text="`redeemable` is what the balance is good for: whole increments, within what is left of the day unless "
        "the program shows the full balance. `most` and `least` are what one redemption may be now; where they are "
        "nothing, `reason` and `explanation` say why.",
    ),
)
