"""The transactions of one contact's balance, listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids as our_ids
from adapter.clock import iso
from adapter.store.reading.transactions import TransactionFilter, ends_of, history
from adapter.web.asking import at_fault
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.routing import Route
from adapter.web.transactions import as_of_now
from connectors.brevo import ids
from connectors.brevo.api.contacts import contact_named, contact_shown, subscribed
from connectors.brevo.api.ids import definition_in, program_in
from connectors.brevo.api.transaction import Meta, instant, meta_shown, signed_number
from connectors.brevo.api.transactions import PATH

if TYPE_CHECKING:
    from adapter.book.state import Transaction
    from adapter.catalog import Definition
    from adapter.web.routing import Call

STATES = {
    "pending": "pending",
    "draft": "pending",
    "completed": "completed",
    "complete": "completed",
    "cancelled": "cancelled",
    "rejected": "rejected",
    "expired": "expired",
}
"""Ours, by the words of Brevo's guide and of its SDKs."""


class HistoryQuery(Asked):
    """One contact's transactions of one balance."""

    contact_id: int
    balance_definition_id: str
    status: str | None = None
    transaction_type: Literal["credit", "debit"] | None = None
    loyalty_subscription_id: str | None = None
    sort_field: Literal["createdAt"] = "createdAt"
    sort: Literal["asc", "desc"] = "desc"
    limit: Annotated[int, Field(ge=1, le=500)] = 25
    offset: Annotated[int, Field(ge=0, le=10**9)] = 0


class HistoryItem(Answered):
    id: str
    amount: float
    transaction_type: Literal["credit", "debit"]
    status: str
    meta: Meta
    balance_expiration_date: str | None
    reject_reason: str | None
    rejected_at: str | None
    completed_at: str | None
    cancelled_at: str | None
    created_at: str


class HistoryShown(Answered):
    """Some of the transactions, and how many there are."""

    loyalty_program_id: str
    contact_id: int | None
    balance_definition_id: str
    count: int
    transaction_history: list[HistoryItem]


def transaction_history(call: Call) -> dict[str, Any]:
    """List a contact's transactions of a balance."""
    asked: HistoryQuery = call.query
    program = program_in(call)
    definition = definition_in(call, program, asked.balance_definition_id)
    member = contact_named(call, str(asked.contact_id), "contactId")
    if asked.loyalty_subscription_id is not None:
        subscribed(call, asked.contact_id, asked.loyalty_subscription_id)
    chosen = TransactionFilter(
        call.now,
        member=member.id,
        state=_state(asked.status),
        kind=asked.transaction_type,
        definition=definition.id,
    )
    rows, count = history(
        call.database,
        call.env,
        chosen,
        limit=asked.limit,
        offset=asked.offset,
        rising=asked.sort == "asc",
    )
    ends = ends_of(call.database, call.env, member.id, [row.id for row in rows])
    items = [_item(call, row, definition, ends.get(row.id)) for row in rows]
    return view_of(
        HistoryShown(
            loyalty_program_id=ids.program_id(call.env, program),
            contact_id=contact_shown(call, member.source_ids),
            balance_definition_id=ids.definition_id(call.env, program, definition.name),
            count=count,
            transaction_history=items,
        )
    )


def _state(status: str | None) -> str | None:
    if status is None:
        return None
    if status not in STATES:
        raise at_fault("status", f"there are: {', '.join(STATES)}")
    return STATES[status]


def _item(call: Call, found: Transaction, definition: Definition, ends_at: int | None) -> HistoryItem:
    found = as_of_now(found, call.now)
    return HistoryItem(
        id=our_ids.show("txn", found.id),
        amount=signed_number(found, definition),
        transaction_type="credit" if found.kind == "credit" else "debit",
        status=found.state,
        meta=meta_shown(found),
        balance_expiration_date=instant(ends_at),
        reject_reason=found.reason if found.state == "rejected" else None,
        rejected_at=instant(found.rejected_at),
        completed_at=instant(found.completed_at),
        cancelled_at=instant(found.cancelled_at),
        created_at=iso(found.created_at),
    )


ROUTES = (
    Route(
        "GET",
        f"{PATH}/transaction-history",
        transaction_history,
        "transactions:read",
        "List a contact's transactions of a balance",
        HistoryShown,
        "Balances",
        query=HistoryQuery,
    ),
)
