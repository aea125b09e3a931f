"""Credits and debits over HTTP: begun, completed, cancelled. Each is one command through the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids
from adapter.book.state import Transaction
from adapter.clock import CLOCKS_DIFFER_MS, LATEST
from adapter.commands import BeginTransaction, EndTransaction, ReverseTransaction
from adapter.points import smallest
from adapter.store.reading.definitions import definition_meant
from adapter.web.asking import at_fault, decision, once_of, passed, shown, unless_rejected
from adapter.web.queries import Instant, Reference
from adapter.web.routing import Access, Call, Given, Repeated, Route, missing
from adapter.web.shown import TransactionShown
from adapter.web.transactions import decided_view

if TYPE_CHECKING:
    from adapter.catalog import Definition

Label = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^:]+$")]
Value = Annotated[str, Field(max_length=500)]


class TransactionAsked(Given):
    """A credit or a debit to begin."""

    member: Reference = Field(description="`mem_…`, `source:customer` or an e-mail address.")
    type: Literal["credit", "debit"]
    amount: int | str = Field(
        description='Above zero; text such as `"12.50"` where the balance has decimals.'
    )
    program: Reference | None = Field(None, description="A program's name; needed where there are several.")
    balance_definition: Reference | None = Field(None, description="Needed where a program has several.")
    complete: bool = Field(False, description="At once, instead of pending until it is completed.")
    occurred_at: Instant | None = Field(None, description="When it happened, if that was before now.")
    ttl: Annotated[int, Field(ge=1, le=315_360_000)] | None = Field(
        None, description="Seconds after which it expires if it is still pending."
    )
    immediate: bool = Field(
        False,
        description="Once it is complete, use credited points at once even where the program posts in batches.",
    )
    available_at: Instant | None = Field(
        None, description="Credited points cannot be used before then; complete or not, they are pending."
    )
    points_expire_at: Instant | None = Field(
        None, description="When credited points end; else as the program says."
    )
    points_ttl: Annotated[int, Field(ge=1, le=315_360_000)] | None = Field(
        None, description="Or so many seconds after they can be used."
    )
    reason: Annotated[str, Field(max_length=500)] | None = None
    metadata: Annotated[dict[Label, Value], Field(max_length=50)] = Field(
        default_factory=dict, description="Names and values of your own, by which it can be found."
    )


class Ended(Given):
    """Why a transaction is cancelled."""

    reason: Annotated[str, Field(max_length=500)] | None = None


class Completed(Ended):
    """Why a transaction is completed, and whether its points are wanted at once."""

    immediate: bool = Field(
        False, description="Use credited points at once even where the program posts in batches."
    )


async def begin_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Begin a transaction."""
    asked: TransactionAsked = call.body
    member, definition = await booked_for(
        call, asked.member, program=asked.program, name=asked.balance_definition
    )
    command = BeginTransaction(
        env=call.env,
        id=ids.new_id(call.now),
        member=member,
        definition=definition.id,
        kind=asked.type,
        amount=_amount(call, asked, definition),
        complete=asked.complete,
        occurred_at=_happened(call, asked),
        received_at=call.now,
        deadline=None if asked.ttl is None else min(call.now + asked.ttl * 1000, LATEST),
        points_end_at=await _points_end(call, asked),
        points_last=_points_last(asked),
        available_at=_available(asked),
        immediate=asked.immediate,
        reason=asked.reason,
        metadata=asked.metadata,
        once=once_of(call),
    )
    return await _decided(call, command)


async def complete_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Complete a pending transaction."""
    return await _end(call, "completed", immediate=call.body.immediate)


async def cancel_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Cancel a pending transaction."""
    return await _end(call, "cancelled")


