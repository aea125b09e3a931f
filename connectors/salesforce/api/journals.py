"""Journals: how Salesforce shows a transaction or a redemption of ours, with `Pending` until its points can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter import ids
from adapter.clock import iso
from adapter.points import points
from adapter.web.dialects import view_of
from connectors.salesforce.api.errors import figure
from connectors.salesforce.api.shown import Status, TransactionShown
from connectors.salesforce.api.spending import cost_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.book.state import Redemption, Transaction
    from adapter.web.routing import Call

ENDED: Mapping[str, Status] = {
    "completed": "Processed",
    "cancelled": "Cancelled",
    "expired": "Cancelled",
    "rejected": "Error",
}
OF_REDEMPTIONS: Mapping[str, Status] = {
    "pending": "Pending",
    "released": "Cancelled",
    "expired": "Cancelled",
    "reversed": "Cancelled",
}


def status_of(found: Transaction, now: int) -> Status:
    """Return a journal's status: pending while its points wait, whatever they wait for."""
    state = found.state_at(now)
    waits = found.kind == "credit" and found.available_at is not None and found.available_at > now
    return "Pending" if state == "pending" or (waits and state == "completed") else ENDED[state]


def transaction_view(
    call: Call, found: Transaction, member: str, *, at: int, original: str | None = None
) -> dict[str, Any]:
    """Return a transaction as a journal. One of a redemption that credits is what came back of it."""
    said = {} if found.metadata is None else orjson.loads(found.metadata)
    redemption = None if found.redemption is None else ids.show("rdm", found.redemption)
    back = original or (redemption if found.kind == "credit" else None) or said.get("originalTransactionId")
    status = status_of(found, at)
    decimals = call.definition(found.definition).decimals
    return view_of(
        TransactionShown(
            transaction_id=ids.show("txn", found.id),
            member_id=member,
            points=figure(points(found.amount, decimals)),
            journal_type="Accrual" if found.kind == "credit" else "Redemption",
            journal_sub_type=said.get("journalSubType"),
            transaction_type="Reversal" if back else said.get("transactionType"),
            order_id=said.get("orderId", found.order_ref),
            status=status,
            processing_status=status,
            original_transaction_id=back,
            activity_date=iso(found.occurred_at),
            created_date=iso(found.created_at),
            available_date=None if found.available_at is None else iso(found.available_at),
        )
    )


def redemption_view(call: Call, found: Redemption, member: str, *, at: int) -> dict[str, Any]:
    """Return a redemption as a journal."""
    said = {} if found.metadata is None else orjson.loads(found.metadata)
    status: Status = OF_REDEMPTIONS.get(str(found.state_at(at)), "Processed")
    return view_of(
        TransactionShown(
            transaction_id=ids.show("rdm", found.id),
            member_id=member,
            points=cost_of(found, call),
            journal_type="Redemption",
            journal_sub_type=said.get("journalSubType"),
            transaction_type=said.get("transactionType", said.get("redemptionType")),
            order_id=said.get("orderId", found.order_ref),
            status=status,
            processing_status=status,
            original_transaction_id=None,
            activity_date=iso(found.created_at),
            created_date=iso(found.created_at),
            available_date=None,
        )
    )
