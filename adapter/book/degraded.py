"""Redemptions that a till granted while it could not ask, and told of later.

It may have granted up to what it last knew to be available. That is booked whatever is there now: what is available is
taken, the rest becomes owed; and each is flagged, for a person to look at and clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.redemptions import move_on, take_again
from adapter.book.rows import row_of
from adapter.book.state import RedemptionState
from adapter.outcome import Outcome
from adapter.points import points

if TYPE_CHECKING:
    from adapter.book.state import Redemption
    from adapter.book.transfers import Change
    from adapter.book.working import WorkingSet
    from adapter.commands import ClearFlag


def over_last_known(requested: int, last_known: int) -> Outcome | None:
    """Return why a till may not have granted so much, None where it may."""
    if requested <= last_known:
        return None
    why = f"The last known balance was {last_known}; a till that cannot ask grants no more than that."
    figures: dict[str, int | str] = {"requested": requested, "last_known": last_known}
    return Outcome(error="over_last_known", reason=why, figures=figures, field="last_known")


def grant(work: WorkingSet, change: Change, redemption: Redemption, last_sequence: int | None) -> None:
    """Spend its cost, of which what is not there becomes owed. Raises `NeedsLots` where lots are not loaded."""
    decimals = work.catalog.definitions[redemption.env, redemption.definition].decimals
    since = "" if last_sequence is None else f" (sequence {last_sequence}, now {change.balance.sequence})"
    owed = take_again(work, change, redemption, redemption.cost)
    missing = (
        f"; {points(owed, decimals)} of {points(redemption.cost, decimals)} were not there" if owed else ""
    )
    redemption.flagged = f"granted by the last known balance{since}{missing}"
    redemption.expires_at = redemption.locks_until = None
    redemption.decided = 1  # it was handed out: no order's facts take it back
    item = redemption.kind == "item"
    move_on(
        work, change, redemption, RedemptionState.FULFILLMENT_PENDING if item else RedemptionState.APPLIED
    )


def clear_flag(work: WorkingSet, command: ClearFlag, event: int) -> Outcome:
    """Note that a person looked at a flagged redemption."""
    redemption = work.redemptions.get(command.redemption)
    if redemption is None:
        return Outcome(error="not_found", reason="There is no such redemption.")
    if redemption.flagged is None or redemption.flag_cleared_at is not None:
        return Outcome(error="redemption_not_flagged", reason="Nobody has to look at it: it is not flagged.")
    redemption.flag_cleared_at, redemption.flag_note = work.now, command.note
    redemption.updated_at = work.now
    work.redemptions.mark(redemption.id)
    return Outcome(event=event, state="cleared", row=row_of(redemption) | {"notes": []})
