"""Vouchers as the API asks for them: attributed by hand, redeemed, revoked; and what time does to them.

    active → redeemed | revoked | expired

A voucher past its end has expired, whether or not the sweep has come by. Of two moves that come at once one wins.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from adapter.book.news import tell_voucher
from adapter.book.refusals import member_refusal, moved_on
from adapter.book.voucher import Voucher, VoucherState
from adapter.commands import Outcome

if TYPE_CHECKING:
    from adapter.book.working import WorkingSet
    from adapter.commands import AttributeVoucher, LapseVoucher, MoveVoucher


def attribute_voucher(work: WorkingSet, command: AttributeVoucher, event: int) -> Outcome:
    """Attribute a voucher by hand."""
    refusal = member_refusal(work, command.env, command.member)
    if refusal is not None:
        return refusal
    if (command.env, command.code) in work.codes:
        return Outcome(
            error="code_taken", reason="Another voucher has this code; choose another one.", field="code"
        )
    program = work.catalog.version_at(command.env, command.program, work.now).program
    if command.reward is not None and command.reward not in {one.id for one in program.rewards}:
        why = f"The program {command.program!r} has no reward {command.reward!r}."
        return Outcome(error="reward_unknown", reason=why, field="reward")
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
    )
    work.codes[command.env, command.code] = voucher.id
    work.vouchers.put(voucher.id, voucher)
    tell_voucher(work, voucher, "attributed")
    return _told(voucher, event)


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
    if voucher.state != VoucherState.ACTIVE:
        return Outcome(error=f"voucher_{voucher.state}", reason=f"It is {voucher.state} already.")
    voucher.reason = command.reason or voucher.reason
    voucher.decided = 1
    if command.order is not None:
        voucher.order_source, voucher.order_ref = command.order
    move_on(work, voucher, command.state)
    return _told(voucher, event)


def lapse_voucher(work: WorkingSet, command: LapseVoucher) -> None:
    """Let a voucher expire whose time is over; does nothing where it is not."""
    voucher = work.vouchers.get(command.voucher)
    if voucher is not None:
        lapse(work, voucher)


def lapse(work: WorkingSet, voucher: Voucher) -> None:
    """Let time take effect for one voucher."""
    if voucher.state_at(work.now) != voucher.state:
        move_on(work, voucher, VoucherState.EXPIRED)


def move_on(work: WorkingSet, voucher: Voucher, state: str) -> None:
    """Write a voucher's new state, and tell subscribers."""
    voucher.state, voucher.updated_at = state, work.now
    setattr(voucher, f"{state}_at", work.now)
    work.vouchers.put(voucher.id, voucher)
    tell_voucher(work, voucher, state)


def _told(voucher: Voucher, event: int) -> Outcome:
    return Outcome(event=event, state=voucher.state, row=asdict(voucher))
