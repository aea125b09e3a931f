"""The outbound vocabulary: what subscribers hear.

A message's body is rendered once, in the commit that caused it, and its bytes never change after that: every
retry and every replay sends the same bytes under the same `webhook-id`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import orjson

from adapter.clock import Millis, iso


class MessageType(StrEnum):
    """The dotted names of what goes out."""

    BALANCE_UPDATED = "balance.updated"  #: one per member, definition and command that moved points
    TRANSACTION_PENDING = "transaction.pending"
    TRANSACTION_COMPLETED = "transaction.completed"
    TRANSACTION_CANCELLED = "transaction.cancelled"
    TRANSACTION_EXPIRED = "transaction.expired"  #: nobody completed it before its deadline
    TRANSACTION_REJECTED = (
        "transaction.rejected"  #: the balance's bounds did not let it be completed; says why
    )
    REDEMPTION_CREATED = "redemption.created"
    REDEMPTION_APPLIED = "redemption.applied"  #: its discount was used, or its credit granted
    REDEMPTION_FULFILLED = "redemption.fulfilled"  #: its item was sent
    REDEMPTION_RELEASED = "redemption.released"  #: its order came to nothing; the points are back
    REDEMPTION_REVERSED = "redemption.reversed"  #: undone by hand; the points are back
    REDEMPTION_EXPIRED = "redemption.expired"  #: nobody used it before its deadline; the points are back
    PAYMENT_CREATED = "payment.created"  #: of a payment that is rehearsed, as are the following
    PAYMENT_COMPLETED = "payment.completed"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_CANCELLED = "payment.cancelled"
    PAYMENT_EXPIRED = "payment.expired"
    VOUCHER_ATTRIBUTED = "voucher.attributed"
    VOUCHER_REDEEMED = "voucher.redeemed"
    VOUCHER_REVOKED = "voucher.revoked"
    VOUCHER_EXPIRED = "voucher.expired"  #: nobody used it before its end
    VOUCHER_EXPIRING = "voucher.expiring"  #: a reminder of one that ends soon
    VOUCHER_REFUSED = "voucher.refused"  #: somebody tried to redeem one that cannot be any more; says why
    VOUCHER_FAILED = "voucher.failed"  #: one that was asked for could not be attributed; says why
    TIER_UPDATED = "tier.updated"  #: a member is on another tier; says of which group, from which and why
    TIER_ANNIVERSARY = "tier.anniversary"  #: so many whole months on the same tier
    TIER_ANNIVERSARY_COMING = "tier.anniversary_coming"  #: a reminder of a yearly one
    POINTS_EXPIRING = "points.expiring"  #: a reminder of points that end soon; says how many, and when
    POINTS_EXPIRED = "points.expired"
    MEMBER_CREATED = "member.created"
    MEMBER_UPDATED = "member.updated"
    MEMBER_MERGED = "member.merged"  #: everything that was theirs is somebody else's now; says whose
    MEMBER_DELETED = "member.deleted"
    MEMBER_LINKED = "member.linked"  #: a further customer id of a shop leads to a member; says which
    MEMBER_UNLINKED = "member.unlinked"  #: one of them does no more
    MEMBER_ANNIVERSARY = "member.anniversary"  #: a member for so many whole months
    MEMBER_ANNIVERSARY_COMING = "member.anniversary_coming"  #: a reminder of a yearly one
    ENDPOINT_DISABLED = (
        "endpoint.disabled"  #: an endpoint failed for so long that we stopped; says which and why
    )
    ENDPOINT_TEST = "endpoint.test"  #: asked for by hand, sent to one endpoint only


def render(message_type: str, at: Millis, data: dict[str, Any]) -> bytes:
    """Return the frozen bytes: `{"type": …, "timestamp": …, "data": …}`."""
    return orjson.dumps({"type": message_type, "timestamp": iso(at), "data": data})
