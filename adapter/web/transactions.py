"""Transactions over HTTP, to read; `booking.py` has how they come about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field

from adapter import ids
from adapter.clock import iso
from adapter.points import points
from adapter.store.reading.awards import award_of_transaction
from adapter.store.reading.members import find_member
from adapter.store.reading.transactions import TransactionFilter, find_transaction, list_transactions
from adapter.web.queries import Period, Reference, Selection
from adapter.web.routing import Call, Route, missing
from adapter.web.shown import TransactionShown

if TYPE_CHECKING:
    from adapter.book.state import Transaction
    from adapter.clock import Millis

State = Literal["pending", "completed", "cancelled", "expired", "rejected"]


def name_and_value(written: str) -> str:
    """Check what a list is to be narrowed to by metadata."""
    if ":" not in written:
        raise ValueError("give name:value")
    return written


class MemberTransactionsQuery(Period):
    state: State | None = None
    type: Literal["credit", "debit"] | None = None
    source: Reference | None = Field(None, description="Of orders of this source.")
    metadata: Annotated[str, Field(max_length=600), AfterValidator(name_and_value)] | None = Field(
        None, description="`name:value`: only those that have this in their metadata."
    )


class TransactionsQuery(MemberTransactionsQuery):
    member: Reference | None = Field(None, description="`mem_…`, `source:customer` or an e-mail address.")


def transactions(call: Call) -> dict[str, Any]:
    """List transactions of all members, or of one."""
    reference = call.query.member
    return _page(call, None if reference is None else find_member(call.database, call.env, reference).id)


def member_transactions(call: Call) -> dict[str, Any]:
    """List one member's transactions."""
    return _page(call, find_member(call.database, call.env, call.path["member"]).id)


def transaction(call: Call) -> dict[str, Any]:
    """Show one transaction."""
    found = find_transaction(call.database, call.env, call.id("transaction", "txn"))
    if found is None:
        raise missing("txn", call.path["transaction"])
    decimals = call.definition(found.definition).decimals
    award = award_of_transaction(call.database, found, decimals)
    return transaction_view(call, found) | ({} if award is None else {"award": award})


def _page(call: Call, member: int | None) -> dict[str, Any]:
    asked: MemberTransactionsQuery = call.query
    chosen = TransactionFilter(
        call.now,
        member,
        asked.state,
        asked.type,
        asked.source,
        None,
        asked.since,
        asked.until,
        asked.metadata,
    )
    page = list_transactions(call.database, call.env, chosen, limit=asked.limit, cursor=asked.cursor)
    return page.view(lambda found: transaction_view(call, found))


def decided_view(call: Call, decided: Transaction) -> dict[str, Any]:
    """Return a transaction as a command left it; a repeat is answered alike after its deadline too."""
    return transaction_view(call, decided, at=decided.updated_at)


def transaction_view(call: Call, found: Transaction, at: Millis | None = None) -> dict[str, Any]:
    """Return a transaction as it is shown everywhere: as of now, or `at`, whether or not the sweep has come by."""
    definition = call.definition(found.definition)
    found = as_of_now(found, call.now if at is None else at)
    usable_at = found.available_at if found.order_ref is None else found.completed_at
    return {
        "id": ids.show("txn", found.id),
        "member": ids.show("mem", found.member),
        "program": definition.program,
        "balance_definition": definition.name,
        "type": found.kind,
        "state": found.state,
        "amount": points(found.amount, definition.decimals),
        "available_at": _instant(usable_at if found.kind == "credit" else None),
        "reason": found.reason,
        "source": found.order_source,
        "order": found.order_ref,
        "event": None if found.event is None else ids.show("evt", found.event),
        **{
            name: _instant(getattr(found, name))
            for name in (
                "occurred_at",
                "created_at",
                "updated_at",
                "completed_at",
                "cancelled_at",
                "rejected_at",
                "expires_at",
            )
        },
        "redemption": None if found.redemption is None else ids.show("rdm", found.redemption),
        "reverses": None if found.reverses is None else ids.show("txn", found.reverses),
        "metadata": {} if found.metadata is None else orjson.loads(found.metadata),
    }


def as_of_now(found: Transaction, now: Millis) -> Transaction:
    """Return a transaction with what time has done to it."""
    state = found.state_at(now)
    if state == found.state:
        return found
    at = found.due_at or now
    return replace(found, state=state, updated_at=at, completed_at=at if state == "completed" else None)


def _instant(at: int | None) -> str | None:
    return None if at is None else iso(at)


ROUTES = (
    Route(
        "GET",
        "/v1/members/{member}/transactions",
        member_transactions,
        "transactions:read",
        "List a member's transactions",
        TransactionShown,
        "Transactions",
        query=MemberTransactionsQuery,
        listed=True,
    ),
    Route(
        "GET",
        "/v1/transactions",
        transactions,
        "transactions:read",
        "List transactions",
        TransactionShown,
        "Transactions",
        query=TransactionsQuery,
        listed=True,
        text="Credits and debits, newest first.",
    ),
    Route(
        "GET",
        "/v1/transactions/{transaction}",
        transaction,
        "transactions:read",
        "Show a transaction",
        TransactionShown,
        "Transactions",
        query=Selection,
    ),
)
