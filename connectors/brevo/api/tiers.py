"""Tiers, and putting a contact on one.

Which balance a tier follows, and how much of it, is said tier by tier; in one group it has to be the same balance. A tier's
rewards are kept as rules that attribute a voucher to whoever reaches it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter import ids as our_ids
from adapter.clock import iso
from adapter.commands import AssignTier
from adapter.errors import NotFound
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.routing import Access, Route
from connectors.brevo import ids
from connectors.brevo.api.contacts import contact_named, contact_shown
from connectors.brevo.api.programs import Meta, Name, route
from connectors.brevo.api.shown import Programmed, VersionQuery, change_draft, exchanged, found, program_meant
from connectors.brevo.api.tier_groups import BASE, NOBODYS, ONE, group_in

if TYPE_CHECKING:
    from adapter.program.model import Program
    from adapter.program.tiers import Tier, TierGroup
    from adapter.program.vouchers import VoucherRule
    from adapter.web.routing import Call, Repeated

TIER = f"{BASE}/tiers/{{tid}}"


class ConditionAsked(Asked):
    balance_definition_id: str
    minimum_value: Annotated[int, Field(ge=0, le=10**12)]


class RewardAsked(Asked):
    reward_id: str


class TierAsked(Asked):
    """A tier; without conditions everybody has reached it."""

    name: Name
    image_ref: str | None = None
    access_conditions: Annotated[list[ConditionAsked], Field(max_length=1)] = Field(default_factory=list)
    tier_rewards: Annotated[list[RewardAsked], Field(max_length=20)] = Field(default_factory=list)


class ConditionShown(Answered):
    balance_definition_id: str
    minimum_value: int


class RewardShown(Answered):
    reward_id: str


class TierShown(Answered):
    tier_id: str
    group_id: str
    loyalty_program_id: str
    name: str
    image_ref: str | None
    access_conditions: list[ConditionShown]
    tier_rewards: list[RewardShown]
    created_at: str
    updated_at: str


class TiersShown(Answered):
    items: list[TierShown]


class AssignedShown(Answered):
    """A contact who was put on a tier; `id` is the tier's."""

    id: str
    contact_id: int | None
    group_id: str
    loyalty_program_id: str
    meta: Meta
    created_at: str
    updated_at: str


def list_tiers(call: Call) -> dict[str, Any]:
    """List the tiers of all groups."""
    meant = program_meant(call, call.query.version)
    groups = meant.program.tier_groups
    items = [_shown(meant, group, tier) for group in groups for tier in group.tiers if not tier.unlisted]
    return view_of(TiersShown(items=items))


def create_tier(call: Call) -> dict[str, Any]:
    """Add a tier to a group of the draft; the group's tiers stand in the order of what they ask for."""
    name = our_ids.new_uuid()
    meant = change_draft(
        call, lambda program: _with_tier(call, program, group_in(call, program), {"name": name})
    )
    return _answer(meant, name)


def update_tier(call: Call) -> dict[str, Any]:
    """Change a tier in the draft."""
    names: list[str] = []

    def changes(program: Program) -> dict[str, Any]:
        group, old = tier_in(call, program)
        names.append(old.name)
        return _with_tier(call, program, group, old.model_dump())

    return _answer(change_draft(call, changes), names[-1])


def delete_tier(call: Call) -> None:
    """Take a tier out of the draft, with its rewards."""

    def changes(program: Program) -> dict[str, Any]:
        group, old = tier_in(call, program)
        left = [tier.model_dump() for tier in group.tiers if tier is not old]
        ladder = group.model_dump() | {"tiers": _ladder(left)}
        return {
            "tier_groups": exchanged(program.tier_groups, group, ladder),
            "voucher_rules": _rules_without(program, old.name),
        }

    change_draft(call, changes)


def assign_tier(call: Call) -> dict[str, Any] | Repeated:
    """Put a contact on a tier, for good."""
    meant = program_meant(call, "active")
    group, tier = tier_in(call, meant.program)
    member = contact_named(call, call.path["cid"])
    command = AssignTier(
        env=call.env,
        id=our_ids.new_id(call.now),
        member=member.id,
        program=meant.program.name,
        group=group.name,
        tier=tier.name,
        received_at=call.now,
        once=once_of(call),
    )
    contact = contact_shown(call, member.source_ids)
    return ask(call, command, lambda row: _assigned(meant, (group, tier), contact, row["since"]))


def tier_in(call: Call, program: Program) -> tuple[TierGroup, Tier]:
    """Return the tier in the path, with its group. Raises `NotFound`."""
    tiers = [(group, tier) for group in program.tier_groups for tier in group.tiers if not tier.unlisted]
    return found(
        tiers,
        call.path["tid"],
        lambda one: ids.tier_id(call.env, program.name, one[0].name, one[1].name),
        "tier",
    )


def rules_of(program: Program, tier: str) -> list[VoucherRule]:
    """Return the rules by which reaching a tier attributes a reward."""
    return [one for one in program.voucher_rules if one.tier == tier and one.reward is not None]


