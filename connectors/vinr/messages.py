"""VINR's webhooks: `{"id": "evt_…", "type", "data", "created"}`, written from our own messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.messages import MessageType
from connectors.vinr.words import account_status, customer_of, payment_of, redemption_of, renamed, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.vendor import Told

EVENTS: Mapping[str, tuple[str, ...]] = {
    MessageType.REDEMPTION_CREATED: ("loyalty.redemption.created",),
    MessageType.REDEMPTION_APPLIED: ("loyalty.redemption.applied",),
    MessageType.REDEMPTION_FULFILLED: ("loyalty.redemption.fulfilled",),
    MessageType.REDEMPTION_RELEASED: ("loyalty.redemption.released",),
    MessageType.REDEMPTION_EXPIRED: ("loyalty.redemption.released",),
    MessageType.REDEMPTION_REVERSED: ("loyalty.redemption.reversed",),
    MessageType.TRANSACTION_COMPLETED: ("loyalty.points.earned",),
    MessageType.MEMBER_CREATED: ("loyalty.account.created",),
    MessageType.MEMBER_UPDATED: ("loyalty.account.updated",),
    MessageType.PAYMENT_CREATED: ("payment.created",),
    MessageType.PAYMENT_COMPLETED: ("payment.completed",),
    MessageType.PAYMENT_FAILED: ("payment.failed",),
    MessageType.PAYMENT_CANCELLED: ("payment.canceled",),
    MessageType.PAYMENT_EXPIRED: ("payment.expired",),
}


def write(event: str, told: Told) -> Mapping[str, Any] | None:
    """Return the body of an event; None where nothing of it happened."""
    family = told.type.partition(".")[0]
    data = _WRITERS[family](told)
    if data is None:
        return None
    return {"id": ids.show("evt", told.id), "type": event, "data": data, "created": seconds(told.at)}


def _redemption(told: Told) -> dict[str, Any]:
    data = told.data
    sent = {"shipping": data["shipping"], "tracking": data["tracking"]}
    return redemption_of(
        {**data, "id": data["redemption"], "fulfillment": sent if data["kind"] == "item" else None}
    )


def _earned(told: Told) -> dict[str, Any] | None:
    """Tell of points that were given; those that come back of a redemption were earned before."""
    data = told.data
    if data["kind"] != "credit" or data["redemption"] is not None:
        return None
    order = data["order"] or ""
    return {
        "object": "points_transaction",
        "id": renamed(data["transaction"], "ptx"),
        "account": renamed(data["member"], "loy"),
        "program": data["program"],
        "type": "credit",
        "amount": data["amount"],
        "payment": order if ids.read("pay", order) is not None else None,
    }


def _account(told: Told) -> dict[str, Any]:
    data = told.data
    return {
        "object": "loyalty_account",
        "id": renamed(data["member"], "loy"),
        "program": told.settings.program,
        "customer": customer_of(data["source_ids"], told.settings.customers_of),
        "status": account_status(data["state"]),
        "email": data["email"],
        "name": data["name"],
    }


def _payment(told: Told) -> dict[str, Any]:
    return payment_of(told.data)


_WRITERS: Mapping[str, Callable[[Told], dict[str, Any] | None]] = {
    "redemption": _redemption,
    "transaction": _earned,
    "member": _account,
    "payment": _payment,
}
