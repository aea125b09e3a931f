"""LoyalPro as a vendor: its events, their envelope, and how they are signed.

The vendor's document leaves the signature open. Here it is `X-LoyalPro-Signature: t=<seconds>,v1=<hex>`: the HMAC-SHA256 of
`<seconds>.<body>` under the endpoint's secret (the bytes that its base64 stands for), one `v1` for each secret in force.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from adapter.messages import MessageType
from connectors.loyalpro.messages import write
from connectors.vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.vendor import Parcelled

NAME = "loyalpro"
TITLE = "LoyalPro"
SIGNATURE = "X-LoyalPro-Signature"


def sign(parcel: Parcelled) -> Mapping[str, str]:
    """Return the signature of one attempt; it carries the message's own id besides."""
    seconds = str(parcel.at // 1000)
    signed = f"{seconds}.".encode() + parcel.body
    parts = [f"v1={hmac.digest(key, signed, hashlib.sha256).hex()}" for key in parcel.keys]
    return {SIGNATURE: ",".join([f"t={seconds}", *parts])}


VENDOR = Vendor(
    name=NAME,
    title=TITLE,
    events={
        MessageType.MEMBER_CREATED: ("customer.created",),
        MessageType.MEMBER_UPDATED: ("customer.updated",),
        MessageType.MEMBER_DELETED: ("customer.deleted",),
        MessageType.TIER_UPDATED: ("customer.tier_changed",),
        MessageType.TRANSACTION_COMPLETED: ("points.earned", "points.adjusted", "transaction.completed"),
        MessageType.REDEMPTION_CREATED: ("points.redeemed",),
        MessageType.REDEMPTION_RELEASED: ("points.adjusted",),
        MessageType.REDEMPTION_EXPIRED: ("points.adjusted",),
        MessageType.POINTS_EXPIRED: ("points.expired",),
        MessageType.BALANCE_UPDATED: ("transaction.refunded",),
    },
    write=write,
    sign=sign,
)
