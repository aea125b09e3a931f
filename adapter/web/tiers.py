"""Tiers over HTTP: where a member stands, how that came about, and putting somebody on one by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter import ids
from adapter.book.tiers import Place
from adapter.clock import LATEST, iso
from adapter.commands import AssignTier
from adapter.errors import NotFound
from adapter.points import points
from adapter.program.tiers import Measure
from adapter.store.reading.members import find_member
from adapter.store.reading.tiers import list_tier_changes, places_of
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.queries import Instant, Listing, Reference, Selection
from adapter.web.routing import Access, Call, Given, Repeated, Route, Shown
from adapter.web.shown import Instant as InstantShown
from adapter.web.shown import MemberId, Points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.book.membership import TierChange
    from adapter.program.tiers import Tier, TierGroup


class MeasureShown(Shown):
    """What decides the tier: points, or money of `currency`; of the last `window_months` where it rolls."""

    kind: Measure
    value: Points
    currency: str | None
    window_months: int | None


class NextTier(Shown):
    tier: str
    threshold: Points
    missing: Points


class TierShown(Shown):
    """Where a member stands in one tier group."""

    program: str
    group: str
    tier: str = Field(examples=["silver"])
    since: InstantShown
    assigned: bool = Field(description="Somebody chose it, and no rule moves it for now.")
    assigned_until: InstantShown | None = Field(description="Null where it is not assigned, or for good.")
    measure: MeasureShown
    benefits: list[str | dict[str, str]]
    next: NextTier | None = Field(description="The next tier, and what is missing; null on the highest.")
    next_review_at: InstantShown | None = Field(
        description="When time alone may move it: an anniversary, or what drops out of a rolling window."
    )


class TiersShown(Shown):
    member: MemberId
    tiers: list[TierShown]


class TierChangeShown(Shown):
    """A move from one tier to another; `from` is null where the member began."""

    member: MemberId
    program: str
    group: str
    from_: str | None = Field(alias="from")
    to: str
    at: InstantShown
    cause: str = Field(examples=["order.shipped"])
    event: str | None
    reason: str | None
    measure: Points


class TierAsked(Given):
    """A tier to put a member on."""

    group: Reference = Field(description="A tier group's name.")
    tier: Reference | None = Field(None, description="Left out: an assignment ends, and the measure decides.")
    until: Instant | None = Field(None, description="Until then no rule moves it; left out: for good.")
    program: Reference | None = Field(None, description="A program's name; needed where several have tiers.")
    reason: Annotated[str, Field(max_length=500)] | None = None


class TiersQuery(Selection):
    program: Reference | None = Field(None, description="Only of this program.")


def member_tiers(call: Call) -> dict[str, Any]:
    """Show where a member stands in each tier group."""
    row = find_member(call.database, call.env, call.path["member"])
    places = places_of(call.database, call.catalog, (call.env, row.id), call.now)
    wanted = call.query.program
    shown = [_view(call, place) for place in places if wanted in (None, place.program)]
    return {"member": ids.show("mem", row.id), "tiers": shown}


def tier_changes(call: Call) -> dict[str, Any]:
    """List how a member's tiers came about, newest first."""
    row = find_member(call.database, call.env, call.path["member"])
    page = list_tier_changes(
        call.database, (call.env, row.id), limit=call.query.limit, cursor=call.query.cursor
    )
    return page.view(lambda change: _change_view(call, change))


def assign_tier(call: Call) -> dict[str, Any] | Repeated:
    """Put a member on a tier."""
    asked: TierAsked = call.body
    with call.parts.engine.connect() as connection:
        row = find_member(connection, call.env, call.path["member"])
    program, group = _group_meant(call, asked)
    if asked.tier is not None and group.place(asked.tier) is None:
        names = ", ".join(tier.name for tier in group.tiers)
        raise at_fault("tier", f"{group.name} has no tier {asked.tier[:80]!r}; it has: {names}")
    if asked.until is not None and (asked.tier is None or asked.until <= call.now):
        raise at_fault(
            "until", "it has passed already" if asked.tier else "it says until when a tier is assigned"
        )
    command = AssignTier(
        env=call.env,
        id=ids.new_id(call.now),
        member=row.id,
        program=program,
        group=group.name,
        tier=asked.tier,
        until=asked.until,
        reason=asked.reason,
        received_at=call.now,
        once=once_of(call),
    )
    return ask(call, command, lambda made: _made_view(call, made))


