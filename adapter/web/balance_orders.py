"""Balance orders over HTTP: a business order's credit or debit, planned for an instant, with its transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from adapter import ids
from adapter.book.state import BalanceOrder, Transaction
from adapter.clock import iso
from adapter.commands import PlaceOrder
from adapter.points import points
from adapter.store.reading.balance_orders import OrderFilter, find_order, list_orders
from adapter.store.reading.members import find_member
from adapter.web.asking import at_fault, decision, once_of, passed, shown, unless_rejected
from adapter.web.booking import Completed, Ended, Label, Value, booked_for, ending, signed_units_of
from adapter.web.queries import Instant, Listing, Reference, Selection
from adapter.web.routing import Access, Call, Given, Repeated, Route, missing
from adapter.web.shown import BalanceOrderShown
from adapter.web.transactions import State, name_and_value, transaction_view

if TYPE_CHECKING:
    from adapter.catalog import Definition
    from adapter.clock import Millis
    from adapter.store.reading.balance_orders import Ordered

Source = Literal["engine", "user"]


class OrderAsked(Given):
    """A balance order to place."""

    member: Reference = Field(description="`mem_…`, `source:customer` or an e-mail address.")
    amount: int | str = Field(description="Not zero: above it a credit, below it a debit.")
    source: Source = Field(description="Who wants it: your system, or the member.")
    due_at: Instant = Field(
        description="When it is to be done. It only informs, unless the program completes orders that are due."
    )
    program: Reference | None = Field(None, description="A program's name; needed where there are several.")
    balance_definition: Reference | None = Field(None, description="Needed where a program has several.")
    expires_at: Instant | None = Field(
        None, description="If it is still pending then, it and its transaction have expired."
    )
    metadata: Annotated[dict[Label, Value], Field(max_length=50)] = Field(
        default_factory=dict,
        description="Names and values of your own, such as the shop's order and its total.",
    )


class OrdersQuery(Listing):
    member: Reference | None = Field(None, description="`mem_…`, `source:customer` or an e-mail address.")
    state: State | None = None
    source: Source | None = None
    metadata: Annotated[str, Field(max_length=600), AfterValidator(name_and_value)] | None = Field(
        None, description="`name:value`: only those that have this in their metadata."
    )


async def place_order(call: Call) -> dict[str, Any] | Repeated:
    """Place a balance order."""
    asked: OrderAsked = call.body
    if asked.expires_at is not None and await passed(call, asked.expires_at):
        raise at_fault("expires_at", "it has passed already")
    member, definition = await booked_for(
        call, asked.member, program=asked.program, name=asked.balance_definition
    )
    command = PlaceOrder(
        env=call.env,
        id=ids.new_id(call.now),
        transaction=ids.new_id(call.now),
        member=member,
        definition=definition.id,
        amount=_amount(call, asked.amount, definition),
        source=asked.source,
        due_at=asked.due_at,
        deadline=asked.expires_at,
        received_at=call.now,
        metadata=asked.metadata,
        once=once_of(call),
    )
    outcome, row = await decision(call, command, decimals=definition.decimals)
    placed, transaction = BalanceOrder(**row["order"]), Transaction(**row["transaction"])
    return shown(outcome, _decided(call, placed, transaction))


async def complete_order(call: Call) -> dict[str, Any] | Repeated:
    """Complete a balance order."""
    return await _end(call, "completed", immediate=call.body.immediate)


async def cancel_order(call: Call) -> dict[str, Any] | Repeated:
    """Cancel a balance order."""
    return await _end(call, "cancelled")


def orders(call: Call) -> dict[str, Any]:
    """List balance orders."""
    asked: OrdersQuery = call.query
    member = None if asked.member is None else find_member(call.database, call.env, asked.member).id
    chosen = OrderFilter(call.now, member, asked.state, asked.source, asked.metadata)
    page = list_orders(call.database, call.env, chosen, limit=asked.limit, cursor=asked.cursor)
    return page.view(lambda one: order_view(call, *one))


def order(call: Call) -> dict[str, Any]:
    """Show one balance order."""
    found = find_order(call.database, call.env, call.id("balance_order", "ord"))
    if found is None:
        raise missing("ord", call.path["balance_order"])
    return order_view(call, *found)


async def _end(call: Call, state: str, *, immediate: bool = False) -> dict[str, Any] | Repeated:
    found = await asyncio.to_thread(_found, call, call.id("balance_order", "ord"))
    if found is None:
        raise missing("ord", call.path["balance_order"])
    placed, transaction = found
    call = await call.knowing(placed.definition)
    command = ending(call, transaction, state, immediate=immediate, reason=call.body.reason)
    outcome, row = await decision(call, command, decimals=call.definition(placed.definition).decimals)
    return unless_rejected(shown(outcome, _decided(call, placed, Transaction(**row))))


def _found(call: Call, number: int) -> Ordered | None:
    with call.parts.engine.connect() as connection:
        return find_order(connection, call.env, number)


def _decided(call: Call, placed: BalanceOrder, transaction: Transaction) -> dict[str, Any]:
    """Return an order as a command left it; a repeat is answered alike after its deadline too."""
    return order_view(call, placed, transaction, at=transaction.updated_at)


def order_view(
    call: Call, placed: BalanceOrder, transaction: Transaction, at: Millis | None = None
) -> dict[str, Any]:
    """Return an order as it is shown everywhere: with the state of its transaction as of now, or `at`."""
    definition = call.definition(placed.definition)
    done = transaction_view(call, transaction, at)
    shared = ("program", "balance_definition", "state", "available_at", "reason", "metadata")
    return {
        "id": ids.show("ord", placed.id),
        "transaction": done["id"],
        "member": done["member"],
        **{name: done[name] for name in shared},
        "amount": points(placed.amount, definition.decimals),
        "source": placed.source,
        "due_at": iso(placed.due_at),
        "expires_at": done["expires_at"],
        "processed_at": done["completed_at"],
        "cancelled_at": done["cancelled_at"],
        "rejected_at": done["rejected_at"],
        "created_at": iso(placed.created_at),
        "updated_at": done["updated_at"],
    }


def _amount(call: Call, written: int | str, definition: Definition) -> int:
    """Return the amount in smallest units, below zero for a debit."""
    try:
        return signed_units_of(call, definition, written)
    except ValueError as error:
        raise at_fault("amount", str(error)) from error


ROUTES = (
    Route(
        "POST",
        "/v1/orders",
        place_order,
        "transactions:write",
        "Place a balance order",
        BalanceOrderShown,
        "Balance orders",
        access=Access.DOOR,
        body=OrderAsked,
        status=201,
        keeps=True,
        text=(
            "A business order's credit or debit, with the pending transaction that does it; the two are one, whichever "
            "is completed or cancelled. A debit holds its points until then."
        ),
        example={
            "member": "shop:7000",
            "amount": 5,
            "source": "engine",
            "due_at": "2036-01-01T00:00:00Z",
            "metadata": {"order": "789"},
        },
    ),
    Route(
        "POST",
        "/v1/orders/{balance_order}/complete",
        complete_order,
        "transactions:write",
        "Complete a balance order",
        BalanceOrderShown,
        "Balance orders",
        access=Access.DOOR,
        body=Completed,
        keeps=True,
        looked_up="state=pending&",
        text="And its transaction with it. One that has ended already is 409.",
    ),
    Route(
        "POST",
        "/v1/orders/{balance_order}/cancel",
        cancel_order,
        "transactions:write",
        "Cancel a balance order",
        BalanceOrderShown,
        "Balance orders",
        access=Access.DOOR,
        body=Ended,
        keeps=True,
        looked_up="state=pending&",
        text="And its transaction with it. One that has ended already is 409.",
    ),
    Route(
        "GET",
        "/v1/orders",
        orders,
        "transactions:read",
        "List balance orders",
        BalanceOrderShown,
        "Balance orders",
        query=OrdersQuery,
        listed=True,
        text="Newest first. What shops' orders earned is explained with their members.",
    ),
    Route(
        "GET",
        "/v1/orders/{balance_order}",
        order,
        "transactions:read",
        "Show a balance order",
        BalanceOrderShown,
        "Balance orders",
        query=Selection,
    ),
)
