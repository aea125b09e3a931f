"""Redemptions over HTTP: begun, applied, released, fulfilled, reversed. Each is one command through the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.clock import CLOCKS_DIFFER_MS
from adapter.commands import BeginRedemption, ClearFlag, MoveRedemption
from adapter.points import smallest
from adapter.web.asking import at_fault, decision, once_of, shown
from adapter.web.auth import require_scope
from adapter.web.booking import booked_for
from adapter.web.errors import Problem
from adapter.web.redeemed import RedemptionShown, redemption_of, redemption_view
from adapter.web.routing import Access, Call, Given, Repeated, Route, missing
from adapter.web.wished import Fulfilled, Moved, RedemptionAsked, Reversed

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.book.state import Redemption
    from adapter.catalog import Definition
    from adapter.program.model import Program

DEGRADED = "redemptions:degraded"
"""The scope of tills that may grant points while they cannot ask."""


async def begin_redemption(call: Call, *, code_prefix: str | None = None) -> dict[str, Any] | Repeated:
    """Spend points."""
    asked: RedemptionAsked = call.body
    if sum(one is not None for one in (asked.reward, asked.points, asked.value)) != 1:
        raise at_fault("reward", "say exactly one of reward, points and value")
    program, name = _meant(call, asked)
    member, definition = await booked_for(call, asked.member, program=program, name=name)
    rules = _rules(call, definition)
    prefix = code_prefix or rules.redeeming.code_prefix
    command = beginning(
        call,
        member,
        definition,
        code_prefix=prefix,
        reward=asked.reward,
        points=_points(asked, definition),
        value=asked.value,
        order=_order(call, asked),
        payment=asked.payment,
        shipping=_shipping(asked, rules),
        reason=asked.reason,
        metadata=asked.metadata,
        apply=_applies(asked, rules),
        locks_until=_locks_until(call, asked, rules),
        last_known=_last_known(call, asked, definition),
        last_sequence=None if asked.last_known is None else asked.last_known.sequence,
        occurred_at=asked.occurred_at,
    )
    return await redeemed(call, command, drawn=prefix)


def beginning(
    call: Call, member: int, definition: Definition, *, code_prefix: str | None = None, **asked: Any
) -> BeginRedemption:
    """Return the command that spends points of a member: what is asked, with what each of them has."""
    return BeginRedemption(
        env=call.env,
        id=ids.new_id(call.now),
        member=member,
        definition=definition.id,
        code=ids.new_code(code_prefix or _rules(call, definition).redeeming.code_prefix),
        received_at=call.now,
        once=once_of(call),
        **asked,
    )


def moving(call: Call, redemption: Redemption, state: str, **asked: Any) -> MoveRedemption:
    """Return the command that moves a redemption on."""
    return MoveRedemption(
        env=call.env,
        redemption=redemption.id,
        member=redemption.member,
        definition=redemption.definition,
        state=state,
        received_at=call.now,
        once=once_of(call),
        **asked,
    )


async def apply_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Apply a discount."""
    return await _move(call, "applied")


async def release_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Release a discount that was not used."""
    return await _move(call, "released")


async def fulfil_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Note that an item was sent."""
    return await _move(call, "fulfilled", tracking=call.body.tracking)


