"""`/loyalty/transactions`: points awarded, redeemed or reversed, and how far each is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator

from adapter import ids
from adapter.book.state import Transaction
from adapter.commands import BeginTransaction
from adapter.store.reading.redemptions import find_redemption
from adapter.store.reading.transactions import find_transaction
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.auth import require_scope
from adapter.web.dialects import Asked
from adapter.web.routing import Access, Call, Repeated, Route, missing
from connectors.salesforce.api import journals
from connectors.salesforce.api.meant import Amount, Meant, MemberRef, Text, amount_of, called, meant
from connectors.salesforce.api.reversing import reverse
from connectors.salesforce.api.shown import TransactionShown
from connectors.salesforce.api.spending import booked, spending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.clock import Millis

REVERSAL = "reversal"
JournalType = Annotated[
    Literal["Accrual", "Redemption"], BeforeValidator(lambda value: str(value).capitalize())
]


class TransactionAsked(Asked):
    """A journal to make: an accrual unless it says otherwise, or the reversal of another."""

    member_id: MemberRef | None = None
    points: Amount | None = None
    journal_type: JournalType = "Accrual"
    journal_sub_type: Text | None = None
    transaction_type: Text | None = None
    order_id: Text | None = None
    process_immediately: bool = False
    original_transaction_id: Text | None = None

    @property
    def said(self) -> dict[str, str | None]:
        """Return what is kept with what it makes."""
        return {
            "journalType": self.journal_type,
            "journalSubType": self.journal_sub_type,
            "transactionType": self.transaction_type,
            "orderId": self.order_id,
        }


def make_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Award points, redeem some, or reverse what was done before."""
    asked: TransactionAsked = call.body
    if (asked.transaction_type or "").lower() == REVERSAL:
        if asked.original_transaction_id is None:
            raise at_fault("originalTransactionId", "say which transaction or redemption is reversed")
        return reverse(call, asked.original_transaction_id, field="originalTransactionId")
    for field, given in (("memberId", asked.member_id), ("points", asked.points)):
        if given is None:
            raise at_fault(field, "this field is required")
    assert asked.member_id is not None
    assert asked.points is not None
    whose = meant(call, asked.member_id)
    if asked.journal_type == "Redemption":
        require_scope(call.key, "redemptions:write")
        command = spending(call, whose, asked.points, field="points", said=asked.said)
        return booked(
            call,
            command,
            whose,
            lambda found: journals.redemption_view(call, found, whose.shown, at=found.updated_at),
        )
    amount = amount_of(asked.points, whose.definition, field="points")
    return award(call, crediting(call, whose, amount, asked.said, immediate=asked.process_immediately), whose)


def crediting(
    call: Call,
    whose: Meant,
    amount: int,
    said: Mapping[str, str | None],
    *,
    immediate: bool,
    occurred_at: Millis | None = None,
) -> BeginTransaction:
    """Return the command that credits points; in a program that posts in batches they wait, unless `immediate`."""
    return BeginTransaction(
        env=call.env,
        id=ids.new_id(call.now),
        member=whose.member,
        definition=whose.definition.id,
        kind="credit",
        amount=amount,
        complete=True,
        occurred_at=call.now if occurred_at is None else occurred_at,
        received_at=call.now,
        immediate=immediate,
        metadata={name: value for name, value in said.items() if value},
        once=once_of(call),
    )


def award(call: Call, command: BeginTransaction, whose: Meant) -> dict[str, Any] | Repeated:
    """Submit a credit, and show it as it was then."""

    def view(row: dict[str, Any]) -> dict[str, Any]:
        found = Transaction(**row)
        return journals.transaction_view(call, found, whose.shown, at=found.updated_at)

    return ask(call, command, view, decimals=whose.definition.decimals)


def transaction(call: Call) -> dict[str, Any]:
    """Show a transaction or a redemption as it stands now."""
    shown = call.path["transaction"]
    number = ids.read("rdm", shown)
    if number is not None:
        redemption = find_redemption(call.database, call.env, number)
        if redemption is not None:
            member = called(call, redemption.member)
            return journals.redemption_view(call, redemption, member, at=call.now)
    found = find_transaction(call.database, call.env, call.id("transaction", "txn"))
    if found is None:
        raise missing("txn", shown)
    member = called(call, found.member)
    return journals.transaction_view(call, found, member, at=call.now)


def routes(prefix: str) -> tuple[Route, ...]:
    """Return the routes below a prefix."""
    return (
        Route(
            "POST",
            f"{prefix}/loyalty/transactions",
            make_transaction,
            "transactions:write",
            "Award points, or reverse a transaction or redemption",
            TransactionShown,
            "Transactions",
            access=Access.DOOR,
            body=TransactionAsked,
            status=201,
            keeps=True,
        ),
        Route(
            "GET",
            f"{prefix}/loyalty/transactions/{{transaction}}",
            transaction,
            "transactions:read",
            "A transaction, to be polled until it is Processed",
            TransactionShown,
            "Transactions",
        ),
    )
