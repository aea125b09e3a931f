"""VINR's words for what we keep: ids, states, instants, and what both its API and its webhooks show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.clock import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.clock import Millis

NAME = "vinr"
STATUSES = {
    "pending": ("pending",),
    "applied": ("applied",),
    "fulfillment_pending": ("fulfillment_pending",),
    "fulfilled": ("fulfilled",),
    "released": ("released", "expired"),
    "reversed": ("reversed",),
}
"""A redemption's statuses at VINR, each with our states: there a hold that runs out is released like any other."""
_STATUS_OF = {state: status for status, states in STATUSES.items() for state in states}
_ACCOUNT_STATUS = {"active": "active", "merged": "merged", "deleted": "closed", "erased": "closed"}


def renamed(shown: str, prefix: str) -> str:
    """Return one of our ids with VINR's prefix: `mem_…` as `loy_…`."""
    return f"{prefix}_{shown.partition('_')[2]}"


def seconds(at: Millis | str) -> int:
    """Return an instant in whole seconds, as VINR counts time; ours is in milliseconds, or written as ISO 8601."""
    return (parse(at) if isinstance(at, str) else at) // 1000


def cancelled(word: str) -> str:
    """Return a state or an event as VINR spells it: with one `l`."""
    return word.replace("cancelled", "canceled")


def account_status(state: str) -> str:
    """Return an account's status."""
    return _ACCOUNT_STATUS[state]


def customer_of(source_ids: list[str], source: str) -> str | None:
    """Return the vendor's customer id among what the shops call a member."""
    return next((one.partition(":")[2] for one in source_ids if one.startswith(f"{source}:")), None)


def redemption_of(view: Mapping[str, Any]) -> dict[str, Any]:
    """Return a redemption of our own API, or of a message of ours, in VINR's words."""
    fulfillment = view["fulfillment"]
    return {
        "id": view["id"],
        "object": "redemption",
        "account": renamed(view["member"], "loy"),
        "program": view["program"],
        "reward": view["reward"],
        "status": _STATUS_OF[view["state"]],
        "points": view["cost"],
        "points_transaction": renamed(view["transaction"], "ptx"),
        "discount": view["discount"],
        "fulfillment": None
        if fulfillment is None
        else {
            "status": _STATUS_OF[view["state"]],
            "shipping": _shipping_of(fulfillment["shipping"]),
            "tracking": fulfillment["tracking"],
        },
        "credit": None if view["credit"] is None else _credit_of(view["credit"]),
        "payment": _payment_of(view),
        "reason": view["reason"],
        "created": seconds(view["created_at"]),
    }


def payment_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payment of ours in VINR's words."""
    return {
        "id": row["payment"],
        "object": "payment",
        "status": cancelled(row["state"]),
        "amount": row["amount"],
        "amount_discounted": row["discount"],
        "amount_charged": row["charged"],
        "currency": row["currency"],
        "customer": row["customer"],
        "discounts": [{"redemption": one} for one in row["redemptions"]],
        "created": seconds(row["created_at"]),
    }


def _shipping_of(shipping: Mapping[str, str] | None) -> dict[str, str] | None:
    if shipping is None:
        return None
    return {("postalCode" if name == "postal_code" else name): value for name, value in shipping.items()}


def _credit_of(credit: Mapping[str, Any]) -> dict[str, Any]:
    return {"amount": credit["amount"], "currency": credit["currency"]}


def _payment_of(view: Mapping[str, Any]) -> str | None:
    """Return the payment that uses a redemption: the one it was begun for, else the order, where that is one."""
    if view["payment"] is not None:
        return str(view["payment"])
    order = view["order"] or ""
    return order if ids.read("pay", order) is not None else None
