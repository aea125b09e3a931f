"""Parcels, and when with them the whole order has left."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapter.clock import parse
from adapter.errors import Ignored, Rejected
from adapter.events import Event, Shipment

Normalize = Callable[..., dict[str, list[Event]]]
FIRST, SECOND = parse("2026-10-02T08:00:00+02:00"), parse("2026-10-03T08:00:00+02:00")
FULFILLED = parse("2026-10-03T08:30:01+02:00")
PLACED = parse("2026-10-01T09:59:58+02:00")
PARCELS = [
    Shipment(id="301", version=FIRST, lines=(("101", Decimal(2)), ("103", Decimal(1))), at=FIRST),
    Shipment(
        id="302",
        version=parse("2026-10-03T08:30:00+02:00"),
        lines=(("102", Decimal(1)), ("103", Decimal(2))),
        at=SECOND,
    ),
]


def shipments(events: dict[str, list[Event]]) -> list[Shipment | None]:
    return [event.shipment for event in events.get("order.shipped", [])]


def test_a_part_of_the_order(normalize: Normalize) -> None:
    assert shipments(normalize("orders/partially_fulfilled")) == PARCELS[:1]
    assert shipments(normalize("fulfillments/create")) == PARCELS[:1]


def test_all_of_it_left_with_the_last_parcel(normalize: Normalize) -> None:
    whole = Shipment(id="order:5501001", version=FULFILLED, at=SECOND)
    assert shipments(normalize("orders/fulfilled")) == [*PARCELS, whole]


def test_the_whole_is_told_alike_under_every_topic(normalize: Normalize) -> None:
    told = shipments(normalize("orders/fulfilled"))
    assert shipments(normalize("orders/updated", body="orders/fulfilled")) == told


@pytest.mark.parametrize(
    ("topic", "at", "version"),
    [("orders/fulfilled", FULFILLED, FULFILLED), ("orders/updated", PLACED, PLACED)],
)
def test_fulfilled_without_a_parcel(normalize: Normalize, topic: str, at: int, version: int) -> None:
    told = shipments(normalize(topic, body="orders/fulfilled", fulfillments=[]))
    assert told == [Shipment(id="order:5501001", version=version, at=at)]


def test_a_parcel_that_is_called_back(normalize: Normalize) -> None:
    back = parse("2026-10-02T09:00:00+02:00")
    (cancelled,) = shipments(normalize("fulfillments/update"))
    assert cancelled is not None
    assert (cancelled.id, cancelled.cancelled, cancelled.version, cancelled.at) == ("301", True, back, FIRST)


def test_with_it_the_whole_is_called_back(
    normalize: Normalize, payload: Callable[..., dict[str, Any]]
) -> None:
    body = {"fulfillment_status": None, "fulfillments": [payload("fulfillments/update")]}
    parcel, whole = shipments(normalize("orders/updated", **body))
    assert parcel is not None
    assert whole is not None
    assert (whole.id, whole.cancelled) == ("order:5501001", True)


@pytest.mark.parametrize("status", ["pending", "open", "error", "failure", None])
def test_what_has_not_left(
    normalize: Normalize, payload: Callable[..., dict[str, Any]], status: str | None
) -> None:
    with pytest.raises(Ignored, match="nothing has been shipped"):
        normalize("fulfillments/create", status=status)
    planned = [payload("fulfillments/create", status=status)]
    assert shipments(normalize("orders/updated", fulfillment_status="partial", fulfillments=planned)) == []


def test_a_parcel_of_nothing_is_not_everything(normalize: Normalize) -> None:
    (parcel,) = shipments(normalize("fulfillments/create", line_items=None))
    assert parcel is not None
    assert parcel.lines == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_id": None}, "order_id"),
        ({"id": None}, r"fulfillments\.id"),
        ({"created_at": None, "updated_at": None}, "created_at"),
        ({"line_items": [{"id": 1}]}, r"fulfillments\.line_items\.quantity"),
    ],
)
def test_what_cannot_be_read_is_named(normalize: Normalize, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected, match=f"`{field}`"):
        normalize("fulfillments/create", **changes)
