"""Shopify's topics: which are understood, and why the others are not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_TYPES: Mapping[str, str] = {
    "orders/create": "the order is placed, with all that its body tells",
    "orders/updated": "the order's totals as of now, with its payment, shipments, refunds and cancellation",
    "orders/paid": "the order is fully paid",
    "orders/partially_fulfilled": "some lines are shipped",
    "orders/fulfilled": "everything is shipped",
    "orders/cancelled": "the order is off",
    "fulfillments/create": "a shipment, of the lines it names",
    "fulfillments/update": "a shipment, or that it was called back",
    "refunds/create": "one refund, by its id",
    "order_transactions/create": "a payment, where money was taken successfully",
    "customers/create": "a customer is there",
    "customers/update": "who the customer is, as of now",
    "customers/delete": "the customer is gone",
    "customers/redact": "the person asked to be forgotten",
}

_RESULT = "orders/updated carries the result"
_NOT_ORDERED = "nothing has been ordered yet"
_CATALOGUE = "goods and stock move no points"
_SHOP = "the shop's own affairs move no points"
_RETURN = "a return is an intent; refunds/create tells what became of it"

IGNORED: Mapping[str, str] = {
    "orders/edited": f"it only lists the changed lines; {_RESULT}",
    "orders/delete": "deleting an order in the admin moves no money; its cancellation or refund came before",
    "orders/*": _RESULT,
    "order_transactions/*": "only the creation of a transaction is needed",
    "order/*": _RESULT,
    "draft_orders/*": f"{_NOT_ORDERED}; orders/create follows when it is",
    "checkouts/*": _NOT_ORDERED,
    "carts/*": _NOT_ORDERED,
    "tender_transactions/*": "order_transactions/create tells the same with the order's view of it",
    "payment_terms/*": "orders/paid tells when the money is there",
    "payment_schedules/*": "orders/paid tells when the money is there",
    "disputes/*": "a dispute is open; money that goes back for good comes as a refund",
    "returns/*": _RETURN,
    "reverse_deliveries/*": _RETURN,
    "reverse_fulfillment_orders/*": _RETURN,
    "fulfillment_orders/*": "a plan to ship; fulfillments/create tells of the shipment",
    "fulfillment_holds/*": "a plan to ship; fulfillments/create tells of the shipment",
    "fulfillment_events/*": "where a parcel is does not matter, only that it left",
    "customers/merge": "customers/update follows for the one that is kept",
    "customers/enable": "an account's state does not say who the customer is",
    "customers/disable": "an account's state does not say who the customer is",
    "customers/data_request": "the shop's owner answers it; the member's statement has the data",
    "customers/purchasing_summary": "sums are kept here by order",
    "customers_*": "consent to marketing is not kept here",
    "customer_*": "groups, payment methods and settings move no points",
    "customer/*": "tags and segments move no points",
    "customer.*": "tags and segments move no points",
    "shop/redact": "the shop is gone; its operator removes the source, which erases its customers",
    "shop/*": _SHOP,
    "app/*": _SHOP,
    "app_*": _SHOP,
    "companies/*": _SHOP,
    "company_*": _SHOP,
    "locations/*": _SHOP,
    "locales/*": _SHOP,
    "domains/*": _SHOP,
    "markets/*": _SHOP,
    "themes/*": _SHOP,
    "bulk_operations/*": _SHOP,
    "metaobjects/*": _SHOP,
    "metafield_definitions/*": _SHOP,
    "segments/*": _SHOP,
    "audit_events/*": _SHOP,
    "attributed_sessions/*": _SHOP,
    "cash_*": _SHOP,
    "finance_*": _SHOP,
    "tax_*": "taxes come with the order",
    "products/*": _CATALOGUE,
    "product_*": _CATALOGUE,
    "variants/*": _CATALOGUE,
    "collections/*": _CATALOGUE,
    "collection_*": _CATALOGUE,
    "inventory_*": _CATALOGUE,
    "channels/*": _CATALOGUE,
    "scheduled_product_listings/*": _CATALOGUE,
    "selling_plan_groups/*": _CATALOGUE,
    "discounts/*": "discounts come with the order",
    "gift_cards/*": "a gift card sold is a line of its order, one spent a payment",
    "profiles/*": _SHOP,
    "subscription_*": "each billing of a subscription places an order of its own",
    "delivery_promise_settings/*": _SHOP,
}
