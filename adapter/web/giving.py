"""Points from one member to another, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from adapter import ids
from adapter.clock import iso
from adapter.commands import TransferPoints
from adapter.errors import NotFound
from adapter.points import points, smallest
from adapter.store.reading.balances import choose_definition
from adapter.store.reading.members import find_member
from adapter.store.reading.snapshot import snapshot
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.queries import Reference
from adapter.web.routing import Access, Call, Given, Repeated, Route, Shown
from adapter.web.shown import Instant, MemberId, Points, TransactionId


class TransferAsked(Given):
    """Points that one member gives to another."""

    from_: Reference = Field(alias="from", description="`mem_…`, `source:customer` or an e-mail address.")
    to: Reference = Field(description="Who gets them; named alike.")
    amount: int | str = Field(
        description='Above zero; text such as `"12.50"` where the balance has decimals.'
    )
    program: Reference | None = Field(None, description="A program's name; needed where there are several.")
    balance_definition: Reference | None = Field(None, description="Needed where a program has several.")
    reason: Annotated[str, Field(max_length=500)] | None = None


class TransferShown(Shown):
    """Points that one member gave to another: a debit and a credit, completed in one commit."""

    from_: MemberId = Field(alias="from")
    to: MemberId
    program: str
    balance_definition: str
    amount: Points
    reason: str | None
    debit: TransactionId
    credit: TransactionId
    created_at: Instant


def transfer_points(call: Call) -> dict[str, Any] | Repeated:
    """Transfer points."""
    asked: TransferAsked = call.body
    with snapshot(call.parts.engine) as connection:
        people = []
        for field, reference in (("from", asked.from_), ("to", asked.to)):
            try:
                people.append(find_member(connection, call.env, reference).id)
            except NotFound as error:
                raise NotFound(error.message, code=error.code, field=field) from error
        definition = choose_definition(
            connection,
            call.catalog,
            call.env,
            people[0],
            program=asked.program,
            name=asked.balance_definition,
        )
    try:
        amount = smallest(asked.amount, definition.decimals)
    except ValueError as error:
        raise at_fault("amount", str(error)) from error
    command = TransferPoints(
        env=call.env,
        id=ids.new_id(call.now),
        credit=ids.new_id(call.now),
        member=people[0],
        to=people[1],
        definition=definition.id,
        amount=amount,
        reason=asked.reason,
        received_at=call.now,
        once=once_of(call),
    )
    return ask(call, command, lambda row: _view(call, row), decimals=definition.decimals)


def _view(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    debit, credit = row["debit"], row["credit"]
    definition = call.definition(debit["definition"])
    return {
        "from": ids.show("mem", debit["member"]),
        "to": ids.show("mem", credit["member"]),
        "program": definition.program,
        "balance_definition": definition.name,
        "amount": points(debit["amount"], definition.decimals),
        "reason": debit["reason"],
        "debit": ids.show("txn", debit["id"]),
        "credit": ids.show("txn", credit["id"]),
        "created_at": iso(debit["created_at"]),
    }


ROUTES = (
    Route(
        "POST",
        "/v1/transfers",
        transfer_points,
        "transactions:write",
        "Transfer points to another member",
        TransferShown,
        "Transactions",
        access=Access.DOOR,
        body=TransferAsked,
        status=201,
        keeps=True,
        text=(
            "The giver's points go in the order of their use and keep their ends; a debt of the receiver's is repaid "
            "first. Nobody earns anything by it: both lifetime sums stay as they are. Too few points are 422 "
            "`insufficient_balance`, with figures; to oneself is 422 `same_member`."
        ),
        example={"from": "shop:7000", "to": "shop:7001", "amount": 5, "reason": "a present"},
    ),
)
