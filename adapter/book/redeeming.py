"""Redemptions as the API asks for them: begun, applied, released, fulfilled, reversed.

Check and spend are one step. A discount is held until its order uses it, unless it is to be applied at once; an item and
credit are paid at once.

    pending              → applied | released | expired | reversed
    fulfillment_pending  → fulfilled | reversed
    applied, fulfilled   → reversed, only by force: the money off an order that was paid does not come back with it

What the API moved, no order's facts move any more; what they moved, it may still reverse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter.book.crediting import grant, take_grant_back
from adapter.book.degraded import grant as grant_offline
from adapter.book.degraded import over_last_known
from adapter.book.elapsing import let_time_pass, plan_next
from adapter.book.limiting import Wish
from adapter.book.limiting import refusal as limit_refusal
from adapter.book.linking import follow_known, know_links
from adapter.book.links import code_taken
from adapter.book.lots import take
from adapter.book.posting import finish, tell_redemptions
from adapter.book.redemptions import come_back, hold, let_go, move_on, spend, use_held
from adapter.book.refusals import insufficient, member_refusal, moved_on, program_refusal
from adapter.book.rows import row_of
from adapter.book.settle import NeedsLots
from adapter.book.state import Redemption, RedemptionState
from adapter.book.transfers import Cause
from adapter.outcome import Outcome
from adapter.program.offers import bare_offer, points_offer, reward_offer, value_offer

if TYPE_CHECKING:
    from adapter.book.transfers import Change
    from adapter.book.working import WorkingSet
    from adapter.commands import BeginRedemption, MoveRedemption
    from adapter.program.model import Program
    from adapter.program.offers import Offer

MINUTE_MS = 60_000

MOVES = {
    "applied": (RedemptionState.PENDING,),
    "released": (RedemptionState.PENDING,),
    "fulfilled": (RedemptionState.FULFILLMENT_PENDING,),
    "reversed": (RedemptionState.PENDING, RedemptionState.FULFILLMENT_PENDING),
}
"""From which states each move goes by itself."""
FORCED = (RedemptionState.APPLIED, RedemptionState.FULFILLED)
"""From which states only `force` reverses."""


def begin_redemption(work: WorkingSet, command: BeginRedemption, event: int) -> Outcome:
    """Spend or hold points for something. Raises `NeedsLots` where it must see lots that are not loaded."""
    key = (command.env, command.member, command.definition)
    granted = command.last_known is not None
    refusal = member_refusal(work, command.env, command.member)
    if refusal is None and not granted:
        refusal = program_refusal(work, command.env, command.definition, spends=True)
    if refusal is not None:
        return refusal
    if code_taken(work, command.env, command.code):
        return Outcome(error="code_taken", reason="Something else has this code; ask again.", field="code")
    program = work.program_of(command.env, command.definition)
    offer = _offer(work, program, command)
    if isinstance(offer, Outcome):
        return offer
    cause = Cause("redemption.created", command.occurred_at or command.received_at, event)
    change = work.change(key, cause)
    let_time_pass(work, change)
    refusal = _cost_refusal(work, change, command, offer.cost)
    if refusal is not None:
        _close(work, change)
        return refusal
    redemption = _new(work, command, program, offer)
    work.told_redemptions.append((redemption.id, "created"))
    if granted:
        grant_offline(work, change, redemption, command.last_sequence)
    else:
        _pay(work, change, redemption, held=redemption.kind == "discount" and not command.apply)
    _close(work, change)
    if redemption.credited is not None:
        grant(work, redemption, cause)
    know_links(work, redemption)
    follow_known(work, redemption, cause)
    return told(redemption, event)


def _cost_refusal(work: WorkingSet, change: Change, command: BeginRedemption, cost: int) -> Outcome | None:
    """Return why so many points cannot be redeemed now, None where they can."""
    if command.last_known is not None:
        return over_last_known(cost, command.last_known)
    named = {"reward": command.reward, "points": command.points, "value": command.value}
    field = next(name for name, given in named.items() if given is not None)
    program = work.program_of(command.env, command.definition)
    barred = limit_refusal(work, Wish(change.balance.key, cost, field), program)
    if barred is not None or change.balance.available >= cost:
        return barred
    return insufficient(change.balance, cost)


def _pay(work: WorkingSet, change: Change, redemption: Redemption, *, held: bool) -> None:
    """Hold the points of a discount that waits for its order, spend those of anything else."""
    key = change.balance.key
    parts = take(work.next_lots(key), redemption.cost)
    if sum(amount for _, amount in parts) < redemption.cost:
        raise NeedsLots(key)
    if held:
        hold(work, change, redemption, parts)
    else:
        sent = redemption.kind == "item"
        state = RedemptionState.FULFILLMENT_PENDING if sent else RedemptionState.APPLIED
        spend(work, change, redemption, parts, state)


def move_redemption(work: WorkingSet, command: MoveRedemption, event: int) -> Outcome:
    """Apply, release, fulfil or reverse a redemption."""
    redemption = work.redemptions.get(command.redemption)
    if redemption is None:
        return Outcome(error="not_found", reason="There is no such redemption.")
    if redemption.member != command.member:
        return moved_on(redemption.member)
    change = work.change(
        redemption.balance_key, Cause(f"redemption.{command.state}", command.received_at, event)
    )
    let_time_pass(work, change)
    refusal = _move_refusal(redemption, command)
    if refusal is not None:
        _close(work, change)
        return refusal
    redemption.reason = command.reason or redemption.reason
    redemption.decided = 1
    notes = _move(work, change, redemption, command)
    _close(work, change)
    tell_redemptions(work)  # where nothing moved: an item was sent
    return told(redemption, event, notes)


def told(redemption: Redemption, event: int, notes: list[str] | None = None) -> Outcome:
    """Return the answer: the redemption, and what whoever moved it has to know."""
    row: dict[str, Any] = row_of(redemption) | {"notes": notes or []}
    return Outcome(event=event, state=redemption.state, row=row)


def _move_refusal(redemption: Redemption, command: MoveRedemption) -> Outcome | None:
    state = redemption.state
    if state in MOVES[command.state]:
        return None
    if command.state == "reversed" and state in FORCED:
        if command.force:
            return None
        why = (
            "Its discount was used: reversing it gives the points back, but does not charge the payment again. "
            if redemption.kind == "discount"
            else f"It is {state}: reversing it gives the points back, but fetches nothing back. "
        )
        return Outcome(error=f"already_{state}", reason=f"{why}Send `force` to reverse it all the same.")
    return Outcome(error=f"redemption_{state}", reason=f"It is {state.replace('_', ' ')} already.")


def _move(work: WorkingSet, change: Change, redemption: Redemption, command: MoveRedemption) -> list[str]:
    """Carry a move out that is allowed; return what has to be said of it."""
    notes, lapsed = [], 0
    if command.state == "applied":
        use_held(work, change, redemption)
    elif command.state == "fulfilled":
        redemption.tracking = command.tracking or redemption.tracking
        move_on(work, change, redemption, command.state)
    elif redemption.state == RedemptionState.PENDING:
        lapsed = let_go(work, change, redemption, command.state)
    else:
        if redemption.state == RedemptionState.APPLIED and redemption.kind == "discount":
            notes.append("The payment that used the discount is not charged again; that is yours to do.")
        lapsed = come_back(work, change, redemption, redemption.cost - redemption.returned)
        if redemption.credited is not None:
            notes += take_grant_back(work, redemption, change.cause)
        move_on(work, change, redemption, command.state)
    if lapsed:
        notes.append("Some of the points came from a lot that is over by now: they expired at once.")
    return notes


def _offer(work: WorkingSet, program: Program, command: BeginRedemption) -> Offer | Outcome:
    """Return what is asked for and its cost, by the program in force now; or why it cannot be had."""
    definition = work.catalog.definitions[command.env, command.definition]
    if command.reward is not None:
        reward = program.reward(command.reward)
        if reward is None:
            why = f"The program {program.name!r} has no reward {command.reward!r}."
            return Outcome(error="reward_unknown", reason=why, field="reward")
        if reward.cost is None:
            why = "It is not to be had for points; vouchers give it."
            return Outcome(error="reward_not_for_points", reason=why, field="reward")
        costs = reward.balance_definition or program.balance_definitions[0].name
        if definition.name != costs:
            return Outcome(error="reward_not_for_balance", reason=f"This reward costs {costs!r}.")
        decimals = {one.name: one.decimals for one in program.balance_definitions}
        return reward_offer(reward, definition.decimals, decimals.get(reward.credits or "", 0))
    if command.points is not None and command.apply and program.redeeming.currency is None:
        return bare_offer(command.points)
    offer = (
        points_offer(command.points, definition.decimals, program.redeeming)
        if command.points is not None
        else value_offer(command.value or 0, definition.decimals, program.redeeming)
    )
    why = f"The program {program.name!r} gives no money for this: redeem one of its rewards, or more points."
    return offer or Outcome(error="nothing_to_redeem", reason=why)


def _new(work: WorkingSet, command: BeginRedemption, program: Program, offer: Offer) -> Redemption:
    discount = offer.kind == "discount"
    held = discount and not command.apply
    source, ref = command.order or (None, None)
    return Redemption(
        command.env,
        command.id,
        command.member,
        command.definition,
        0,  # its transaction comes with its points
        program.name,
        offer.kind,
        RedemptionState.PENDING,
        offer.cost,
        work.now,
        work.now,
        reward=offer.reward,
        value=offer.value,
        currency=offer.currency,
        code=command.code if discount else None,
        credited=_credited(work, command, program),
        payment=command.payment,
        order_source=source,
        order_ref=ref,
        shipping=_json(command.shipping),
        reason=command.reason,
        metadata=_json(command.metadata),
        decided=int(command.apply),  # it is used, whatever its order's facts say
        expires_at=work.now + program.redeeming.hold_minutes * MINUTE_MS if held else None,
        locks_until=command.locks_until if discount or command.apply else None,
    )


def _credited(work: WorkingSet, command: BeginRedemption, program: Program) -> int | None:
    """Return the definition that a credit's value goes to, if to any."""
    reward = None if command.reward is None else program.reward(command.reward)
    name = None if reward is None else reward.credits
    return next(
        (
            number
            for (env, number), one in work.catalog.definitions.items()
            if (env, one.program, one.name) == (command.env, program.name, name)
        ),
        None,
    )


def _json(strings: dict[str, str] | None) -> str | None:
    return orjson.dumps(strings, option=orjson.OPT_SORT_KEYS).decode() if strings else None


def _close(work: WorkingSet, change: Change) -> None:
    finish(work, change)
    plan_next(work, change.balance.key)
