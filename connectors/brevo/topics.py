"""What Brevo's clients tell of a purchase: the state of an order, or an event by its name; and what either says of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stage(StrEnum):
    """How far an order is."""

    OPEN = "open"  #: placed; nothing else is known
    PAID = "paid"
    SHIPPED = "shipped"
    COMPLETED = "completed"  #: paid and shipped
    CANCELLED = "cancelled"
    REFUNDED = "refunded"  #: all of it


ORDER = "order"
"""The topic of `/orders/status`."""

STATUSES: Mapping[str, Stage] = {
    **dict.fromkeys(("pending", "placed", "created", "new", "open", "processing", "on_hold"), Stage.OPEN),
    **dict.fromkeys(("paid", "confirmed", "payment_received"), Stage.PAID),
    **dict.fromkeys(("shipped", "delivered"), Stage.SHIPPED),
    **dict.fromkeys(("completed", "complete", "fulfilled"), Stage.COMPLETED),
    **dict.fromkeys(("cancelled", "canceled", "failed", "voided"), Stage.CANCELLED),
    **dict.fromkeys(("refunded", "returned"), Stage.REFUNDED),
}
"""Shops' usual words, lower-case and with `_`; a source's option `statuses` adds its own."""

EVENTS: Mapping[str, Stage] = {
    "order_placed": Stage.OPEN,
    "order_updated": Stage.OPEN,
    "order_paid": Stage.PAID,
    "order_shipped": Stage.SHIPPED,
    "order_completed": Stage.COMPLETED,
    "order_cancelled": Stage.CANCELLED,
    "order_refunded": Stage.REFUNDED,
}

EVENT_TYPES: Mapping[str, str] = {
    ORDER: "an order's totals, and what its status says: paid, shipped, off or refunded",
    "order_placed": "an order and its totals",
    "order_updated": "the order's totals as of now",
    "order_paid": "the order is paid",
    "order_shipped": "all of the order was shipped",
    "order_completed": "the order is paid and was shipped",
    "order_cancelled": "the order is off",
    "order_refunded": "a refund of so much, or of everything",
}

IGNORED: Mapping[str, str] = {
    "cart_updated": "Nothing is bought yet.",
    "cart_deleted": "Nothing was bought.",
    "page_viewed": "Nothing is bought yet.",
    "product_viewed": "Nothing is bought yet.",
    "signup": "Contacts are subscribed by the loyalty API.",
}
