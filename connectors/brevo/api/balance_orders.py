"""Balance orders: what a purchase credits, tracked by itself; its transaction is completed or cancelled for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from adapter import ids as our_ids
from adapter.book.state import BalanceOrder, Transaction
from adapter.clock import iso
from adapter.commands import PlaceOrder
from adapter.points import points
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.dialects import Answered, Asked, looking, view_of
from adapter.web.queries import Instant
from adapter.web.routing import Access, Repeated, Route
from adapter.web.transactions import as_of_now
from connectors.brevo import ids
from connectors.brevo.api.contacts import contact_shown, subscribed
from connectors.brevo.api.ids import definition_in, program_in
from connectors.brevo.api.transaction import Meta, instant, meta_shown
from connectors.brevo.api.transactions import PATH, Amount, ContactId, amount_of, meta_of
from connectors.brevo.messages import number

if TYPE_CHECKING:
    from adapter.catalog import Definition
    from adapter.web.routing import Call


class OrderAsked(Asked):
    """A balance order to create."""

    contact_id: ContactId
    balance_definition_id: str
    amount: Amount
    source: Literal["engine", "user"]
    due_at: Instant
    expires_at: Instant | None = None
    meta: Meta = None


class OrderShown(Answered):
    """A balance order, with the id of its transaction in Brevo's own spelling."""

    id: str
    transactionid: str
    contact_id: int | None
    loyalty_program_id: str
    balance_definition_id: str
    amount: float
    source: Literal["engine", "user"]
    due_at: str
    expires_at: str | None
    processed_at: str | None
    created_at: str
    updated_at: str
    meta: Meta


def create_order(call: Call) -> dict[str, Any] | Repeated:
    """Create a balance order."""
    asked: OrderAsked = call.body
    with looking(call) as here:
        definition = definition_in(here, program_in(here), asked.balance_definition_id)
        member = subscribed(here, asked.contact_id, None)
    if asked.expires_at is not None and asked.expires_at <= call.now:
        raise at_fault("expiresAt", "it has passed already")
    command = PlaceOrder(
        env=call.env,
        id=our_ids.new_id(call.now),
        transaction=our_ids.new_id(call.now),
        member=member.id,
        definition=definition.id,
        amount=amount_of(call, asked.amount, definition),
        source=asked.source,
        due_at=asked.due_at,
        deadline=asked.expires_at,
        received_at=call.now,
        metadata=meta_of(asked.meta),
        once=once_of(call),
    )
    contact = contact_shown(call, member.source_ids)

    def view(row: dict[str, Any]) -> dict[str, Any]:
        return _shown(
            call, (BalanceOrder(**row["order"]), Transaction(**row["transaction"])), definition, contact
        )

    return ask(call, command, view, decimals=definition.decimals)


def _shown(
    call: Call, found: tuple[BalanceOrder, Transaction], definition: Definition, contact: int | None
) -> dict[str, Any]:
    placed, transaction = found[0], as_of_now(found[1], call.now)
    return view_of(
        OrderShown(
            id=our_ids.show("ord", placed.id),
            transactionid=our_ids.show("txn", transaction.id),
            contact_id=contact,
            loyalty_program_id=ids.program_id(call.env, definition.program),
            balance_definition_id=ids.definition_id(call.env, definition.program, definition.name),
            amount=number(points(placed.amount, definition.decimals)),
            source="engine" if placed.source == "engine" else "user",
            due_at=iso(placed.due_at),
            expires_at=instant(transaction.expires_at),
            processed_at=instant(transaction.completed_at),
            created_at=iso(placed.created_at),
            updated_at=iso(transaction.updated_at),
            meta=meta_shown(transaction),
        )
    )


ROUTES = (
    Route(
        "POST",
        f"{PATH}/create-order",
        create_order,
        "transactions:write",
        "Create a balance order",
        OrderShown,
        "Balances",
        access=Access.DOOR,
        body=OrderAsked,
        keeps=True,
    ),
)
