"""The history of a session's account: credits and debits, newest first."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter.clock import LATEST
from adapter.store.reading.paging import encode_cursor
from adapter.store.reading.transactions import TransactionFilter, list_transactions
from adapter.web.dialects import Answered, Asked, definition_of, number
from adapter.web.queries import shown_id
from adapter.web.routing import Route
from adapter.web.transactions import transaction_view
from connectors.es_loyalty.api.sessions import account_of, open_session
from connectors.es_loyalty.vendor import NAME, TITLE

if TYPE_CHECKING:
    from adapter.book.state import Transaction
    from adapter.clock import Millis
    from adapter.web.routing import Call

DEFAULT, MOST = 30, 150
Millisecond = Annotated[int, Field(ge=0, le=LATEST)]


class HistoryQuery(Asked):
    """Which page is wanted. Its history is looked through backwards, beginning at `from`."""

    limit: Annotated[int, Field(ge=1, le=MOST)] = DEFAULT
    transaction_id: Annotated[int, shown_id("txn")] | None = None
    from_: Annotated[Millisecond | None, Field(alias="from")] = None
    to: Millisecond | None = None


class TransactionShown(Answered):
    """One credit or debit. `points` are below zero where they were taken."""

    transaction_id: str
    transaction_type: str
    transaction_date: str
    status: str
    points: Decimal
    description: str | None
    order_id: str | None


class HistoryShown(Answered):
    """A page; the next one begins after its last transaction."""

    transactions: list[TransactionShown]
    has_more: bool


def history(call: Call) -> dict[str, Any]:
    """List what an account was credited and debited."""
    asked: HistoryQuery = call.query
    member = account_of(call, open_session(call))
    since, until = _period(asked)
    chosen = TransactionFilter(
        call.now, member.id, definition=definition_of(call, NAME).id, since=since, until=until
    )
    after = None if asked.transaction_id is None else encode_cursor(asked.transaction_id)
    page = list_transactions(call.database, call.env, chosen, limit=asked.limit, cursor=after)
    return {
        "transactions": [_view(call, one) for one in page.rows],
        "hasMore": page.next_cursor is not None,
    }


def _period(asked: HistoryQuery) -> tuple[Millis | None, Millis | None]:
    """Return the earliest instant and the one after the latest; of two the earlier is the end of the search."""
    if asked.from_ is None or asked.to is None:
        return asked.to, None if asked.from_ is None else asked.from_ + 1
    return min(asked.from_, asked.to), max(asked.from_, asked.to) + 1


def _view(call: Call, found: Transaction) -> dict[str, Any]:
    shown = transaction_view(call, found)
    sign = "-" if found.kind == "debit" else ""
    return {
        "transactionId": shown["id"],
        "transactionType": found.kind.upper(),
        "transactionDate": shown["occurred_at"],
        "status": shown["state"].upper(),
        "points": number(f"{sign}{shown['amount']}"),
        "description": shown["reason"],
        "orderId": shown["order"],
    }


ROUTES = (
    Route(
        "GET",
        "/client/users/{correlation_id}/transactions/history/v2",
        history,
        "transactions:read",
        "List the transactions of a session's account, newest first",
        HistoryShown,
        TITLE,
        query=HistoryQuery,
    ),
)
