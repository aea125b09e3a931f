"""The limits of a balance over time: what the API's credits and debits of a member may come to together.

What orders earn and what redemptions spend neither counts nor is bounded: it must not depend on what came first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.outcome import Outcome
from adapter.points import points

if TYPE_CHECKING:
    from adapter.book.state import Transaction
    from adapter.book.working import BalanceKey, Span, WorkingSet
    from adapter.clock import Millis
    from adapter.program.limits import Limit

COUNTED = ("pending", "completed")


def limits_of(work: WorkingSet, env: int, definition: int, kind: str) -> tuple[Limit, ...]:
    """Return the limits that the program sets on a balance's credits or debits now."""
    name = work.catalog.definitions[env, definition].name
    said = work.program_of(env, definition).balance(name)
    return () if said is None else tuple(limit for limit in said.limits if limit.of == kind)


def span_of(work: WorkingSet, key: BalanceKey, limit: Limit) -> Span:
    """Return whose transactions of which kind since when a limit counts now."""
    timezone = work.program_of(key[0], key[2]).timezone
    return (*key, limit.of, limit.since(work.now, timezone))


def counts(transaction: Transaction, span: Span, now: Millis) -> bool:
    """Return whether a limit counts a transaction."""
    *key, kind, since = span
    own = transaction.order_ref is None and transaction.redemption is None
    return (
        own
        and list(transaction.balance_key) == key
        and transaction.kind == kind
        and transaction.created_at >= since
        and transaction.state_at(now) in COUNTED
    )


def over_limit(work: WorkingSet, key: BalanceKey, kind: str, amount: int) -> Outcome | None:
    """Return why a new credit or debit of so much is more than a limit lets through; None where it fits."""
    decimals = work.catalog.definitions[key[0], key[2]].decimals
    for limit in limits_of(work, key[0], key[2], kind):
        number, total = _booked(work, span_of(work, key, limit))
        used, asked, most = (
            (number, 1, limit.most)
            if limit.counts == "transactions"
            else (total, amount, limit.most * 10**decimals)
        )
        if used + asked > most:
            return _refusal(limit, used, most, 0 if limit.counts == "transactions" else decimals)
    return None


def _booked(work: WorkingSet, span: Span) -> tuple[int, int]:
    stored, total = work.booked.get(span, (0, 0))
    known = [one.amount for one in work.transactions.values() if counts(one, span, work.now)]
    return stored + len(known), total + sum(known)


def _refusal(limit: Limit, used: int, most: int, decimals: int) -> Outcome:
    time = limit.per if limit.length == 1 else f"{limit.length} {limit.per}s"
    figures: dict[str, int | str] = {
        "limit": str(points(most, decimals)),
        "used": str(points(used, decimals)),
        "per": time,
    }
    why = f"It is more than the {limit.of}s of a {time} may come to: {figures['used']} of {figures['limit']} {limit.counts}."
    return Outcome(error="over_limit_of_balance", reason=why, figures=figures)