async def reverse_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Undo a redemption."""
    return await _move(call, "reversed", force=call.body.force)


async def _move(
    call: Call, state: str, *, tracking: str | None = None, force: bool = False
) -> dict[str, Any] | Repeated:
    found = await found_redemption(call)
    command = moving(call, found, state, reason=call.body.reason, tracking=tracking, force=force)
    return await redeemed(call, command)


async def found_redemption(call: Call) -> Redemption:
    """Return the redemption of the path. Raises `Problem` (404) where there is none."""
    found = await call.parts.lookups.redemption(call.env, call.id("redemption", "rdm"))
    if found is None:
        raise missing("rdm", call.path["redemption"])
    return found


async def redeemed(
    call: Call, command: BeginRedemption | MoveRedemption | ClearFlag, *, drawn: str | None = None
) -> dict[str, Any] | Repeated:
    """Ask for a command about a redemption, and show what it made or changed; `drawn` as of `decision`."""
    call = await call.knowing(command.definition)
    decimals = call.definition(command.definition).decimals
    outcome, row = await decision(call, command, decimals=decimals, drawn=drawn)
    found = redemption_of(row)
    call = await call.knowing(found.credited)
    at = found.updated_at  # a repeat is answered alike later
    return shown(outcome, redemption_view(call, found, at, row["notes"]))


def submit_redemption(
    call: Call, command: BeginRedemption | MoveRedemption | ClearFlag
) -> dict[str, Any] | Repeated:
    """Do what `redeemed` does from a thread beside the loop."""
    return call.parts.wait(redeemed(call, command))


def move_redemption(
    call: Call, found: Redemption, state: str, *, reason: str | None = None
) -> dict[str, Any] | Repeated:
    """Ask from a thread for a redemption to be moved to a state, and show it as it is then."""
    return submit_redemption(call, moving(call, found, state, reason=reason))


def _rules(call: Call, definition: Definition) -> Program:
    return call.catalog.version_at(call.env, definition.program, call.now).program


def _meant(call: Call, asked: RedemptionAsked) -> tuple[str | None, str | None]:
    """Return the program and balance that are meant: a reward says both."""
    if asked.reward is None:
        return asked.program, asked.balance_definition
    having = [
        version.program
        for env, name in sorted(call.catalog.programs)
        if env == call.env and asked.program in (None, name)
        for version in [call.catalog.version_at(env, name, call.now)]
        if version.program.reward(asked.reward) is not None
    ]
    if not having:
        why = f"There is no reward {asked.reward[:80]!r}; /v1/rewards has those that there are."
        raise Problem("reward_unknown", why, errors=(("reward", why),))
    if len(having) > 1:
        names = ", ".join(program.name for program in having)
        raise at_fault("program", f"several programs have this reward; say which: {names}")
    (program,) = having
    reward = program.reward(asked.reward)
    costs = None if reward is None else reward.balance_definition
    return program.name, asked.balance_definition or costs or program.balance_definitions[0].name


def _points(asked: RedemptionAsked, definition: Definition) -> int | None:
    if asked.points is None:
        return None
    try:
        return smallest(asked.points, definition.decimals)
    except ValueError as error:
        raise at_fault("points", str(error)) from error


def _order(call: Call, asked: RedemptionAsked) -> tuple[str, str] | None:
    """Return the order that it is for, by the shop that owns it."""
    if asked.order is None and asked.source is None:
        return None
    if asked.order is None or asked.source is None:
        raise at_fault("order" if asked.order is None else "source", "say both source and order")
    source = call.catalog.sources.get(asked.source)
    if source is None or source.env != call.env:
        raise at_fault("source", f"there is no source {asked.source[:80]!r} here")
    return source.orders_of, asked.order


def _shipping(asked: RedemptionAsked, program: Program) -> dict[str, str] | None:
    if asked.shipping is None:
        return None
    reward = None if asked.reward is None else program.reward(asked.reward)
    if reward is None or reward.kind != "item":
        raise at_fault("shipping", "only an item is sent")
    return asked.shipping.model_dump(exclude_none=True)


def _applies(asked: RedemptionAsked, program: Program) -> bool:
    if asked.apply and _is_no_discount(asked, program):
        raise at_fault("apply", "only a discount waits to be applied; this is paid at once in any case")
    return asked.apply


def _is_no_discount(asked: RedemptionAsked, program: Program) -> bool:
    reward = None if asked.reward is None else program.reward(asked.reward)
    return reward is not None and reward.kind != "discount"


def _locks_until(call: Call, asked: RedemptionAsked, program: Program) -> int | None:
    if asked.lock_s is None:
        return None
    if asked.last_known is not None or _is_no_discount(asked, program):
        raise at_fault("lock_s", "only a discount that waits to be used locks a balance")
    return call.now + asked.lock_s * 1000


def _last_known(call: Call, asked: RedemptionAsked, definition: Definition) -> int | None:
    """Return what a till last knew to be available, which only some keys may say."""
    if asked.last_known is None:
        if asked.occurred_at is not None:
            raise at_fault("occurred_at", "only what was granted by the last known balance happened before")
        return None
    require_scope(call.key, DEGRADED)
    if asked.occurred_at is not None and asked.occurred_at > call.now + CLOCKS_DIFFER_MS:
        raise at_fault("occurred_at", "it is in the future")
    try:
        return smallest(asked.last_known.available, definition.decimals)
    except ValueError as error:
        raise at_fault("last_known.available", str(error)) from error


def _move_route(
    verb: str,
    handler: Callable[[Call], Any],
    body: type[Given],
    summary: str,
    text: str,
    *,
    among: str = "pending",
) -> Route:
    """Return the route of a move; `among` is the state of what its example moves."""
    return Route(
        "POST",
        f"/v1/redemptions/{{redemption}}/{verb}",
        handler,
        "redemptions:write",
        summary,
        RedemptionShown,
        "Redemptions",
        access=Access.DOOR,
        body=body,
        keeps=True,
        looked_up=f"state={among}&",
        text=f"{text} One that is past it is 409.",
    )


ROUTES = (
    Route(
        "POST",
        "/v1/redemptions",
        begin_redemption,
        "redemptions:write",
        "Spend points",
        RedemptionShown,
        "Redemptions",
        access=Access.DOOR,
        body=RedemptionAsked,
        status=201,
        keeps=True,
        text=(
            "On a `reward`, or on money off by `points` or `value`. A discount's points are held until its order is "
            "paid, which applies it, or comes to nothing, which releases it; an item and credit are paid at once. "
            "Too few points are 422 `insufficient_balance`, with figures; so is what the program's limits keep back."
        ),
        example={"member": "shop:7000", "reward": "rwd_fivecredit"},
    ),
    _move_route("apply", apply_redemption, Moved, "Apply a discount", "Its held points are spent."),
    _move_route(
        "release",
        release_redemption,
        Moved,
        "Release a discount",
        "Its held points go back to where they came from, and its code cannot be used any more.",
    ),
    _move_route(
        "fulfil",
        fulfil_redemption,
        Fulfilled,
        "Say that an item was sent",
        "Of a redemption whose item waits for that.",
        among="fulfillment_pending",
    ),
    _move_route(
        "reverse",
        reverse_redemption,
        Reversed,
        "Undo a redemption",
        "The points come back. What was applied or fulfilled is only reversed with `force`, and `notes` say what does "
        "not come back with it.",
    ),
)
