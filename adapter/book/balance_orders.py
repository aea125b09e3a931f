"""Balance orders: a business order's credit or debit, planned for an instant, as one unit with its transaction.

The order keeps what was asked for; whether it waits, was processed, cancelled or has expired is its transaction's state,
so the two can never disagree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.rows import row_of
from adapter.book.state import BalanceOrder
from adapter.book.transacting import begin_transaction
from adapter.commands import BeginTransaction
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from adapter.book.working import WorkingSet
    from adapter.commands import PlaceOrder


def place_order(work: WorkingSet, command: PlaceOrder, event: int) -> Outcome:
    """Place an order and begin its transaction. Raises `NeedsLots` where a debit must see lots that are not loaded."""
    by_itself = work.program_of(command.env, command.definition).auto_process_due_orders
    asked = BeginTransaction(
        env=command.env,
        id=command.transaction,
        member=command.member,
        definition=command.definition,
        kind="credit" if command.amount > 0 else "debit",
        amount=abs(command.amount),
        complete=False,
        occurred_at=command.received_at,
        received_at=command.received_at,
        deadline=command.deadline,
        completes_at=command.due_at if by_itself else None,
        metadata=command.metadata,
    )
    outcome = begin_transaction(work, asked, event)
    if outcome.error is not None:
        return outcome
    order = BalanceOrder(
        command.env,
        command.id,
        command.member,
        command.definition,
        command.transaction,
        command.amount,
        command.source,
        command.due_at,
        work.now,
    )
    work.placed.append(order)
    row = {"order": row_of(order), "transaction": outcome.row}
    return Outcome(event=event, state=outcome.state, row=row)
