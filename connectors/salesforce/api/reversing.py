"""Reversals: a redemption gives its points back to the lots they came from, an accrual gives its points up. Each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.book.state import Redemption, Transaction
from adapter.store.reading.redemptions import find_redemption
from adapter.store.reading.transactions import find_transaction, last_of_redemption
from adapter.web.asking import ask, at_fault
from adapter.web.auth import require_scope
from adapter.web.booking import ending, undoing
from adapter.web.errors import Problem
from adapter.web.redeeming import moving
from connectors.salesforce.api.journals import transaction_view
from connectors.salesforce.api.meant import called, reading

if TYPE_CHECKING:
    from adapter.web.routing import Call, Repeated


def reverse(
    call: Call, shown: str, *, field: str, reason: str | None = None, only: str | None = None
) -> dict[str, Any] | Repeated:
    """Undo what has this id, and show what undid it; `only` an Accrual, or only a Redemption, where it says so.

    Raises `Problem` for an id that is not there, of the other kind, or undone already.
    """
    found = _found(call, shown, field)
    kind = "Accrual" if isinstance(found, Transaction) and found.kind == "credit" else "Redemption"
    if only not in (None, kind):
        raise at_fault(field, f"{shown} is of the journal type {kind}")
    if isinstance(found, Redemption):
        return _redemption(call, found, reason)
    if found.state == "completed":
        command = undoing(call, found, reason=reason)
        return ask(call, command, lambda row: _view(call, Transaction(**row), shown))
    return ask(
        call,
        ending(call, found, "cancelled", reason=reason),
        lambda row: _view(call, Transaction(**row), shown),
    )


def _found(call: Call, shown: str, field: str) -> Redemption | Transaction:
    """Return the redemption or the transaction of an id; that of a redemption is the redemption."""
    redemption, number = ids.read("rdm", shown), ids.read("txn", shown)
    found: Redemption | Transaction | None = None
    with reading(call) as connection:
        if number is not None:
            found = find_transaction(connection, call.env, number)
            redemption = None if found is None else found.redemption
        if redemption is not None:
            found = find_redemption(connection, call.env, redemption)
    if found is None:
        why = f"There is no transaction or redemption {shown[:64]!r} here."
        raise Problem("not_found", why, errors=((field, why),))
    return found


def _redemption(call: Call, found: Redemption, reason: str | None) -> dict[str, Any] | Repeated:
    require_scope(call.key, "redemptions:write")
    command = moving(call, found, "reversed", reason=reason, force=True)

    def view(row: dict[str, Any]) -> dict[str, Any]:
        with reading(call) as connection:
            back = last_of_redemption(connection, call.env, row["id"])
        return _view(call, back, ids.show("rdm", row["id"]))

    return ask(call, command, view, decimals=call.definition(found.definition).decimals)


def _view(call: Call, undid: Transaction, original: str) -> dict[str, Any]:
    """Return what undid something. A hold that was let go is undone by its own end."""
    member = called(call, undid.member)
    return transaction_view(call, undid, member, at=undid.updated_at, original=original)
