"""What subscribers are told of vouchers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter import ids
from adapter.book.news import tell, wanted
from adapter.clock import iso
from adapter.messages import MessageType
from adapter.points import points
from adapter.program.worth import EXPONENTS

if TYPE_CHECKING:
    from adapter.book.voucher import Voucher
    from adapter.book.working import WorkingSet
    from adapter.commands import AttributeVoucher


def tell_voucher(work: WorkingSet, voucher: Voucher, word: str, *, refusal: str | None = None) -> None:
    """Queue `voucher.attributed`, `.redeemed`, `.expiring` and so on, as it stands now; a refusal by its code."""
    kind = f"voucher.{word}"
    if not wanted(work, voucher.env, kind):
        return
    data = {
        "member": ids.show("mem", voucher.member),
        "source_ids": sorted(work.source_ids.get((voucher.env, voucher.member), ())),
        "voucher": ids.show("vou", voucher.id),
        **voucher_view(voucher, work.now),
        **({} if refusal is None else {"refusal": refusal}),
    }
    tell(work, kind, data, (voucher.env, voucher.member, None))


def tell_voucher_failed(work: WorkingSet, command: AttributeVoucher, refusal: str) -> None:
    """Queue `voucher.failed`: which voucher was asked for, and the code that says why there is none."""
    if not wanted(work, command.env, MessageType.VOUCHER_FAILED):
        return
    data = {
        "member": ids.show("mem", command.member),
        "source_ids": sorted(work.source_ids.get((command.env, command.member), ())),
        "program": command.program,
        "code": command.code,
        "reward": command.reward,
        "refusal": refusal,
    }
    tell(work, MessageType.VOUCHER_FAILED, data, (command.env, command.member, None))


def voucher_view(voucher: Voucher, now: int) -> dict[str, Any]:
    """Return what a voucher is worth and how it stands, as it is shown everywhere."""
    exponent = None if voucher.currency is None else EXPONENTS[voucher.currency]
    value = None if voucher.value is None or exponent is None else str(points(voucher.value, exponent))
    return {
        "program": voucher.program,
        "code": voucher.code,
        "state": voucher.state_at(now),
        "rule": voucher.rule,
        "occasion": voucher.occasion,
        "reward": voucher.reward,
        "value": value,
        "currency": voucher.currency,
        "percent": voucher.percent,
        "reason": voucher.reason,
        "source": voucher.order_source,
        "order": voucher.order_ref,
        "attributed_at": iso(voucher.attributed_at),
        "expires_at": None if voucher.expires_at is None else iso(voucher.expires_at),
        **{
            name: None if (at := getattr(voucher, name)) is None else iso(at)
            for name in ("redeemed_at", "revoked_at", "valid_from")
        },
        "worth": voucher.worth,
        "metadata": {} if voucher.metadata is None else orjson.loads(voucher.metadata),
        "held_until": iso(voucher.held_until or 0) if voucher.held(now) else None,
    }
