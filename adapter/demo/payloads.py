"""What three shops would post about one customer, Ada, in the shapes that their documents describe.

All instants are given; amounts are text, as the shops write them (Stripe: whole cents).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

EMAIL = "ada@example.com"
GOODS = (("Kettle", "49.99"), ("Cups", "30.00"), ("Tea", "10.00"))
Json = dict[str, Any]


def shopify_order(
    number: int,
    goods: tuple[tuple[str, str], ...] = GOODS,
    *,
    placed: int,
    updated: int,
    paid: bool = False,
    shipped: bool = False,
) -> Json:
    """Return the body of Shopify's `orders/*`: always the whole order. Instants are seconds since 1970."""
    total = str(sum(Decimal(price) for _, price in goods))
    return {
        "id": number,
        "name": f"#{number}",
        "currency": "EUR",
        "created_at": _iso(placed),
        "processed_at": _iso(placed),
        "updated_at": _iso(updated),
        "financial_status": "paid" if paid else "pending",
        "fulfillment_status": "fulfilled" if shipped else None,
        "taxes_included": False,
        "subtotal_price": total,
        "total_tax": "0.00",
        "total_discounts": "0.00",
        "total_price": total,
        "customer": {"id": 7000, "email": EMAIL, "first_name": "Ada", "last_name": "Example"},
        "line_items": [_shopify_line(number, place, *each) for place, each in enumerate(goods, 1)],
        "shipping_lines": [],
        "fulfillments": [],
        "refunds": [],
    }


def _shopify_line(order: int, place: int, title: str, price: str) -> Json:
    return {
        "id": order * 10 + place,
        "title": title,
        "sku": title.upper(),
        "quantity": 1,
        "price": price,
        "requires_shipping": True,
        "gift_card": False,
        "tax_lines": [],
        "discount_allocations": [],
    }


def shopify_refund(number: int, order: int, place: int, amount: str, *, at: int) -> Json:
    """Return the body of `refunds/create`: one line of the order goes back."""
    return {
        "id": number,
        "order_id": order,
        "created_at": _iso(at),
        "processed_at": _iso(at),
        "refund_line_items": [
            {"line_item_id": order * 10 + place, "quantity": 1, "subtotal": amount, "total_tax": "0.00"}
        ],
        "order_adjustments": [],
        "transactions": [
            {"id": number * 10, "kind": "refund", "status": "success", "amount": amount, "currency": "EUR"}
        ],
    }


def woocommerce_order(number: int, amount: str, *, placed: int, completed: int) -> Json:
    """Return the body of WooCommerce's `order.*` for an order that is paid and has left the house."""
    return {
        "id": number,
        "number": str(number),
        "status": "completed",
        "currency": "EUR",
        "date_created_gmt": _gmt(placed),
        "date_paid_gmt": _gmt(placed),
        "date_completed_gmt": _gmt(completed),
        "date_modified_gmt": _gmt(completed),
        "prices_include_tax": False,
        "total": amount,
        "total_tax": "0.00",
        "shipping_total": "0.00",
        "customer_id": 42,
        "billing": {"email": EMAIL, "first_name": "Ada", "last_name": "Example"},
        "line_items": [{"id": 1, "name": "Teapot", "quantity": 1, "total": amount, "total_tax": "0.00"}],
        "fee_lines": [],
        "refunds": [],
    }


def stripe_payment(number: int, cents: int, *, at: int) -> Json:
    """Return Stripe's `checkout.session.completed` for a payment that nothing but Stripe knows of."""
    session = {
        "id": f"cs_test_{number}",
        "object": "checkout.session",
        "mode": "payment",
        "payment_status": "paid",
        "payment_intent": f"pi_{number}",
        "amount_subtotal": cents,
        "amount_total": cents,
        "currency": "eur",
        "created": at,
        "customer": "cus_ada",
        "customer_details": {"email": EMAIL, "name": "Ada Example"},
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "metadata": {},
    }
    return {
        "id": f"evt_demo{number}",
        "object": "event",
        "type": "checkout.session.completed",
        "created": at,
        "livemode": False,
        "data": {"object": session},
    }


def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _gmt(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
