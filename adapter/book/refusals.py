"""What every decision about a member's points may refuse, in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter import ids
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from adapter.book.state import Balance
    from adapter.book.working import WorkingSet


def member_refusal(work: WorkingSet, env: int, number: int) -> Outcome | None:
    """Return why nothing can be booked for a member, None where it can."""
    member = work.members.get((env, number))
    if member is None:
        return Outcome(error="member_unknown", reason="There is no such member.")
    if member.merged_into is not None:
        return moved_on(member.merged_into)
    if member.state != "active":
        return Outcome(
            error="member_deleted", reason="The member was deleted; nothing can be booked any more."
        )
    return None


def moved_on(survivor: int) -> Outcome:
    """Refuse what names a member who was merged into another one meanwhile."""
    name = ids.show("mem", survivor)
    return Outcome(
        error="member_merged", reason=f"The member was merged into {name}; ask again, or for that one."
    )


def program_refusal(work: WorkingSet, env: int, definition: int, *, spends: bool = False) -> Outcome | None:
    """Return why its program books nothing now, or None. What spends points may go on for a while after its end."""
    program = work.program_of(env, definition)
    state = program.state_at(work.now)
    if state == "published" or (spends and program.spends_at(work.now)):
        return None
    name = program.name
    if state == "paused":
        return Outcome(error="program_paused", reason=f"The program {name!r} is paused.")
    if state == "ended":
        return Outcome(error="program_ended", reason=f"The program {name!r} has ended.")
    begins = "" if program.starts is None else f"; it begins on {program.starts}"
    return Outcome(
        error="program_not_published", reason=f"The program {name!r} is not published yet{begins}."
    )


def insufficient(balance: Balance, requested: int) -> Outcome:
    """Refuse to take more than is available, with the figures that it depends on; `shortage.py` says why."""
    short = requested - balance.available
    figures: dict[str, int | str] = {
        "requested": requested,
        "available": balance.available,
        "pending": balance.pending,
        "reserved": balance.reserved,
        "owed": balance.owed,
    }
    return Outcome(
        error="insufficient_balance",
        reason=f"{balance.available} are available, {short} too few.",
        figures=figures,
    )
