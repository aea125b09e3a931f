"""What must be true of tiers and vouchers: by the points that members earned, by their history, and by what was told."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, select

from adapter import ids
from adapter.store import tables as t
from tests.simulation.stage import TIERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.stage import Stage

FIFTY = 50
BIG_CENTS = 5_000
WORDS = {
    "voucher.attributed": "active",
    "voucher.redeemed": "redeemed",
    "voucher.revoked": "revoked",
    "voucher.expired": "expired",
}
"""What is told of a voucher that moved, by the state in which it is then."""


def standing_objections(made: Stage) -> Iterator[str]:
    """Judge where members stand, and what rules gave them."""
    if not made.has_standing:
        return
    with made.engine.connect() as connection:
        yield from _misplaced(connection, made.now)
        yield from _missing(connection)
        yield from _untold_moves(connection)
        yield from _moved_vouchers(connection)


def _alone(connection: Connection) -> set[int]:
    """Return the members who are themselves, and into whom nobody was merged."""
    c = t.members.c
    rows = connection.execute(select(c.id, c.merged_into)).all()
    merged = {one for row in rows if row.merged_into is not None for one in (row.id, row.merged_into)}
    return {row.id for row in rows} - merged


def _earned(connection: Connection) -> dict[int, int]:
    b = t.balances.c
    return {row.member: row.earned for row in connection.execute(select(b.member, b.earned))}


def _reached(earned: int) -> str:
    return [name for name, points in TIERS.items() if points <= max(earned, 0)][-1]


def _misplaced(connection: Connection, now: int) -> Iterator[str]:
    alone, earned = _alone(connection), _earned(connection)
    for row in connection.execute(select(t.standings)):
        assigned = row.assigned_until is not None and row.assigned_until > now
        right = _reached(earned.get(row.member, 0))
        if row.member in alone and not assigned and row.tier != right:
            yield f"member {row.member} earned {earned.get(row.member, 0)} and is {row.tier}, not {right}"


def _missing(connection: Connection) -> Iterator[str]:
    """Find occasions without their voucher; that no other voucher is there is audit's part."""
    alone, earned = _alone(connection), _earned(connection)
    there = {
        (row.member, row.occasion) for row in connection.execute(select(t.vouchers)) if not row.withdrawn or row.decided
    }  # fmt: skip
    due = {
        (member, f"points:{points}")
        for member, most in earned.items()
        for points in range(FIFTY, most + 1, FIFTY)
    }
    due |= {
        (row.member, "tier:status:silver")
        for row in connection.execute(select(t.standings))
        if row.tier == "silver"
    }
    due |= {
        (row.member, f"order:{row.source}:{row.ref}")
        for row in connection.execute(select(t.orders).where(t.orders.c.state == "posted"))
        if float(row.basis or 0) * 100 >= BIG_CENTS
    }
    for member, occasion in sorted(due - there):
        if member in alone:
            yield f"member {member} has no voucher for {occasion}"


def _told(connection: Connection, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    c = t.messages.c
    for row in connection.execute(select(c.type, c.body).where(c.type.like(kind))):
        yield row.type, orjson.loads(row.body)["data"]


def _untold_moves(connection: Connection) -> Iterator[str]:
    """Compare each member's tiers with the history of them, and that with what was told."""
    moves: dict[str, list[tuple[str | None, str]]] = defaultdict(list)
    order = (t.tier_changes.c.member, t.tier_changes.c.n)
    for row in connection.execute(select(t.tier_changes).order_by(*order)):
        moves[ids.show("mem", row.member)].append((row.from_tier, row.to_tier))
    told: dict[str, Counter[tuple[str | None, str]]] = defaultdict(Counter)
    for _, data in _told(connection, "tier.updated"):
        told[data["member"]][data["from"], data["to"]] += 1
    for row in connection.execute(select(t.standings)):
        member = ids.show("mem", row.member)
        went = moves[member]
        if [step[0] for step in went] != [None, *(step[1] for step in went[:-1])] or went[-1][1] != row.tier:
            yield f"member {row.member} is {row.tier} after the moves {went}"
        if told[member] != Counter(step for step in went if step[0] not in (None, step[1])):
            yield f"of member {row.member} the moves {told[member]} were told, of {went}"


def _moved_vouchers(connection: Connection) -> Iterator[str]:
    """Find vouchers of whose last move nobody was told, and such as were used after their end."""
    told = {(data["voucher"], WORDS[kind]) for kind, data in _told(connection, "voucher.%") if kind in WORDS}
    for row in connection.execute(select(t.vouchers)):
        if (ids.show("vou", row.id), row.state) not in told:
            yield f"voucher {row.code} is {row.state}, and nobody was told"
        used_at = row.redeemed_at if row.decided else None
        if used_at is not None and row.expires_at is not None and used_at >= row.expires_at:
            yield f"voucher {row.code} was used at {used_at}, and ended at {row.expires_at}"
