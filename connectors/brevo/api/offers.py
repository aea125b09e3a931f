"""Rewards: what vouchers are for. One that is made here costs no points; the catalogue of the file may have others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids as our_ids
from adapter.web.dialects import Answered, Asked, view_of
from connectors.brevo import ids
from connectors.brevo.api.definitions import unit_of
from connectors.brevo.api.programs import Meta, route
from connectors.brevo.api.shown import (
    Paged,
    Programmed,
    VersionQuery,
    change_draft,
    dumped,
    found,
    program_meant,
)

if TYPE_CHECKING:
    from adapter.program.model import Program
    from adapter.program.rewards import Reward
    from adapter.web.routing import Call

BASE = "/v3/loyalty/offer/programs/{pid}"
PATH = f"{BASE}/offers"
INTERNAL = "internalName"
"""Where a reward's metadata keeps the name that only the shop sees."""


class OfferAsked(Asked):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    public_name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    public_description: Annotated[str, Field(max_length=2000)] | None = None
    public_image: Annotated[str, Field(max_length=2000)] | None = None


class OfferMade(Answered):
    id: str
    loyalty_program_id: str
    name: str
    public_name: str | None
    public_description: str | None
    public_image: str | None
    created_at: str
    updated_at: str


class OfferItem(Answered):
    id: str
    loyalty_program_id: str
    name: str
    public_image: str | None
    state: Literal["draft", "active"]
    created_at: str
    updated_at: str


class OffersShown(Answered):
    items: list[OfferItem]
    total_count: int


class OffersQuery(Paged, VersionQuery):
    limit: int = 25
    state: str = "all"


class RewardShown(OfferMade):
    """A reward. What it costs and is worth, where the catalogue says so."""

    meta: Meta
    balance_definition_id: str | None
    subtract_balance_definition_id: str | None
    subtract_balance_value: int | None
    unit: str | None
    value: float | None
    value_type: str | None
    code_pool_id: str
    code_count: int
    limits: list[dict[str, Any]]
    products: list[dict[str, Any]]


class CodesCount(Answered):
    count: int


def list_offers(call: Call) -> dict[str, Any]:
    """List a program's rewards."""
    asked: OffersQuery = call.query
    meant = program_meant(call, asked.version)
    items = [_item(meant, one) for one in meant.program.rewards]
    wanted = [one for one in items if asked.state in ("all", one.state)]
    page = wanted[max(asked.offset, 0) :][: max(asked.limit, 0)]
    return view_of(OffersShown(items=page, total_count=len(wanted)))


def create_offer(call: Call) -> dict[str, Any]:
    """Add a reward to the draft."""
    asked: OfferAsked = call.body
    name = our_ids.new_uuid()
    fresh = {
        "id": name,
        "kind": "item",
        "title": asked.public_name or asked.name,
        "description": asked.public_description,
        "image": asked.public_image,
        "metadata": {INTERNAL: asked.name},
    }
    meant = change_draft(call, lambda program: {"rewards": [*dumped(program.rewards), fresh]})
    reward = meant.program.reward(name)
    assert reward is not None
    return view_of(OfferMade(**_common(meant, reward)))


def show_reward(call: Call) -> dict[str, Any]:
    """Show a reward."""
    meant = program_meant(call, call.query.version)
    reward = reward_named(call, meant.program, call.path["rid"])
    definition = reward.balance_definition or meant.program.balance_definitions[0].name
    balance = ids.definition_id(meant.env, meant.program.name, definition)
    priced = reward.cost is not None
    credited = meant.program.balance(reward.credits or "")
    return view_of(
        RewardShown(
            **_common(meant, reward),
            meta={name: value for name, value in reward.metadata.items() if name != INTERNAL},
            balance_definition_id=balance if priced else None,
            subtract_balance_definition_id=balance if priced else None,
            subtract_balance_value=reward.cost,
            unit=reward.currency if credited is None else unit_of(credited),
            value=None if reward.value is None else float(reward.value),
            value_type=reward.kind,
            code_pool_id=ids.reward_id(meant.env, meant.program.name, reward.id),
            code_count=0,
            limits=[],
            products=[],
        )
    )


def count_codes(call: Call) -> dict[str, Any]:
    """Count the codes that wait in a reward's pool: none, each is drawn when its voucher is attributed."""
    reward_named(call, program_meant(call).program, call.path["cpid"])
    return view_of(CodesCount(count=0))


def reward_named(call: Call, program: Program, shown: str) -> Reward:
    """Return the reward with this id. Raises `NotFound`."""
    return found(program.rewards, shown, lambda one: ids.reward_id(call.env, program.name, one.id), "reward")


def _common(meant: Programmed, reward: Reward) -> dict[str, Any]:
    created, updated = meant.times(lambda program: program.reward(reward.id))
    return {
        "id": ids.reward_id(meant.env, meant.program.name, reward.id),
        "loyalty_program_id": meant.id,
        "name": str(reward.metadata.get(INTERNAL, reward.title or reward.id)),
        "public_name": reward.title,
        "public_description": reward.description,
        "public_image": reward.image,
        "created_at": created,
        "updated_at": updated,
    }


def _item(meant: Programmed, reward: Reward) -> OfferItem:
    said = _common(meant, reward)
    published = any(
        version.program.state != "draft" and version.program.reward(reward.id) is not None
        for version in meant.versions
    )
    return OfferItem(
        **{name: said[name] for name in OfferItem.model_fields if name in said},
        state="active" if published else "draft",
    )


TAG = "Rewards"

ROUTES = (
    route(f"GET {PATH}", list_offers, "List rewards", OffersShown, TAG, query=OffersQuery),
    route(f"POST {PATH}", create_offer, "Create a reward", OfferMade, TAG, body=OfferAsked),
    route(f"GET {BASE}/rewards/{{rid}}", show_reward, "Show a reward", RewardShown, TAG, query=VersionQuery),
    route(
        f"GET {BASE}/code-pools/{{cpid}}/codes-count", count_codes, "Count a pool's codes", CodesCount, TAG
    ),
)
