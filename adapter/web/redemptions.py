"""Redemptions and rewards over HTTP, to read; `redeeming.py` has how points are spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter.points import points
from adapter.program.offers import reward_offer
from adapter.store.reading.balances import balance_now
from adapter.store.reading.members import find_member
from adapter.store.reading.paging import decode_cursor, page_of
from adapter.store.reading.redemptions import RedemptionFilter, find_redemption, list_redemptions
from adapter.web.queries import Listing, Period, Reference, Selection
from adapter.web.redeemed import Kind, RedemptionShown, RewardShown, State, redemption_view
from adapter.web.routing import Call, Route, missing

if TYPE_CHECKING:
    from adapter.catalog import Definition
    from adapter.program.model import Program
    from adapter.program.rewards import Reward

MEMBER = "`mem_…`, `source:customer` or an e-mail address."


class RedemptionsQuery(Period):
    member: Reference | None = Field(None, description=MEMBER)
    state: State | None = None
    kind: Kind | None = None
    code: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="A discount's code, in letters of either case."
    )
    reward: Reference | None = None
    flagged: bool | None = Field(None, description="Those that a person should look at, or all others.")
    source: Reference | None = Field(None, description="Used by an order of this source.")
    order: Reference | None = Field(None, description="Used by this order, by the shop's own id.")


class RewardsQuery(Listing):
    program: Reference | None = Field(None, description="A program's name.")
    member: Reference | None = Field(None, description=f"{MEMBER} Says what they can afford.")


def redemptions(call: Call) -> dict[str, Any]:
    """List redemptions of all members, or of one."""
    asked: RedemptionsQuery = call.query
    member = None if asked.member is None else find_member(call.database, call.env, asked.member).id
    chosen = RedemptionFilter(
        member,
        asked.state,
        asked.kind,
        asked.code,
        asked.reward,
        asked.source,
        asked.order,
        asked.since,
        asked.until,
        asked.flagged,
    )
    page = list_redemptions(
        call.database, call.env, chosen, now=call.now, limit=asked.limit, cursor=asked.cursor
    )
    return page.view(lambda found: redemption_view(call, found, call.now))


def redemption(call: Call) -> dict[str, Any]:
    """Show one redemption."""
    found = find_redemption(call.database, call.env, call.id("redemption", "rdm"))
    if found is None:
        raise missing("rdm", call.path["redemption"])
    return redemption_view(call, found, call.now)


def rewards(call: Call) -> dict[str, Any]:
    """List the rewards of the programs in force now that points buy."""
    asked: RewardsQuery = call.query
    after = ("", "") if asked.cursor is None else decode_cursor(asked.cursor, str, str)
    member = None if asked.member is None else find_member(call.database, call.env, asked.member).id
    found = sorted(
        (
            (program, reward)
            for program in _programs(call, asked.program)
            for reward in program.rewards
            if reward.cost is not None
        ),
        key=_place,
    )
    page = page_of([one for one in found if _place(one) > after][: asked.limit + 1], asked.limit, _place)
    available: dict[int, int] = {}
    return page.view(lambda one: _reward_view(call, *one, member, available))


def reward_of(call: Call, program: str, name: str) -> dict[str, Any] | None:
    """Return one reward of a program in force now, as it is shown; None where it has none of this id."""
    having = call.catalog.version_at(call.env, program, call.now).program
    reward = having.reward(name)
    return None if reward is None else _reward_view(call, having, reward, None, {})


def _place(one: tuple[Program, Reward]) -> tuple[str, str]:
    program, reward = one
    return (program.name, reward.id)


def _programs(call: Call, name: str | None) -> list[Program]:
    return [
        call.catalog.version_at(env, program, call.now).program
        for env, program in call.catalog.programs
        if env == call.env and name in (None, program) and call.catalog.goes_on(env, program)
    ]


def _reward_view(
    call: Call, program: Program, reward: Reward, member: int | None, available: dict[int, int]
) -> dict[str, Any]:
    """Return a reward as it is shown; `available` keeps the member's balances, each is read once."""
    definition = _definition(call, program, reward.balance_definition)
    credited = None if reward.credits is None else _definition(call, program, reward.credits)
    offer = reward_offer(reward, definition.decimals, credited.decimals if credited else 0)
    if member is not None and definition.id not in available:
        balance, _ = balance_now(call.database, call.env, member, definition.id, call.now)
        available[definition.id] = balance.available
    has = available.get(definition.id)
    return {
        "id": reward.id,
        "program": program.name,
        "balance_definition": definition.name,
        "title": reward.title,
        "kind": reward.kind,
        "cost": points(offer.cost, definition.decimals),
        "value": offer.value
        if offer.value is None or credited is None
        else points(offer.value, credited.decimals),
        "currency": offer.currency,
        "credits": reward.credits,
        "available": None if has is None else points(has, definition.decimals),
        "affordable": None if has is None else has >= offer.cost,
    }


def _definition(call: Call, program: Program, name: str | None) -> Definition:
    """Return a balance definition of a program; its first unless another is named."""
    if name is None:
        return call.catalog.definition_of(call.env, program.name)
    return next(
        one
        for (env, _), one in call.catalog.definitions.items()
        if (env, one.program, one.name) == (call.env, program.name, name)
    )


ROUTES = (
    Route(
        "GET",
        "/v1/redemptions",
        redemptions,
        "redemptions:read",
        "List redemptions",
        RedemptionShown,
        "Redemptions",
        query=RedemptionsQuery,
        listed=True,
        text="What points were spent on, newest first. With `code` it says whether that code can be used.",
    ),
    Route(
        "GET",
        "/v1/redemptions/{redemption}",
        redemption,
        "redemptions:read",
        "Show a redemption",
        RedemptionShown,
        "Redemptions",
        query=Selection,
    ),
    Route(
        "GET",
        "/v1/rewards",
        rewards,
        "programs:read",
        "List rewards",
        RewardShown,
        "Redemptions",
        query=RewardsQuery,
        listed=True,
        text="The catalogue of what points can be spent on; with `member`, what they can afford.",
    ),
)
