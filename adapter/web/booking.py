"""Credits and debits over HTTP: begun, completed, cancelled. Each is one command through the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids
from adapter.book.state import Transaction
from adapter.clock import LATEST
from adapter.commands import BeginTransaction, EndTransaction, Once
from adapter.errors import Unavailable
from adapter.points import points, smallest
from adapter.store.reading.balances import choose_definition
from adapter.store.reading.members import find_member
from adapter.store.reading.snapshot import snapshot
from adapter.store.reading.transactions import find_transaction
from adapter.web.errors import STATUS, Problem
from adapter.web.queries import Instant, Reference
from adapter.web.routing import Access, Call, Given, Repeated, Route, missing
from adapter.web.shown import TransactionShown
from adapter.web.transactions import transaction_view

if TYPE_CHECKING:
    from adapter.catalog import Definition
    from adapter.commands import Outcome, TransactionCommand

CLOCKS_DIFFER_MS = 300_000
"""How far ahead the clock of whoever tells us when something happened may be."""

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
    points_expire_at: Instant | None = Field(
        None, description="When credited points end; else as the program says."
    )
    reason: Annotated[str, Field(max_length=500)] | None = None
    metadata: Annotated[dict[Label, Value], Field(max_length=50)] = Field(
        default_factory=dict, description="Names and values of your own, by which it can be found."
    )


class Ended(Given):
    """Why a transaction is completed or cancelled."""

    reason: Annotated[str, Field(max_length=500)] | None = None


def begin_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Begin a transaction."""
    asked: TransactionAsked = call.body
    with snapshot(call.parts.engine) as connection:
        member = find_member(connection, call.env, asked.member)
        definition = choose_definition(
            connection,
            call.catalog,
            call.env,
            member.id,
            program=asked.program,
            name=asked.balance_definition,
        )
    command = BeginTransaction(
        env=call.env,
        id=ids.new_id(call.now),
        member=member.id,
        definition=definition.id,
        kind=asked.type,
        amount=_amount(asked, definition),
        complete=asked.complete,
        occurred_at=_happened(call, asked),
        received_at=call.now,
        deadline=None if asked.ttl is None else min(call.now + asked.ttl * 1000, LATEST),
        points_end_at=_points_end(call, asked),
        reason=asked.reason,
        metadata=asked.metadata,
        once=_once(call),
    )
    return _submit(call, command, definition)


def complete_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Complete a pending transaction."""
    return _end(call, "completed")


def cancel_transaction(call: Call) -> dict[str, Any] | Repeated:
    """Cancel a pending transaction."""
    return _end(call, "cancelled")


def _end(call: Call, state: str) -> dict[str, Any] | Repeated:
    number = call.id("transaction", "txn")
    with call.parts.engine.connect() as connection:
        found = find_transaction(connection, call.env, number)
    if found is None:
        raise missing("txn", call.path["transaction"])
    command = EndTransaction(
        env=call.env,
        transaction=number,
        member=found.member,
        definition=found.definition,
        state=state,
        received_at=call.now,
        reason=call.body.reason,
        once=_once(call),
    )
    return _submit(call, command, call.definition(found.definition))


def _submit(call: Call, command: TransactionCommand, definition: Definition) -> dict[str, Any] | Repeated:
    outcome = call.parts.submit(command)
    if outcome.error is not None or outcome.row is None:
        raise _refusal(outcome, definition)
    row: dict[str, Any] = outcome.row
    view = transaction_view(call, Transaction(**row))
    return Repeated(view) if outcome.duplicate else view


def _refusal(outcome: Outcome, definition: Definition) -> Problem | Unavailable:
    code = outcome.error or "unavailable"
    if STATUS.get(code) == STATUS["unavailable"]:
        return Unavailable("Nothing was booked; send it again.", code=code)
    figures = {name: points(one, definition.decimals) for name, one in (outcome.figures or {}).items()}
    return Problem(code, outcome.reason or "The book does not allow this.", figures=figures or None)


def _amount(asked: TransactionAsked, definition: Definition) -> int:
    try:
        return smallest(asked.amount, definition.decimals)
    except ValueError as error:
        raise _at_fault("amount", str(error)) from error


def _happened(call: Call, asked: TransactionAsked) -> int:
    if asked.occurred_at is not None and asked.occurred_at > call.now + CLOCKS_DIFFER_MS:
        raise _at_fault("occurred_at", "it is in the future")
    return call.now if asked.occurred_at is None else asked.occurred_at


def _points_end(call: Call, asked: TransactionAsked) -> int | None:
    if asked.points_expire_at is not None:
        if asked.type != "credit":
            raise _at_fault("points_expire_at", "only credited points end")
        if asked.points_expire_at <= call.now:
            raise _at_fault("points_expire_at", "it has passed already")
    return asked.points_expire_at


def _at_fault(field: str, what: str) -> Problem:
    sentence = f"{what[:1].upper()}{what[1:]}."
    return Problem(
        "request_invalid", f"The body cannot be used; see errors: {field}.", errors=((field, sentence),)
    )


def _once(call: Call) -> Once | None:
    repeat = call.repeat
    return None if repeat is None else Once(key=repeat.key, request=repeat.request, ends_at=repeat.expires_at)


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
            "points; past its `ttl` it has expired. Too few points are 422 `insufficient_balance`, with figures."
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
        body=Ended,
        keeps=True,
        looked_up="state=pending&",
        text="Credited points become usable, held points are spent. One that has ended already is 409.",
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
)
