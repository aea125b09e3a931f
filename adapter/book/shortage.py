"""Why there are too few points: not yet posted, held, owed, run out, or spent already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adapter.book.state import Account
from adapter.clock import iso
from adapter.points import points

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.book.state import Transfer
    from adapter.clock import Millis
    from adapter.outcome import Outcome

RECENT_MS = 90 * 86_400_000
RECENT_CHANGES = 100
"""Recent is what happened in the last 90 days, among the last hundred changes of the balance: however long a history
is, telling why costs the same."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a balance's recent past and next future say. Amounts are in smallest units."""

    expired: int = 0
    expired_at: Millis | None = None  # the last time
    redeemed: int = 0
    redeemed_at: Millis | None = None  # the last time
    posts: int = 0
    posts_at: Millis | None = None  # the next time that pending points post by time alone


def past_of(transfers: Iterable[Transfer], posts: tuple[Millis, int] | None) -> Past:
    """Sum up recent transfers; points that came back count as neither run out nor spent."""
    sums = {Account.EXPIRED: 0, Account.REDEEMED: 0}
    last: dict[str, Millis] = {}
    for one in transfers:
        if one.to_account in sums:
            sums[Account(one.to_account)] += one.amount
            last[one.to_account] = max(one.posted_at, last.get(one.to_account, 0))
        elif one.from_account in sums:
            sums[Account(one.from_account)] -= one.amount
    at, amount = posts or (None, 0)
    return Past(
        max(sums[Account.EXPIRED], 0),
        last.get(Account.EXPIRED),
        max(sums[Account.REDEEMED], 0),
        last.get(Account.REDEEMED),
        amount,
        at,
    )


def explained(outcome: Outcome, past: Past, decimals: int) -> Outcome:
    """Return an `insufficient_balance` that also says what became of the points that are missing."""
    told: dict[str, int] = {
        name: one for name, one in (outcome.figures or {}).items() if isinstance(one, int)
    }
    figures = {**told, "expired": past.expired, "redeemed": past.redeemed}

    def shown(amount: int) -> str:
        return str(points(amount, decimals))

    clauses = [
        f"{shown(told['available'])} are available, {shown(told['requested'] - told['available'])} too few"
    ]
    if told["pending"]:
        when = (
            ""
            if past.posts_at is None
            else f", of which the next {shown(past.posts)} post at {iso(past.posts_at)}"
        )
        clauses.append(f"{shown(told['pending'])} are pending{when}")
    clauses += [
        f"{shown(told[name])} are {word}"
        for name, word in (("reserved", "held"), ("owed", "owed"))
        if told[name]
    ]
    for word, amount, at in (
        ("expired", past.expired, past.expired_at),
        ("were redeemed", past.redeemed, past.redeemed_at),
    ):
        if amount and at is not None:
            clauses.append(f"{shown(amount)} {word} lately, the last at {iso(at)}")
    return msgspec.structs.replace(outcome, reason="; ".join(clauses) + ".", figures=figures)
