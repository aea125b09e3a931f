"""Within which bounds the API's credits and debits keep a balance, and what becomes of those that do not fit.

Asked for, such a transaction is refused. Begun already, it is rejected when it is to be completed: its points go back,
and it says why. What orders earn and what redemptions spend is not bounded: it must not depend on what came first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.book.state import Account
from adapter.book.transfers import move
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from adapter.book.phases import Parts
    from adapter.book.state import Balance, Transaction
    from adapter.book.transfers import Change
    from adapter.book.working import WorkingSet


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one balance definition in smallest units; None where there is none."""

    least: int | None
    most: int | None
    most_credited: int | None
    most_debited: int | None
    partial: bool
    retired: bool = False


UNBOUNDED = Bounds(None, None, None, None, partial=False)


def bounds_of(work: WorkingSet, env: int, definition: int) -> Bounds:
    """Return the bounds that the program sets now."""
    name = work.catalog.definitions[env, definition].name
    one = work.program_of(env, definition).balance(name)
    if one is None:
        return UNBOUNDED
    return Bounds(
        one.smallest("min_amount"),
        one.smallest("max_amount"),
        one.smallest("max_credit"),
        one.smallest("max_debit"),
        partial=one.overtaking == "partial",
        retired=one.retired,
    )


def fitting(bounds: Bounds, balance: Balance, kind: str, amount: int) -> int | Outcome:
    """Return how much of a new credit or debit is booked, or why none of it is."""
    if bounds.retired:
        return Outcome(
            error="definition_retired", reason="This balance is retired: nothing is booked on it any more."
        )
    most = bounds.most_credited if kind == "credit" else bounds.most_debited
    if most is not None and amount > most:
        why = f"It is more than one {kind} may be: ask for less, or in several."
        return Outcome(error=f"over_max_{kind}", reason=why, figures={"requested": amount, "limit": most})
    if kind == "debit":
        return _debited(bounds, balance.available, amount) or amount
    return _credited(bounds, balance.held + balance.pending, amount)


def held_to(
    work: WorkingSet, change: Change, transaction: Transaction, parts: Parts
) -> tuple[Parts, Outcome | None]:
    """Return what of a pending transaction is completed, and why it has to be rejected, if it has.

    Of a credit that only partly has room the rest is taken back here.
    """
    bounds, balance = bounds_of(work, transaction.env, transaction.definition), change.balance
    if transaction.kind == "debit":
        left = balance.available + balance.reserved
        return parts, _debited(bounds, left, transaction.amount)
    found = _credited(bounds, balance.held + balance.pending - transaction.amount, transaction.amount)
    if isinstance(found, Outcome):
        return parts, found
    ((lot, amount),) = parts
    if found < amount:
        route = (Account.PENDING, Account.REVOKED)
        move(change, route, [(lot, amount - found)], kind="cancel", transaction=transaction.id)
        transaction.amount = found
    return [(lot, found)], None


def _debited(bounds: Bounds, held: int, amount: int) -> Outcome | None:
    if bounds.least is None or held - amount >= bounds.least:
        return None
    why = "It would leave less than has to stay on the balance."
    figures: dict[str, int | str] = {"requested": amount, "available": held, "limit": bounds.least}
    return Outcome(error="below_min_balance", reason=why, figures=figures)


def _credited(bounds: Bounds, held: int, amount: int) -> int | Outcome:
    if bounds.most is None or held + amount <= bounds.most:
        return amount
    room = max(bounds.most - held, 0)
    if room and bounds.partial:
        return room
    why = "It would make the balance more than a member may have, with what is pending."
    return Outcome(
        error="over_max_balance",
        reason=why,
        figures={"requested": amount, "room": room, "limit": bounds.most},
    )
