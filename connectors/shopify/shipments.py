"""What left the house: Shopify's fulfillments as our shipments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.errors import Ignored
from adapter.events import EventType, Shipment
from connectors.payload import quantity, required_id, rows, show
from connectors.shopify.webhook import first_instant, id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter.clock import Millis
    from adapter.events import Event
    from connectors.shopify.webhook import Notice


def normalize_fulfillment(hook: Notice) -> Iterator[Event]:
    """Give the shipment that `fulfillments/*` tells of. Raises `Ignored` while nothing has left."""
    order = required_id(hook.body.get("order_id"), "order_id")
    shipment = shipment_of(hook, hook.body)
    if shipment is None:
        raise Ignored(
            f"a fulfillment that is {show(hook.body.get('status'))}: nothing has been shipped by it"
        )
    yield shipped(hook, order, shipment)


def shipped(hook: Notice, order: str, shipment: Shipment) -> Event:
    """Return the event of a shipment."""
    kind = EventType.ORDER_SHIPPED
    return hook.event(kind, shipment.at, shipment.version, order=order, shipment=shipment)


def shipment_of(hook: Notice, told: Mapping[str, Any]) -> Shipment | None:
    """Return the shipment, or None where a fulfillment is only planned or has failed."""
    status = told.get("status")
    if status not in ("success", "cancelled"):
        return None
    at = first_instant(told, "created_at", "updated_at")
    return Shipment(
        id=id_of(told, "fulfillments.id"),
        version=first_instant(told, "updated_at", "created_at"),
        cancelled=status == "cancelled",
        lines=tuple(
            (
                id_of(item, "fulfillments.line_items.id"),
                quantity(item.get("quantity"), "fulfillments.line_items.quantity"),
            )
            for item in rows(told, "line_items")
        ),
        at=hook.cut(at),
    )


def order_shipments(hook: Notice, order: str, version: Millis) -> Iterator[Event]:
    """Give the shipments in an order's body, and whether with them the whole order has left."""
    told = [shipment for one in rows(hook.body, "fulfillments") if (shipment := shipment_of(hook, one))]
    for shipment in told:
        yield shipped(hook, order, shipment)
    whole = _whole(hook, order, version, told)
    if whole is not None:
        yield shipped(hook, order, whole)


def _whole(hook: Notice, order: str, version: Millis, told: list[Shipment]) -> Shipment | None:
    """Return that everything left, with the last parcel; or, after one was called back, that it has not.

    Where no parcel says when, the topic's own instant counts; an order that merely is fulfilled was so at
    some time since it was placed, which is said with so low a version that better news wins.
    """
    name = f"order:{order}"
    left = max((shipment.at for shipment in told if not shipment.cancelled), default=None)
    if hook.topic == "orders/fulfilled":
        return Shipment(id=name, version=version, at=left if left is not None else hook.cut(version))
    if hook.body.get("fulfillment_status") == "fulfilled":
        if left is not None:
            return Shipment(id=name, version=version, at=left)
        placed = first_instant(hook.body, "processed_at", "created_at", "updated_at")
        return Shipment(id=name, version=placed, at=hook.cut(placed))
    if any(shipment.cancelled for shipment in told):
        return Shipment(id=name, version=version, cancelled=True, at=hook.cut(version))
    return None
