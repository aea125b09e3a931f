"""Tier groups: ladders of tiers that follow what a balance holds.

Whoever has reached none of a group's tiers stands on one that Brevo's clients are not shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from adapter import ids as our_ids
from adapter.web.asking import at_fault
from adapter.web.dialects import Answered, Asked, view_of
from connectors.brevo import ids
from connectors.brevo.api.programs import Meta, Name, route
from connectors.brevo.api.shown import (
    Programmed,
    VersionQuery,
    change_draft,
    dumped,
    exchanged,
    found,
    program_meant,
)

if TYPE_CHECKING:
    from adapter.program.model import Program
    from adapter.program.tiers import TierGroup
    from adapter.web.routing import Call

BASE = "/v3/loyalty/tier/programs/{pid}"
PATH = f"{BASE}/tier-groups"
ONE = f"{PATH}/{{gid}}"
NOBODYS: dict[str, Any] = {"name": "none", "unlisted": True}
"""The tier of whoever has reached none."""

Strategy = Literal["real_time", "membership_anniversary", "tier_anniversary"]


class GroupAsked(Asked):
    """A group; `tierOrder` are its tiers, the lowest first."""

    name: Name
    meta: Meta | None = None
    tier_order: list[str] | None = None
    upgrade_strategy: Strategy = "real_time"
    downgrade_strategy: Strategy = "real_time"


class GroupShown(Answered):
    id: str
    loyalty_program_id: str
    name: str
    tier_order: list[str]
    upgrade_strategy: Strategy
    downgrade_strategy: Strategy | None
    created_at: str
    updated_at: str


class GroupsShown(Answered):
    items: list[GroupShown]


def list_groups(call: Call) -> dict[str, Any]:
    """List a program's tier groups."""
    meant = program_meant(call, call.query.version)
    return view_of(GroupsShown(items=[_shown(meant, one) for one in meant.program.tier_groups]))


def create_group(call: Call) -> dict[str, Any]:
    """Add a tier group to the draft."""
    asked: GroupAsked = call.body
    if asked.tier_order:
        raise at_fault("tierOrder", "the group has no tiers yet; leave it out")
    name = our_ids.new_uuid()
    fresh = {"name": name, "measure": "balance", "tiers": [NOBODYS], **_said(asked)}
    meant = change_draft(call, lambda program: {"tier_groups": [*dumped(program.tier_groups), fresh]})
    return view_of(_shown(meant, next(one for one in meant.program.tier_groups if one.name == name)))


def show_group(call: Call) -> dict[str, Any]:
    """Show a tier group."""
    meant = program_meant(call, call.query.version)
    return view_of(_shown(meant, group_in(call, meant.program)))


def update_group(call: Call) -> dict[str, Any]:
    """Change a tier group in the draft."""
    asked: GroupAsked = call.body

    def changes(program: Program) -> dict[str, Any]:
        old = group_in(call, program)
        if asked.tier_order is not None and asked.tier_order != _order(call.env, program, old):
            raise at_fault("tierOrder", "name each tier of the group once, in the order of what they ask for")
        return {"tier_groups": exchanged(program.tier_groups, old, old.model_dump() | _said(asked))}

    meant = change_draft(call, changes)
    return view_of(_shown(meant, group_in(call, meant.program)))


def delete_group(call: Call) -> None:
    """Take a tier group out of the draft, with the rewards of its tiers."""

    def changes(program: Program) -> dict[str, Any]:
        old = group_in(call, program)
        names = {tier.name for tier in old.tiers}
        return {
            "tier_groups": exchanged(program.tier_groups, old, None),
            "voucher_rules": [one.model_dump() for one in program.voucher_rules if one.tier not in names],
        }

    change_draft(call, changes)


def group_in(call: Call, program: Program) -> TierGroup:
    """Return the tier group in the path. Raises `NotFound`."""
    return found(
        program.tier_groups,
        call.path["gid"],
        lambda one: ids.group_id(call.env, program.name, one.name),
        "tier group",
    )


def _said(asked: GroupAsked) -> dict[str, Any]:
    return {
        "title": asked.name,
        "metadata": asked.meta or {},
        "upgrade": asked.upgrade_strategy,
        "downgrade": asked.downgrade_strategy,
    }


def _order(env: int, program: Program, group: TierGroup) -> list[str]:
    tiers = (tier for tier in group.tiers if not tier.unlisted)
    return [ids.tier_id(env, program.name, group.name, tier.name) for tier in tiers]


def _shown(meant: Programmed, group: TierGroup) -> GroupShown:
    program = meant.program
    created, updated = meant.times(
        lambda before: next((one for one in before.tier_groups if one.name == group.name), None)
    )
    return GroupShown(
        id=ids.group_id(meant.env, program.name, group.name),
        loyalty_program_id=meant.id,
        name=group.title or group.name,
        tier_order=_order(meant.env, program, group),
        upgrade_strategy=group.upgrade,
        downgrade_strategy=None if group.downgrade == "never" else group.downgrade,
        created_at=created,
        updated_at=updated,
    )


TAG = "Tier groups"

ROUTES = (
    route(f"GET {PATH}", list_groups, "List tier groups", GroupsShown, TAG, query=VersionQuery),
    route(f"POST {PATH}", create_group, "Create a tier group", GroupShown, TAG, body=GroupAsked),
    route(f"GET {ONE}", show_group, "Show a tier group", GroupShown, TAG, query=VersionQuery),
    route(f"PUT {ONE}", update_group, "Change a tier group", GroupShown, TAG, body=GroupAsked),
    route(f"DELETE {ONE}", delete_group, "Delete a tier group", GroupShown, TAG),
)
