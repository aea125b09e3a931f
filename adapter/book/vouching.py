"""Vouchers as the API asks for them: attributed by hand, redeemed, revoked. Of two moves that come at once one wins.

What is refused moves nothing, but subscribers may hear of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from adapter.book.links import code_taken
from adapter.book.refusals import member_refusal, moved_on
from adapter.book.rows import row_of
from adapter.book.using import use_known
from adapter.book.voucher import Voucher, VoucherState
from adapter.book.voucher_news import tell_voucher, tell_voucher_failed
from adapter.book.vouchers import lapse, move_on, plan_reminder, remind
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from adapter.book.working import WorkingSet
    from adapter.clock import Millis
    from adapter.commands import AttributeVoucher, LapseVoucher, MoveVoucher


HELD, RELEASED = "held", "released"
"""Moves that leave a voucher active."""


def attribute_voucher(work: WorkingSet, command: AttributeVoucher, event: int) -> Outcome:
    """Attribute a voucher by hand."""
    refusal = _attribution_refusal(work, command)
    if refusal is not None:
        tell_voucher_failed(work, command, refusal.error or "refused")
        return refusal
    voucher = Voucher(
        command.env,
        command.id,
        command.member,
        command.program,
        command.code,
        VoucherState.ACTIVE,
        work.now,
        work.now,
        reward=command.reward,
        value=command.value,
        currency=command.currency,
        percent=command.percent,
        reason=command.reason,
        expires_at=command.ends_at,
        metadata=orjson.dumps(command.metadata, option=orjson.OPT_SORT_KEYS).decode()
        if command.metadata
        else None,
        worth=command.worth,
        valid_from=command.valid_from,
    )
    work.codes[command.env, command.code] = voucher.id
    work.vouchers.put(voucher.id, voucher)
    plan_reminder(work, voucher)
    tell_voucher(work, voucher, "attributed")
    use_known(work, voucher)
    return _told(voucher, event)


def _attribution_refusal(work: WorkingSet, command: AttributeVoucher) -> Outcome | None:
    refusal = member_refusal(work, command.env, command.member)
    if refusal is not None:
        return refusal
    if code_taken(work, command.env, command.code):
        why = "Another voucher or redemption has this code; choose another one."
        return Outcome(error="code_taken", reason=why, field="code")
    program = work.catalog.version_at(command.env, command.program, work.now).program
    if command.reward is not None and command.reward not in {one.id for one in program.rewards}:
        why = f"The program {command.program!r} has no reward {command.reward!r}."
        return Outcome(error="reward_unknown", reason=why, field="reward")
    return None


def move_voucher(work: WorkingSet, command: MoveVoucher, event: int) -> Outcome:
    """Redeem or revoke a voucher."""
    number: int | None = command.voucher
    if command.occasion is not None:
        number = work.occasions.get((command.env, command.member, *command.occasion))
    voucher = None if number is None else work.vouchers.get(number)
    if voucher is None:
        return Outcome(error="not_found", reason="There is no such voucher.")
    if voucher.member != command.member:
        return moved_on(voucher.member)
    lapse(work, voucher)
    refusal = _move_refusal(voucher, command, work.now)
    if refusal is not None:
        if command.state == VoucherState.REDEEMED:
            tell_voucher(work, voucher, "refused", refusal=refusal.error)
        return refusal
    if command.state in (HELD, RELEASED):
        _hold(work, voucher, command)
        return _told(voucher, event)
    voucher.reason = command.reason or voucher.reason
    voucher.decided = 1
    voucher.held_until = None
    if command.order is not None:
        voucher.order_source, voucher.order_ref = command.order
    move_on(work, voucher, VoucherState(command.state))
    return _told(voucher, event)


def _move_refusal(voucher: Voucher, command: MoveVoucher, now: Millis) -> Outcome | None:
    """Return why a voucher cannot be moved so now."""
    if voucher.state != VoucherState.ACTIVE:
        return Outcome(error=f"voucher_{voucher.state}", reason=f"It is {voucher.state} already.")
    if command.state == VoucherState.REVOKED:
        return None
    if voucher.valid_from is not None and now < voucher.valid_from:
        return Outcome(error="voucher_not_valid_yet", reason="It cannot be used yet; valid_from says when.")
    own = voucher.held(now) and command.hold == voucher.hold
    if command.state != HELD and command.hold is not None and not own:
        return Outcome(error="hold_over", reason="The voucher is not held by this any more; hold it again.")
    if voucher.held(now) and not own and command.state != RELEASED:
        why = "Somebody is about to use it; it is free again once that is over."
        left = -(-((voucher.held_until or now) - now) // 1000)
        return Outcome(error="voucher_held", reason=why, retry_after_s=left)
    return None


def _hold(work: WorkingSet, voucher: Voucher, command: MoveVoucher) -> None:
    """Keep a voucher for somebody, or let it go again."""
    voucher.updated_at = work.now
    if command.state == HELD:
        voucher.hold, voucher.held_at, voucher.held_until = command.hold, work.now, command.until
    else:
        voucher.held_until = None
    work.vouchers.mark(voucher.id)


def lapse_voucher(work: WorkingSet, command: LapseVoucher) -> None:
    """Let a voucher expire whose time is over, or remind of it; does nothing where it is not time for either."""
    voucher = work.vouchers.get(command.voucher)
    if voucher is not None:
        lapse(work, voucher)
        remind(work, voucher)


def _told(voucher: Voucher, event: int) -> Outcome:
    return Outcome(event=event, state=voucher.state, row=row_of(voucher))
