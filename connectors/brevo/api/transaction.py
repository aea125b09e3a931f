"""A transaction as Brevo shows it: whole, with its nulls, whatever was done with it. A debit's amount is below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import orjson

from adapter import ids as our_ids
from adapter.clock import iso
from adapter.points import points
from adapter.web.dialects import Answered, view_of
from adapter.web.transactions import as_of_now
from connectors.brevo import ids
from connectors.brevo.messages import number

if TYPE_CHECKING:
    from adapter.book.state import Transaction
    from adapter.catalog import Definition
    from adapter.web.routing import Call

Meta = dict[str, Any] | None


class TransactionShown(Answered):
    """A transaction, whole, whatever was done with it. `balance` is what is posted after it, where it moved that."""

    id: str
    amount: float
    balance: float | None = None
    transaction_type: Literal["credit", "debit"]
    meta: Meta
    status: Literal["pending", "completed", "rejected", "cancelled", "expired"]
    loyalty_program_id: str
    balance_definition_id: str
    contact_id: int | None
    event_time: str
    reject_reason: str | None
    rejected_at: str | None
    expiration_date: str | None
    completed_at: str | None
    cancelled_at: str | None
    created_at: str
    updated_at: str


def shown(call: Call, found: Transaction, definition: Definition, contact: int | None) -> dict[str, Any]:
    """Return a transaction as Brevo writes it, as of now."""
    found = as_of_now(found, call.now)
    return view_of(
        TransactionShown(
            id=our_ids.show("txn", found.id),
            amount=signed_number(found, definition),
            transaction_type="credit" if found.kind == "credit" else "debit",
            meta=meta_shown(found),
            status=found.state,  # type: ignore[arg-type]  # - our words are the guide's
            loyalty_program_id=ids.program_id(call.env, definition.program),
            balance_definition_id=ids.definition_id(call.env, definition.program, definition.name),
            contact_id=contact,
            event_time=iso(found.occurred_at),
            reject_reason=found.reason if found.state == "rejected" else None,
            rejected_at=instant(found.rejected_at),
            expiration_date=instant(found.expires_at),
            completed_at=instant(found.completed_at),
            cancelled_at=instant(found.cancelled_at),
            created_at=iso(found.created_at),
            updated_at=iso(found.updated_at),
        )
    )


def signed_number(found: Transaction, definition: Definition) -> int | float:
    """Return a transaction's amount as a number, below zero for a debit."""
    amount = number(points(found.amount, definition.decimals))
    return amount if found.kind == "credit" else -amount


def instant(at: int | None) -> str | None:
    return None if at is None else iso(at)


def meta_shown(found: Transaction) -> Meta:
    """Return what its client said of it."""
    return None if found.metadata is None else orjson.loads(found.metadata)
