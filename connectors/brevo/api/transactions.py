"""Transactions: begun, completed, cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from pydantic import AliasChoices, Field, StrictFloat, StrictInt, model_validator

from adapter import ids as our_ids
from adapter.book.state import Transaction
from adapter.clock import CLOCKS_DIFFER_MS, LATEST
from adapter.commands import BeginTransaction
from adapter.points import points
from adapter.store.reading.members import source_ids
from adapter.store.reading.transactions import find_transaction
from adapter.web.asking import at_fault, decided, once_of
from adapter.web.booking import ending, signed_units_of
from adapter.web.dialects import Asked, looking, options_of
from adapter.web.errors import Problem
from adapter.web.queries import Instant
from adapter.web.routing import Access, Repeated, Route, missing
from connectors.brevo.api.contacts import any_case, contact_shown, subscribed
from connectors.brevo.api.ids import definition_in, program_in
from connectors.brevo.api.transaction import Meta, TransactionShown, shown
from connectors.brevo.messages import number
from connectors.brevo.vendor import NAME, BrevoOptions

if TYPE_CHECKING:
    from adapter.catalog import Definition
    from adapter.web.routing import Call

PATH = "/v3/loyalty/balance/programs/{pid}"
META_MOST = 50
META_NAME_MOST = 64
META_BYTES_MOST = 20_000
META_VALUE_MOST = 500
UNITS_MS = {"minutes": 60_000, "seconds": 1000}

Amount = StrictInt | StrictFloat
ContactId = Annotated[int, Field(strict=True, ge=1)]


class TransactionAsked(Asked):
    """A credit (above zero) or debit (below) to begin; both spellings of its fields are known."""

    contact_id: ContactId | None = None
    loyalty_subscription_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    balance_definition_id: str
    amount: Amount
    transaction_type: Literal["credit", "debit"] | None = None
    auto_complete: bool = False
    event_time: Instant | None = None
    points_minutes: Annotated[int, Field(gt=0, strict=True)] | None = Field(
        None, validation_alias=AliasChoices("expiryBalanceMinutes", "balanceExpiryInMinutes")
    )
    ttl: Annotated[int, Field(gt=0, strict=True)] | None = None
    meta: Meta = None

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, values: Any) -> Any:
        return any_case(values, "loyaltySubscriptionId")


def create_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Create a transaction."""
    asked: TransactionAsked = call.body
    with looking(call) as here:
        definition = definition_in(here, program_in(here), asked.balance_definition_id)
        member = subscribed(here, asked.contact_id, asked.loyalty_subscription_id)
    amount = amount_of(call, asked.amount, definition)
    kind = asked.transaction_type or ("credit" if amount > 0 else "debit")
    command = BeginTransaction(
        env=call.env,
        id=our_ids.new_id(call.now),
        member=member.id,
        definition=definition.id,
        kind=kind,
        amount=abs(amount),
        complete=asked.auto_complete,
        occurred_at=_happened(call, asked),
        received_at=call.now,
        deadline=_deadline(call, asked),
        points_last=_points_last(asked, kind),
        metadata=meta_of(asked.meta),
        once=once_of(call),
    )
    contact = contact_shown(call, member.source_ids)
    return ask_for(call, command, definition, contact)


def complete_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Complete a transaction."""
    return _end(call, "completed")


def cancel_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Cancel a transaction."""
    return _end(call, "cancelled")


def ask_for(
    call: Call, command: Any, definition: Definition, contact: int | None
) -> dict[str, Any] | Repeated:
    """Submit the command of a transaction and show it, with what is posted after it where it moved that.

    Raises `Problem` where it is refused, or was rejected.
    """
    outcome, row = decided(call, command, decimals=definition.decimals)
    told = shown(call, Transaction(**row), definition, contact)
    if told["status"] == "rejected":
        raise Problem("rejected", f"It was rejected, and stays so: {told['rejectReason']}")
    if told["status"] == "completed" and outcome.figures is not None:
        posted = sum(int(outcome.figures[account]) for account in ("available", "reserved"))
        told["balance"] = number(points(posted, definition.decimals))
    return Repeated(told) if outcome.duplicate else told


def amount_of(call: Call, written: float, definition: Definition) -> int:
    """Return an amount in smallest units, below zero for a debit. Raises `Problem` for zero, and for too many decimals."""
    if not written:
        raise at_fault("amount", "it must not be zero")
    try:
        return signed_units_of(call, definition, str(written))
    except ValueError as error:
        raise at_fault("amount", str(error)) from error


def meta_of(meta: Meta) -> dict[str, Any]:
    """Return what is kept of `meta`. Raises `Problem` where it is too much."""
    kept = meta or {}
    if len(kept) > META_MOST or any(not 0 < len(name) <= META_NAME_MOST for name in kept):
        raise at_fault("meta", f"give at most {META_MOST} names, each of 1 to {META_NAME_MOST} characters")
    if len(orjson.dumps(kept)) > META_BYTES_MOST:
        raise at_fault("meta", f"give at most {META_BYTES_MOST} bytes")
    if any(isinstance(value, str) and len(value) > META_VALUE_MOST for value in kept.values()):
        raise at_fault("meta", f"give texts of at most {META_VALUE_MOST} characters")
    return kept


def transaction_number(shown_id: str) -> int | None:
    """Return the number of a transaction's id, with its prefix or without."""
    return our_ids.read("txn", shown_id if shown_id.startswith("txn_") else f"txn_{shown_id}")


def _end(call: Call, state: str) -> dict[str, Any] | Repeated:
    number_ = transaction_number(call.path["tid"])
    with looking(call) as here:
        program = program_in(here)
        found = None if number_ is None else find_transaction(here.database, call.env, number_)
        if found is None or call.definition(found.definition).program != program:
            raise missing("txn", call.path["tid"])
        names = source_ids(here.database, call.env, [found.member]).get(found.member, ())
    definition = call.definition(found.definition)
    return ask_for(call, ending(call, found, state), definition, contact_shown(call, names))


def _happened(call: Call, asked: TransactionAsked) -> int:
    if asked.event_time is not None and asked.event_time > call.now + CLOCKS_DIFFER_MS:
        raise at_fault("eventTime", "it is in the future")
    return call.now if asked.event_time is None else asked.event_time


def _deadline(call: Call, asked: TransactionAsked) -> int | None:
    if asked.ttl is None:
        return None
    unit = options_of(call, NAME, BrevoOptions).ttl_unit
    return min(call.now + asked.ttl * UNITS_MS[unit], LATEST)


def _points_last(asked: TransactionAsked, kind: str) -> int | None:
    if asked.points_minutes is None:
        return None
    if kind != "credit":
        raise at_fault("expiryBalanceMinutes", "only credited points end")
    return min(asked.points_minutes * UNITS_MS["minutes"], LATEST)


_ONE = f"{PATH}/transactions/{{tid}}"
ROUTES = (
    Route(
        "POST",
        f"{PATH}/transactions",
        create_transaction,
        "transactions:write",
        "Create a transaction",
        TransactionShown,
        "Balances",
        access=Access.DOOR,
        body=TransactionAsked,
        keeps=True,
    ),
    Route(
        "POST",
        f"{_ONE}/complete",
        complete_transaction,
        "transactions:write",
        "Complete a transaction",
        TransactionShown,
        "Balances",
        access=Access.DOOR,
        keeps=True,
    ),
    Route(
        "POST",
        f"{_ONE}/cancel",
        cancel_transaction,
        "transactions:write",
        "Cancel a transaction",
        TransactionShown,
        "Balances",
        access=Access.DOOR,
        keeps=True,
    ),
)
