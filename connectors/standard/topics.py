"""The types of the standard connector. None is ignored: who writes for us sends what counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_TYPES: Mapping[str, str] = {
    "order.placed": "an order and its totals",
    "order.updated": "the order's totals as of now",
    "payment.completed": "a payment, by its id",
    "order.shipped": "a shipment, of the lines it names or of everything",
    "order.refunded": "one refund, by its id",
    "order.cancelled": "the order is off, or on again",
    "customer.created": "a customer is there",
    "customer.updated": "who the customer is, as of now",
    "customer.deleted": "the customer is gone",
    "customer.redacted": "the person asked to be forgotten",
}

IGNORED: Mapping[str, str] = {}
