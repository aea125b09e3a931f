"""What an explanation rests on, as it is shown: the lot, the events that told, the transfers they caused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.book.membership import read_kept
from adapter.clock import iso
from adapter.points import points

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.book.state import Lot, Order, Transfer
    from adapter.catalog import Definition


def lot_view(lot: Lot, definition: Definition) -> dict[str, Any]:
    """Return a lot as it is shown."""
    return {
        **{
            part: points(getattr(lot, part), definition.decimals)
            for part in ("pending", "available", "reserved", "expired")
        },
        "earned_at": iso(lot.earned_at),
        "available_at": None if lot.available_at is None else iso(lot.available_at),
        "expires_at": None if lot.expires_at is None else iso(lot.expires_at),
    }


def standing_view(order: Order, definition: Definition) -> dict[str, Any] | None:
    """Return what an order keeps of where its member stood when it was settled first; None where it keeps nothing."""
    kept = read_kept(order.standing)
    if kept is None or kept.stood is None:
        return None
    room = None if kept.stood.room is None else points(kept.stood.room, definition.decimals)
    return {"tier": kept.stood.tier, "first_order": kept.stood.first, "room": room}


def event_view(row: Any) -> dict[str, Any]:
    """Return a stored event as an explanation names it."""
    return {
        "id": ids.show("evt", row.id),
        "source": row.source,
        "topic": row.topic,
        "types": row.types.split(),
        "state": row.state,
        "occurred_at": iso(row.occurred_at),
        "received_at": iso(row.received_at),
    }


def transfers_view(transfers: Iterable[Transfer], definition: Definition) -> list[dict[str, Any]]:
    """Return transfers as an explanation lists them."""
    return [
        {
            "sequence": one.sequence,
            "kind": one.kind,
            "from": one.from_account,
            "to": one.to_account,
            "amount": points(one.amount, definition.decimals),
            "event": None if one.event is None else ids.show("evt", one.event),
            "posted_at": iso(one.posted_at),
        }
        for one in transfers
    ]