def _with_tier(call: Call, program: Program, group: TierGroup, old: dict[str, Any]) -> dict[str, Any]:
    """Return what changes of a program where a tier of a group becomes what the body says."""
    asked: TierAsked = call.body
    tier = old | {
        "title": asked.name,
        "image": asked.image_ref,
        "threshold": asked.access_conditions[0].minimum_value if asked.access_conditions else 0,
    }
    others = [one.model_dump() for one in group.tiers if one.name != tier["name"]]
    ladder = group.model_dump() | {
        "tiers": _ladder([*others, tier]),
        "balance_definition": _measured(call, program, group, others),
    }
    rules = [_rule(call, program, tier["name"], one) for one in asked.tier_rewards]
    return {
        "tier_groups": exchanged(program.tier_groups, group, ladder),
        "voucher_rules": [*_rules_without(program, tier["name"]), *rules],
    }


def _measured(call: Call, program: Program, group: TierGroup, others: list[dict[str, Any]]) -> str | None:
    """Return the balance that the group follows: the one that the tier names, and the others' if there are any."""
    conditions = call.body.access_conditions
    if not conditions:
        return group.balance_definition
    name: str = found(
        program.balance_definitions,
        conditions[0].balance_definition_id,
        lambda one: ids.definition_id(call.env, program.name, one.name),
        "balance definition",
    ).name
    asking = [one for one in others if one["threshold"]]
    if asking and name != _followed(program, group):
        why = "the other tiers of the group ask for another balance; make a group of its own"
        raise at_fault("accessConditions.0.balanceDefinitionId", why)
    return name


def _followed(program: Program, group: TierGroup) -> str | None:
    first = program.balance_definitions[:1]
    return group.balance_definition or (first[0].name if first else None)


def _ladder(tiers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return tiers in the order of what they ask for, with one for whoever has reached none."""
    listed = sorted((one for one in tiers if not one.get("unlisted")), key=lambda one: one["threshold"])
    return listed if listed and not listed[0]["threshold"] else [NOBODYS, *listed]


def _rule(call: Call, program: Program, tier: str, asked: RewardAsked) -> dict[str, Any]:
    reward = found(
        program.rewards,
        asked.reward_id,
        lambda one: ids.reward_id(call.env, program.name, one.id),
        "reward",
    )
    known = next((one.name for one in rules_of(program, tier) if one.reward == reward.id), None)
    return {"name": known or our_ids.new_uuid(), "when": "tier_reached", "tier": tier, "reward": reward.id}


def _rules_without(program: Program, tier: str) -> list[dict[str, Any]]:
    own = rules_of(program, tier)
    return [one.model_dump() for one in program.voucher_rules if one not in own]


def _answer(meant: Programmed, name: str) -> dict[str, Any]:
    for group in meant.program.tier_groups:
        for tier in group.tiers:
            if tier.name == name:
                return view_of(_shown(meant, group, tier))
    raise NotFound("The tier is not in the draft any more.", field="tid")


def _shown(meant: Programmed, group: TierGroup, tier: Tier) -> TierShown:
    program = meant.program
    created, updated = meant.times(lambda before: _same(before, group.name, tier.name))
    followed = _followed(program, group)
    conditions = (
        [
            ConditionShown(
                balance_definition_id=ids.definition_id(meant.env, program.name, followed),
                minimum_value=int(tier.threshold),
            )
        ]
        if followed is not None and not group.of_spend
        else []
    )
    rewards = [
        RewardShown(reward_id=ids.reward_id(meant.env, program.name, one.reward or ""))
        for one in rules_of(program, tier.name)
    ]
    return TierShown(
        tier_id=ids.tier_id(meant.env, program.name, group.name, tier.name),
        group_id=ids.group_id(meant.env, program.name, group.name),
        loyalty_program_id=meant.id,
        name=tier.title or tier.name,
        image_ref=tier.image,
        access_conditions=conditions,
        tier_rewards=rewards,
        created_at=created,
        updated_at=updated,
    )


def _same(program: Program, group: str, tier: str) -> Tier | None:
    tiers = (one for of in program.tier_groups if of.name == group for one in of.tiers)
    return next((one for one in tiers if one.name == tier), None)


def _assigned(
    meant: Programmed, place: tuple[TierGroup, Tier], contact: int | None, since: int
) -> dict[str, Any]:
    group, tier = place
    name = meant.program.name
    return view_of(
        AssignedShown(
            id=ids.tier_id(meant.env, name, group.name, tier.name),
            contact_id=contact,
            group_id=ids.group_id(meant.env, name, group.name),
            loyalty_program_id=meant.id,
            meta=tier.metadata,
            created_at=iso(since),
            updated_at=iso(since),
        )
    )


TAG = "Tiers"

ROUTES = (
    route(f"GET {BASE}/tiers", list_tiers, "List tiers", TiersShown, TAG, query=VersionQuery),
    route(f"POST {ONE}/tiers", create_tier, "Create a tier", TierShown, TAG, body=TierAsked),
    route(f"PUT {TIER}", update_tier, "Change a tier", TierShown, TAG, body=TierAsked),
    route(f"DELETE {TIER}", delete_tier, "Delete a tier", TierShown, TAG),
    Route(
        "POST",
        f"{BASE}/contacts/{{cid}}/tiers/{{tid}}",
        assign_tier,
        "members:write",
        "Put a contact on a tier",
        AssignedShown,
        TAG,
        access=Access.DOOR,
        keeps=True,
    ),
)
