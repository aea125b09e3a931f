"""Redemptions, as of now: one whose deadline has passed is read as expired, whether or not that is written yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, and_, not_, or_

from adapter.book.state import Redemption, RedemptionState
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.reading.paging import Page, equal, newest_first, page_of, within
from adapter.store.rows import REDEMPTION_COLUMNS, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.clock import Millis

_COLUMNS = columns_of(t.redemptions, REDEMPTION_COLUMNS)


@dataclass(frozen=True, slots=True)
class RedemptionFilter:
    """What a list of redemptions is narrowed by; instants compare with when it was begun."""

    member: int | None = None
    state: str | None = None
    kind: str | None = None
    code: str | None = None
    reward: str | None = None
    source: str | None = None  # with `order`: of that order
    order: str | None = None
    since: Millis | None = None
    until: Millis | None = None
    flagged: bool | None = None  # and no person has looked at it
    states: tuple[str, ...] = ()  # any of these


def find_redemption(connection: Connection, env: int, number: int) -> Redemption | None:
    """Return one redemption of this environment."""
    return find_redemptions(connection, [(env, number)]).get((env, number))


def find_redemptions(
    connection: Connection, keys: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Redemption]:
    """Return redemptions by (env, id), as many of these as there are."""
    rows = select_by_keys(connection, t.redemptions, ("env", "id"), keys, columns=REDEMPTION_COLUMNS)
    found = [Redemption(*row) for row in rows]
    return {(one.env, one.id): one for one in found}


def list_redemptions(
    connection: Connection,
    env: int,
    chosen: RedemptionFilter,
    *,
    now: Millis,
    limit: int,
    cursor: str | None = None,
) -> Page[Redemption]:
    """Return a page of redemptions, newest first."""
    columns = t.redemptions.c
    query = newest_first(_COLUMNS, t.redemptions, env, limit, cursor)
    query = equal(
        query,
        (columns.member, chosen.member),
        (columns.kind, chosen.kind),
        (columns.code, None if chosen.code is None else chosen.code.strip().upper()),
        (columns.reward, chosen.reward),
        (columns.order_source, chosen.source),
        (columns.order_ref, chosen.order),
    )
    if chosen.state is not None:
        query = query.where(_stands(chosen.state, now))
    if chosen.states:
        query = query.where(or_(*(_stands(state, now) for state in chosen.states)))
    if chosen.flagged is not None:
        open_flag = and_(columns.flagged.is_not(None), columns.flag_cleared_at.is_(None))
        query = query.where(open_flag if chosen.flagged else not_(open_flag))
    query = within(query, columns.created_at, chosen.since, chosen.until)
    return page_of([Redemption(*row) for row in connection.execute(query)], limit, lambda row: (row.id,))


def _stands(state: str, now: Millis) -> ColumnElement[bool]:
    columns = t.redemptions.c
    over = and_(columns.state == RedemptionState.PENDING, columns.expires_at <= now)
    if state == RedemptionState.EXPIRED:
        return or_(columns.state == state, over)
    return (
        and_(columns.state == state, not_(over))
        if state == RedemptionState.PENDING
        else columns.state == state
    )
