"""Points transactions: what was earned, spent and adjusted, with its sign.

Listed is what changed the balance: a credit once it is complete, a debit once its points are held. VINR never edits one.
So where we let go of points that a redemption held, and our own transaction is cancelled, VINR's list has two: what the
redemption took, and what came back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids
from adapter.store.reading.members import find_member
from adapter.store.reading.transactions import TransactionFilter, find_transaction, list_transactions
from adapter.web import booking
from adapter.web.asking import at_fault, shown_as
from adapter.web.dialects import Asked, definition_of
from adapter.web.routing import checked
from adapter.web.transactions import as_of_now, transaction_view
from connectors.vinr.api.asking import (
    Id,
    Listing,
    Text,
    account_named,
    after,
    changing,
    each_place,
    listed,
    nothing,
    reading,
)
from connectors.vinr.api.shown import PointsTransactionShown
from connectors.vinr.words import NAME, cancelled, renamed, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.book.state import Transaction
    from adapter.web.routing import Call, Repeated, Route

LET_GO = ("cancelled", "expired", "rejected")
BACK = "_back"
"""Ends the id of what came back of a transaction."""


class TransactionBegun(Asked):
    """Points by hand: above zero they are given, below zero taken. Decimals are written as text."""

    account: Id
    amount: Annotated[int, Field(strict=True)] | Annotated[str, Field(max_length=40)]
    reason: Text | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class TransactionsQuery(Listing):
    account: Id | None = None
    loyalty_account: Id | None = None  # the same, as VINR's reference writes it
    type: Literal["credit", "debit"] | None = None


def create_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Give or take points by hand."""
    asked: TransactionBegun = call.body
    definition = definition_of(call, NAME)
    written = str(asked.amount).strip()
    if asked.amount == 0:
        raise at_fault("amount", "give an amount other than zero")
    given = {
        "member": account_named(call, asked.account),
        "type": "debit" if written.startswith("-") else "credit",
        "amount": written.removeprefix("-"),
        "program": definition.program,
        "balance_definition": definition.name,
        "complete": True,
        "reason": asked.reason,
        "metadata": asked.metadata,
    }
    native = replace(call, body=checked(booking.TransactionAsked, given, "body"))
    return shown_as(call.parts.wait(booking.begin_transaction(native)), transaction_shown)


def show_transaction(call: Call) -> dict[str, Any]:
    """Show one points transaction."""
    named = call.path["transaction"]
    number = ids.read("ptx", named.removesuffix(BACK))
    found = None if number is None else find_transaction(call.database, call.env, number)
    if found is None:
        nothing("points transaction", named)
    if named.endswith(BACK):
        return next(_came_back(call, found), None) or nothing("points transaction", named)
    return transaction_shown(transaction_view(call, found))


def list_points_transactions(call: Call) -> dict[str, Any]:
    """List points transactions, newest first."""
    asked: TransactionsQuery = call.query
    account = asked.account or asked.loyalty_account
    whose = None if account is None else find_member(call.database, call.env, account_named(call, account)).id
    chosen = TransactionFilter(call.now, whose, definition=definition_of(call, NAME).id)
    start = after("ptx", None if asked.starting_after is None else asked.starting_after.removesuffix(BACK))
    page = list_transactions(call.database, call.env, chosen, limit=asked.limit, cursor=start)
    shown = [one for found in page.rows for one in _shown(call, found) if asked.type in (None, one["type"])]
    return listed(shown, page.next_cursor)


def _shown(call: Call, found: Transaction) -> Iterator[dict[str, Any]]:
    """Yield how a transaction changed the balance; what came back of it first, as the newer of the two."""
    now = as_of_now(found, call.now)
    let_go = now.state in LET_GO
    if now.state == "completed" or (now.kind == "debit" and (not let_go or now.redemption is not None)):
        yield from _came_back(call, found)
        yield transaction_shown(transaction_view(call, found))


def _came_back(call: Call, found: Transaction) -> Iterator[dict[str, Any]]:
    """Yield the credit that VINR has for held points that were let go of."""
    held = as_of_now(found, call.now)
    if held.redemption is None or held.kind != "debit" or held.state not in LET_GO:
        return
    view = transaction_view(call, found)
    shown = transaction_shown(view)
    yield shown | {
        "id": f"{shown['id']}{BACK}",
        "amount": view["amount"],
        "type": "credit",
        "reason": "redemption.released",
        "created": seconds(held.updated_at),
    }


def transaction_shown(view: dict[str, Any]) -> dict[str, Any]:
    """Return a transaction of our own API in VINR's words; held points of a redemption count as gone."""
    debit = view["type"] == "debit"
    amount = view["amount"]
    order = view["order"] or ""
    returned = debit and view["redemption"] is not None and view["state"] in LET_GO
    return {
        "id": renamed(view["id"], "ptx"),
        "object": "points_transaction",
        "account": renamed(view["member"], "loy"),
        "amount": (-amount if isinstance(amount, int) else f"-{amount}") if debit else amount,
        "type": view["type"],
        "status": "completed" if returned else cancelled(view["state"]),
        "reason": view["reason"],
        "redemption": view["redemption"],
        "payment": order if ids.read("pay", order) is not None else None,
        "metadata": view["metadata"],
        "created": seconds(view["created_at"]),
    }


def _routes(place: str) -> tuple[Route, ...]:
    return (
        changing(f"POST {place}", create_transaction, "transactions:write", "Give or take points by hand",
                 (TransactionBegun, PointsTransactionShown), status=201),
        reading(place, list_points_transactions, "transactions:read", "List points transactions",
                PointsTransactionShown, query=TransactionsQuery, listed=True),
        reading(f"{place}/{{transaction}}", show_transaction, "transactions:read", "Show a points transaction",
                PointsTransactionShown),
    )  # fmt: skip


ROUTES = each_place(("/v1/loyalty/transactions", "/v1/points-transactions"), _routes)
