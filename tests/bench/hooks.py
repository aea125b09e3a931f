"""Webhooks to measure with: a WooCommerce order of 3.4 KB, signed, a fresh one each time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "bench-secret"
SOURCE = "bench"
MEMBERS = 2000
BODY_BYTES = 3400

_numbers = count(1)
_SHUFFLE = 7919  # prime: consecutive orders are of members who have nothing to do with each other


def requests(port: int, *, path: str = f"/webhooks/{SOURCE}", members: int = MEMBERS) -> Iterator[bytes]:
    """Yield signed requests without end; every one is another order, of so many members in turn."""
    for number in _numbers:
        yield request(port, path, order(number, members))


def request(port: int, path: str, body: bytes) -> bytes:
    """Return the bytes of one signed request."""
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-WC-Webhook-Topic: order.created\r\nX-WC-Webhook-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def order(number: int, members: int = MEMBERS) -> bytes:
    """Return an order of three lines that is paid and completed: it earns and posts at once."""
    customer = number * _SHUFFLE % members + 1
    lines = [
        {
            "id": number * 10 + line,
            "name": f"Thing {line}",
            "product_id": line,
            "variation_id": 0,
            "quantity": 1,
            "subtotal": "30.00",
            "total": "29.99",
            "total_tax": "0.00",
            "sku": f"SKU-{line}",
            "price": 29.99,
        }
        for line in range(3)
    ]
    body = {
        "id": number,
        "number": str(number),
        "status": "completed",
        "currency": "EUR",
        "customer_id": customer,
        "date_created_gmt": "2026-11-01T10:00:00",
        "date_modified_gmt": "2026-11-02T10:00:00",
        "date_paid_gmt": "2026-11-01T10:05:00",
        "date_completed_gmt": "2026-11-02T10:00:00",
        "discount_total": "0.00",
        "shipping_total": "4.90",
        "total": "94.87",
        "total_tax": "0.00",
        "billing": {"first_name": "Ada", "email": f"ada{customer}@example.com"},
        "line_items": lines,
        "refunds": [],
    }
    text = json.dumps(body)
    body["customer_note"] = "n" * max(BODY_BYTES - len(text) - 22, 0)
    return json.dumps(body).encode()
