"""What WooCommerce sends, and what becomes of it. There is no topic for paid, shipped, refunded or cancelled.

A topic that ends in `.*` stands for all that begin so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_TYPES: Mapping[str, str] = {
    "order.created": "the order's totals, and whether it is paid, shipped, refunded or cancelled by then",
    "order.updated": "the order's totals, and whether it is paid, shipped, refunded or cancelled by then",
    "order.restored": "the order came back from the trash: as order.updated",
    "order.deleted": "the order is cancelled: it went into the trash, or was deleted for good",
    "customer.created": "a customer, with address and name",
    "customer.updated": "a customer, with address and name",
    "customer.deleted": "a customer who is gone",
}

IGNORED: Mapping[str, str] = {
    "product.*": "products are not part of the points; an order names what was bought",
    "coupon.*": "coupons are not part of the points; an order's lines have them taken off already",
    "action.*": "a hook of a plugin says nothing that can be read in general",
    "subscription.*": "a subscription is a plan; each renewal is an order of its own",
    "user_membership.*": "a membership is not a purchase; buying it is an order of its own",
}