async def reverse_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Undo a completed transaction."""
    return await _decided(call, undoing(call, await _found(call), reason=call.body.reason))


async def _found(call: Call) -> Transaction:
    found = await call.parts.lookups.transaction(call.env, call.id("transaction", "txn"))
    if found is None:
        raise missing("txn", call.path["transaction"])
    return found


async def _end(call: Call, state: str, *, immediate: bool = False) -> dict[str, Any] | Repeated:
    found = await _found(call)
    return await _decided(call, ending(call, found, state, immediate=immediate, reason=call.body.reason))


async def booked_for(
    call: Call, reference: str, *, program: str | None, name: str | None
) -> tuple[int, Definition]:
    """Return the member and the balance definition (of this program, by this name) that a body means."""
    whose = await call.parts.lookups.member(call.env, reference)
    definition = definition_meant(call.catalog, call.env, lambda: whose.held, program=program, name=name)
    return whose.member, definition


def ending(
    call: Call, transaction: Transaction, state: str, *, immediate: bool = False, reason: str | None = None
) -> EndTransaction:
    """Return the command that completes or cancels a transaction, as a request asks for it."""
    return EndTransaction(
        env=call.env,
        transaction=transaction.id,
        member=transaction.member,
        definition=transaction.definition,
        state=state,
        immediate=immediate,
        received_at=call.now,
        reason=reason,
        once=once_of(call),
    )


def undoing(call: Call, transaction: Transaction, *, reason: str | None) -> ReverseTransaction:
    """Return the command that undoes a completed transaction by another one."""
    return ReverseTransaction(
        env=call.env,
        id=ids.new_id(call.now),
        transaction=transaction.id,
        member=transaction.member,
        definition=transaction.definition,
        received_at=call.now,
        reason=reason,
        once=once_of(call),
    )


async def _decided(
    call: Call, command: BeginTransaction | EndTransaction | ReverseTransaction
) -> dict[str, Any] | Repeated:
    call = await call.knowing(command.definition)
    decimals = call.definition(command.definition).decimals
    outcome, row = await decision(call, command, decimals=decimals)
    return unless_rejected(shown(outcome, decided_view(call, Transaction(**row))))


def units_of(call: Call, definition: Definition, kind: str, written: int | str) -> int:
    """Return an amount above zero in smallest units, rounded where the balance says how. Raises `ValueError`."""
    said = call.catalog.version_at(call.env, definition.program, call.now).program.balance(definition.name)
    return smallest(written, definition.decimals, None if said is None else said.rounding(kind))


def signed_units_of(call: Call, definition: Definition, written: int | str) -> int:
    """Return an amount as `units_of` does: above zero a credit, below zero a debit."""
    text = str(written)
    if text.startswith("-"):
        return -units_of(call, definition, "debit", text.removeprefix("-"))
    return units_of(call, definition, "credit", text)


def _amount(call: Call, asked: TransactionAsked, definition: Definition) -> int:
    try:
        return units_of(call, definition, asked.type, asked.amount)
    except ValueError as error:
        raise at_fault("amount", str(error)) from error


def _happened(call: Call, asked: TransactionAsked) -> int:
    if asked.occurred_at is not None and asked.occurred_at > call.now + CLOCKS_DIFFER_MS:
        raise at_fault("occurred_at", "it is in the future")
    return call.now if asked.occurred_at is None else asked.occurred_at


def _available(asked: TransactionAsked) -> int | None:
    if asked.available_at is not None:
        if asked.type != "credit":
            raise at_fault("available_at", "only credited points wait")
        if asked.immediate:
            raise at_fault("available_at", "points cannot wait and be used at once; leave out one of them")
    return asked.available_at


async def _points_end(call: Call, asked: TransactionAsked) -> int | None:
    if asked.points_expire_at is not None:
        if asked.type != "credit":
            raise at_fault("points_expire_at", "only credited points end")
        if asked.points_expire_at <= (asked.available_at or 0) or await passed(call, asked.points_expire_at):
            raise at_fault("points_expire_at", "it has passed already, or comes before they are available")
    return asked.points_expire_at


def _points_last(asked: TransactionAsked) -> int | None:
    if asked.points_ttl is None:
        return None
    if asked.type != "credit":
        raise at_fault("points_ttl", "only credited points end")
    if asked.points_expire_at is not None:
        raise at_fault("points_ttl", "say when the points end, or how long they last; leave out one of them")
    return asked.points_ttl * 1000


ROUTES = (
    Route(
        "POST",
        "/v1/transactions",
        begin_transaction,
        "transactions:write",
        "Credit or debit a member",
        TransactionShown,
        "Transactions",
        access=Access.DOOR,
        body=TransactionAsked,
        status=201,
        keeps=True,
        text=(
            "In two phases, or at once with `complete`. Pending, a credit is not usable yet and a debit holds its "
            "points; past its `ttl` it has expired. Too few points are 422 `insufficient_balance`, with figures. In a "
            "program that posts in batches complete credits stay pending until `available_at`, unless `immediate`."
        ),
        example={"member": "shop:7000", "type": "credit", "amount": 50, "reason": "a kind word"},
    ),
    Route(
        "POST",
        "/v1/transactions/{transaction}/complete",
        complete_transaction,
        "transactions:write",
        "Complete a transaction",
        TransactionShown,
        "Transactions",
        access=Access.DOOR,
        body=Completed,
        keeps=True,
        looked_up="state=pending&",
        text=(
            "Credited points become usable, held points are spent. Where the program posts in batches credited points "
            "stay pending until `available_at`, unless they are asked for with `immediate`. One that has ended "
            "already is 409."
        ),
    ),
    Route(
        "POST",
        "/v1/transactions/{transaction}/cancel",
        cancel_transaction,
        "transactions:write",
        "Cancel a transaction",
        TransactionShown,
        "Transactions",
        access=Access.DOOR,
        body=Ended,
        keeps=True,
        looked_up="state=pending&",
        text="Pending points are taken back, held points are released. One that has ended already is 409.",
    ),
    Route(
        "POST",
        "/v1/transactions/{transaction}/reverse",
        reverse_transaction,
        "transactions:write",
        "Undo a completed transaction",
        TransactionShown,
        "Transactions",
        access=Access.DOOR,
        body=Ended,
        status=201,
        keeps=True,
        looked_up="state=completed&",
        text="By a transaction of its own, which `reverses` it: debited points go back to the lots they came from; credited "
        "ones are taken back, and what is not there of them is owed, or waived, as the program says. Once: again is 409.",
    ),
)
