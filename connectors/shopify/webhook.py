"""One webhook of Shopify's, read: its topic, its body, and what every event made from it shares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapter.errors import Rejected
from adapter.events import Event, EventType
from connectors.payload import instant, read_json, required_id, text_id
from connectors.shopify.verify import header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.clock import Millis
    from connectors.base import RawEvent


_GLOBAL_ID = re.compile(r"gid://shopify/\w+/([0-9]{1,30})", re.ASCII)
_SHAPES = (  # keys that only bodies of one family have, and the topic that says the least about them
    ({"line_items", "financial_status"}, "orders/updated"),
    ({"refund_line_items", "order_id"}, "refunds/create"),
    ({"kind", "gateway", "order_id"}, "order_transactions/create"),
    ({"tracking_numbers", "order_id", "line_items"}, "fulfillments/update"),
)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a body says, with what is not in it: the topic, when it came, and whether it is a test."""

    topic: str
    body: Mapping[str, Any]
    received_at: Millis
    test: bool

    def cut(self, at: Millis) -> Millis:
        """Return the instant, or that of receipt where the shop's clock runs ahead: nothing happens later."""
        return min(at, self.received_at)

    def event(self, kind: EventType, at: Millis, version: Millis, **facts: Any) -> Event:
        """Return an event of this webhook."""
        return Event(type=kind, occurred_at=self.cut(at), version=version, test=self.test, **facts)


def read_notice(raw: RawEvent, topic: str) -> Notice:
    """Return the webhook. Raises `Rejected` where the body is not an object."""
    body = read_json(raw.body)
    test = body.get("test") is True or header(raw, "test").strip().lower() == "true"
    return Notice(topic, body, raw.received_at, test)


def topic_of(raw: RawEvent) -> str:
    """Return the topic that the header names, else the one that the body's shape allows, else `unknown`."""
    told = header(raw, "topic").strip().lower()
    return told or _shape(raw.body)


def _shape(raw_body: bytes) -> str:
    try:
        body = read_json(raw_body)
    except Rejected:
        return "unknown"
    return next((topic for keys, topic in _SHAPES if keys <= body.keys()), "unknown")


def id_of(thing: Mapping[str, Any], field: str) -> str:
    """Return a thing's id: its number, or the number in its global id where it has only that.

    The number goes first although some relays round long ones: references to the thing are rounded alike.
    """
    told = text_id(thing.get("id"))
    if told is None and isinstance(name := thing.get("admin_graphql_api_id"), str):
        match = _GLOBAL_ID.fullmatch(name.strip())
        told = match[1] if match else None
    return required_id(told if told is not None else thing.get("id"), field)


def first_instant(thing: Mapping[str, Any], *fields: str) -> Millis:
    """Return the first of these instants that the shop sent. Raises `Rejected` where it sent none."""
    told = first_or_none(thing, *fields)
    if told is None:
        raise Rejected(f"none of {', '.join(f'`{field}`' for field in fields)} says when", field=fields[0])
    return told


def first_or_none(thing: Mapping[str, Any], *fields: str) -> Millis | None:
    """Return the first of these instants that the shop sent, if any."""
    return next(
        (instant(thing[field], field) for field in fields if thing.get(field) not in (None, "")), None
    )
