"""What becomes of a voucher.

    active → redeemed | revoked | expired

What the API did not move follows from facts: an order that is on redeems it, else it is there while its occasion is, until
its end. A voucher past its end has expired, whether or not the sweep has come by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.links import read_linked
from adapter.book.voucher import Voucher, VoucherState
from adapter.book.voucher_news import tell_voucher
from adapter.program.reminding import reminds_at

if TYPE_CHECKING:
    from adapter.book.working import WorkingSet
    from adapter.clock import Millis


def lapse(work: WorkingSet, voucher: Voucher) -> None:
    """Let time take effect for one voucher."""
    if voucher.state_at(work.now) != voucher.state:
        move_on(work, voucher, VoucherState.EXPIRED)


def remind(work: WorkingSet, voucher: Voucher) -> None:
    """Tell of a voucher that ends soon, where it is time for that."""
    if voucher.remind_at is None or voucher.remind_at > work.now or voucher.state != VoucherState.ACTIVE:
        return
    tell_voucher(work, voucher, "expiring")
    plan_reminder(work, voucher)
    work.vouchers.put(voucher.id, voucher)


def plan_reminder(work: WorkingSet, voucher: Voucher) -> None:
    """Note when the member is next reminded of a voucher's end, as the program says."""
    program = work.catalog.version_at(voucher.env, voucher.program, work.now).program
    voucher.remind_at = reminds_at(voucher.expires_at, program.voucher_reminders, program.timezone, work.now)


def settle(work: WorkingSet, voucher: Voucher) -> None:
    """Bring a voucher to where its orders, its occasion and its end want it; one that the API moved stays."""
    wanted = VoucherState(voucher.state) if voucher.decided else _wanted(voucher, work.now)
    if wanted != voucher.state:
        move_on(work, voucher, wanted)


def _wanted(voucher: Voucher, now: Millis) -> VoucherState:
    if any(one.says != "cancelled" for one in read_linked(voucher.linked)):
        return VoucherState.REDEEMED
    if voucher.withdrawn:
        return VoucherState.REVOKED
    over = voucher.expires_at is not None and voucher.expires_at <= now
    return VoucherState.EXPIRED if over else VoucherState.ACTIVE


def move_on(work: WorkingSet, voucher: Voucher, state: VoucherState) -> None:
    """Write a voucher's new state, and tell subscribers; one that is active again is told as attributed."""
    _count(work, voucher, state)
    before = f"{voucher.state}_at"
    if hasattr(voucher, before):
        setattr(voucher, before, None)
    voucher.state, voucher.updated_at = state, work.now
    if state == VoucherState.ACTIVE:
        plan_reminder(work, voucher)
    else:
        setattr(voucher, f"{state}_at", work.now)
    work.vouchers.put(voucher.id, voucher)
    tell_voucher(work, voucher, "attributed" if state == VoucherState.ACTIVE else state)


def _count(work: WorkingSet, voucher: Voucher, state: str) -> None:
    """Keep how many vouchers of a rule a member has that were not revoked, where that is loaded."""
    if voucher.rule is not None:
        whose = (voucher.env, voucher.member, voucher.program, voucher.rule)
        more = (voucher.state == VoucherState.REVOKED) - (state == VoucherState.REVOKED)
        if whose in work.voucher_counts:
            work.voucher_counts[whose] += more
