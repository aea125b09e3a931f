"""Credit had for points: it lands in another balance definition of the program, and is taken back from there.

What was used of it already is owed, or waived, as the program says of every clawback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.lots import land, take
from adapter.book.posting import finish, points_end
from adapter.book.redemptions import all_lots, own_transaction
from adapter.book.state import Account, Lot
from adapter.book.transfers import move

if TYPE_CHECKING:
    from adapter.book.state import Redemption
    from adapter.book.transfers import Cause, Change
    from adapter.book.working import WorkingSet


def grant(work: WorkingSet, redemption: Redemption, cause: Cause) -> None:
    """Credit a redemption's value."""
    change = _change(work, redemption, cause)
    key, amount = change.balance.key, redemption.value or 0
    lot = Lot(*key, work.new_id(), None, None, work.now, expires_at=points_end(work, key))
    transaction = own_transaction(work, change, redemption, "credit", amount)
    land(change, lot, amount, origin=Account.ISSUED, transaction=transaction.id)
    work.keep_lots(change, [lot])
    finish(work, change)


def take_grant_back(work: WorkingSet, redemption: Redemption, cause: Cause) -> list[str]:
    """Take a credited value back; return what has to be said of it. Raises `NeedsLots` where lots are not loaded."""
    change = _change(work, redemption, cause)
    amount = redemption.value or 0
    parts = take(all_lots(work, change), amount)
    short = amount - sum(part for _, part in parts)
    program = work.catalog.version_at(redemption.env, redemption.program, redemption.created_at).program
    owed = 0 if program.clawback.shortfall == "waived" else short
    if amount - short + owed:
        transaction = own_transaction(work, change, redemption, "debit", amount - short + owed)
        for route, moved in (
            ((Account.AVAILABLE, Account.REVOKED), parts),
            ((Account.OWED, Account.REVOKED), [(None, owed)] if owed else []),
        ):
            move(change, route, moved, kind="reverse", transaction=transaction.id)
    work.keep_lots(change, [lot for lot, _ in parts])
    finish(work, change)
    became = "is owed" if owed else "is waived"
    return [f"Some of the credit was used already; what was used {became}."] if short else []


def _change(work: WorkingSet, redemption: Redemption, cause: Cause) -> Change:
    assert redemption.credited is not None
    return work.change((redemption.env, redemption.member, redemption.credited), cause)
