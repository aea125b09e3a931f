"""The bodies of LoyalPro's webhooks: `{"event": {"id", "type", "created_at", "data"}}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.clock import iso
from adapter.events import EventType
from connectors.loyalpro.ids import customer_id, external_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.vendor import Told

    Data = Mapping[str, Any]

REFUNDED = (EventType.ORDER_REFUNDED, EventType.ORDER_CANCELLED)
"""The causes of a change that a purchase was given back by."""


def write(event: str, told: Told) -> dict[str, Any] | None:
    """Return the body of one of its events; None where this change is no occasion for it."""
    data = _WRITTEN[event](told.data)
    if data is None:
        return None
    whose = {
        "customer_id": customer_id(told.data["member"]),
        "external_id": external_id(told.data["source_ids"], told.settings.customers_of),
    }
    return {
        "event": {
            "id": ids.show("msg", told.id),
            "type": event,
            "created_at": iso(told.at),
            "data": whose | data,
        }
    }


def _customer(data: Data) -> dict[str, Any]:
    return {"email": data["email"], "name": data["name"], "status": data["state"]}


def _tier_changed(data: Data) -> dict[str, Any]:
    return {"tier": data["to"], "previous_tier": data["from"], "changed_at": data["since"]}


def _moved(data: Data) -> dict[str, Any]:
    return {
        "points": data["amount"],
        "transaction_id": data["transaction"],
        "order_id": data["order"],
        "occurred_at": data["occurred_at"],
    }


def _earned(data: Data) -> dict[str, Any] | None:
    """Tell of credited points: those of a redemption only come back."""
    return _moved(data) if data["kind"] == "credit" and data["redemption"] is None else None


def _adjusted(data: Data) -> dict[str, Any] | None:
    """Tell of points that were taken by hand, or that came back of a redemption."""
    if "cost" in data:  # of a redemption that was released, or that nobody used
        return {"points": data["cost"], "redemption_id": data["redemption"], "reason": data["state"]}
    if data["kind"] == "debit" and data["redemption"] is None:
        return _moved(data) | {"points": _less(data["amount"])}
    back = data["kind"] == "credit" and data["redemption"] is not None
    return _moved(data) | {"redemption_id": data["redemption"]} if back else None


def _redeemed(data: Data) -> dict[str, Any]:
    discount = data["discount"] or {}
    return {
        "points": data["cost"],
        "redemption_id": data["redemption"],
        "reward_id": data["reward"],
        "code": discount.get("code"),
        "discount_amount_minor": discount.get("amount"),
        "currency": discount.get("currency"),
    }


def _expired(data: Data) -> dict[str, Any]:
    return {"points": data["amount"]}


def _completed(data: Data) -> dict[str, Any] | None:
    """Tell of a purchase whose points are there."""
    return None if data["order"] is None or data["kind"] != "credit" else _moved(data)


def _refunded(data: Data) -> dict[str, Any] | None:
    """Tell of a purchase that was given back, with what that did to the points."""
    if data["cause"]["kind"] not in REFUNDED:
        return None
    return {"order_id": data["cause"]["order"], "changes": data["changes"]}


def _less(points: int | str) -> int | str:
    return -points if isinstance(points, int) else f"-{points}"


_WRITTEN: Mapping[str, Callable[[Data], dict[str, Any] | None]] = {
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _customer,
    "customer.tier_changed": _tier_changed,
    "points.earned": _earned,
    "points.adjusted": _adjusted,
    "points.redeemed": _redeemed,
    "points.expired": _expired,
    "transaction.completed": _completed,
    "transaction.refunded": _refunded,
}
