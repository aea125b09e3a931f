"""Messages over HTTP: what went out, with the frozen bytes and how it stands with each endpoint."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from adapter import ids
from adapter.clock import iso
from adapter.store import tables as t
from adapter.store.reading.kept import check_kept
from adapter.store.reading.members import find_member
from adapter.store.reading.messages import MessageFilter, deliveries_of, find_message, list_messages
from adapter.web.queries import Period, Reference, Selection
from adapter.web.routing import Call, Route, missing
from adapter.web.shown import MessageShown


class MessagesQuery(Period):
    type: Reference | None = Field(None, description="Such as `balance.updated`.")
    member: Reference | None = Field(None, description="`mem_…`, `source:customer` or an e-mail address.")


def messages(call: Call) -> dict[str, Any]:
    """List messages."""
    asked: MessagesQuery = call.query
    member = (
        None if asked.member is None else find_member(call.database, call.env, asked.member, deleted=True).id
    )
    chosen = MessageFilter(asked.type, None, member, asked.since, asked.until)
    page = list_messages(call.database, call.env, chosen, limit=asked.limit, cursor=asked.cursor)
    return page.view(lambda row: _view(call, row))


def message(call: Call) -> dict[str, Any]:
    """Show one message with its body and its deliveries."""
    row = find_message(call.database, call.env, call.id("message", "msg"))
    if row is None:
        check_kept(call.database, call.env, t.messages, call.path["message"])
        raise missing("msg", call.path["message"])
    deliveries = [_delivery_view(one) for one in deliveries_of(call.database, call.env, row.id)]
    return {**_view(call, row), "body": bytes(row.body).decode(), "deliveries": deliveries}


def _view(call: Call, row: Any) -> dict[str, Any]:
    definition = None if row.definition is None else call.definition(row.definition)
    return {
        "id": ids.show("msg", row.id),
        "type": row.type,
        "member": None if row.member is None else ids.show("mem", row.member),
        "program": None if definition is None else definition.program,
        "balance_definition": None if definition is None else definition.name,
        "sequence": row.sequence,
        "created_at": iso(row.created_at),
    }


def _delivery_view(row: Any) -> dict[str, Any]:
    return {
        "id": ids.show("dlv", row.id),
        "endpoint": ids.show("end", row.endpoint),
        "state": row.state,
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_error": row.last_error,
    }


ROUTES = (
    Route(
        "GET",
        "/v1/messages",
        messages,
        "messages:read",
        "List messages",
        MessageShown,
        "Messages",
        query=MessagesQuery,
        listed=True,
        text="What went out, newest first, as far as it is kept.",
    ),
    Route(
        "GET",
        "/v1/messages/{message}",
        message,
        "messages:read",
        "Show a message",
        MessageShown,
        "Messages",
        query=Selection,
        text="With the exact text that every attempt sends, and how it stands with each endpoint. 410 where it may have "
        "been removed by age.",
    ),
)