def _group_meant(call: Call, asked: TierAsked) -> tuple[str, TierGroup]:
    """Return the program and group that are meant. Raises `NotFound` or `Problem`."""
    groups = [
        (name, group)
        for env, name in sorted(call.catalog.programs)
        if env == call.env and asked.program in (None, name)
        for group in call.catalog.version_at(env, name, call.now).program.tier_groups
        if group.name == asked.group
    ]
    if not groups:
        raise NotFound(f"There is no tier group {asked.group[:80]!r} in this environment.", field="group")
    if len(groups) > 1:
        raise at_fault("program", f"several programs have a tier group {asked.group!r}; name one of them")
    return groups[0]


def _made_view(call: Call, made: Mapping[str, Any]) -> dict[str, Any]:
    return _view(call, Place(**made))


def _view(call: Call, place: Place) -> dict[str, Any]:
    groups = call.catalog.version_at(call.env, place.program, call.now).program.tier_groups
    group = next(one for one in groups if one.name == place.group)
    decimals = _decimals(call, place.program, group)
    here = group.place(place.tier) or 0
    higher = group.tiers[here + 1 : here + 2]
    assigned = place.assigned_until is not None
    forever = place.assigned_until == LATEST
    return {
        "program": place.program,
        "group": place.group,
        "tier": place.tier,
        "since": iso(place.since),
        "assigned": assigned,
        "assigned_until": None if forever else _instant(place.assigned_until),
        "measure": {
            "kind": group.measure,
            "value": group.shown(place.amount, decimals),
            "currency": group.currency,
            "window_months": group.window_months,
        },
        "benefits": list(group.tiers[here].benefits),
        "next": _next_view(group, higher[0], place.amount, decimals) if higher else None,
        "next_review_at": _instant(place.next_review_at),
    }


def _next_view(group: TierGroup, tier: Tier, amount: int, decimals: int) -> dict[str, Any]:
    least = group.least(tier, decimals)
    return {
        "tier": tier.name,
        "threshold": group.shown(least, decimals),
        "missing": group.shown(max(least - max(amount, 0), 0), decimals),
    }


def _change_view(call: Call, change: TierChange) -> dict[str, Any]:
    groups = call.catalog.version_at(call.env, change.program, call.now).program.tier_groups
    group = next((one for one in groups if one.name == change.tier_group), None)
    decimals = _decimals(call, change.program, group)
    return {
        "member": ids.show("mem", change.member),
        "program": change.program,
        "group": change.tier_group,
        "from": change.from_tier,
        "to": change.to_tier,
        "at": iso(change.at),
        "cause": change.kind,
        "event": None if change.event is None else ids.show("evt", change.event),
        "reason": change.reason,
        "measure": points(change.measure, decimals)
        if group is None
        else group.shown(change.measure, decimals),
    }


def _decimals(call: Call, program: str, group: TierGroup | None) -> int:
    """Return those of the balance that a group measures; of a group that is gone, the program's first."""
    if group is None:
        return call.catalog.definition_of(call.env, program).decimals
    measured = call.catalog.measured_in(call.env, program, group)
    return measured.decimals if measured else 0


def _instant(at: int | None) -> str | None:
    return None if at is None else iso(at)


ROUTES = (
    Route(
        "GET",
        "/v1/members/{member}/tiers",
        member_tiers,
        "members:read",
        "Show a member's tiers",
        TiersShown,
        "Tiers",
        query=TiersQuery,
        text="Each tier group of the programs that the member takes part in: the tier, what was reached, what is "
        "missing to the next one, and when time alone may move it. As of now, whether or not the sweep has come by.",
    ),
    Route(
        "GET",
        "/v1/members/{member}/tiers/history",
        tier_changes,
        "members:read",
        "List a member's tier changes",
        TierChangeShown,
        "Tiers",
        query=Listing,
        listed=True,
        text="Newest first: from which tier to which, when, and what caused it.",
    ),
    Route(
        "POST",
        "/v1/members/{member}/tier",
        assign_tier,
        "members:write",
        "Put a member on a tier",
        TierShown,
        "Tiers",
        access=Access.DOOR,
        body=TierAsked,
        keeps=True,
        text="No rule moves it before `until`; then, or without a `tier`, the measure decides again.",
        example={"group": "status", "tier": "silver", "reason": "moved here from another shop"},
    ),
)
