"""Vouchers, as they stand now: one that is past its end has expired, whether or not the sweep has come by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from adapter.book.voucher import Voucher, VoucherState
from adapter.store import tables as t
from adapter.store.reading.paging import Page, equal, newest_first, page_of, within
from adapter.store.rows import VOUCHER_COLUMNS, columns_of

if TYPE_CHECKING:
    from adapter.clock import Millis

VOUCHERS_MOST = 1000
"""More than any member has at a time; what is older is found by lists and by its code."""

_COLUMNS = columns_of(t.vouchers, VOUCHER_COLUMNS)


@dataclass(frozen=True, slots=True)
class VoucherFilter:
    """What a list of vouchers is narrowed by; instants compare with when it was attributed."""

    member: int | None = None
    state: str | None = None
    code: str | None = None
    rule: str | None = None
    since: Millis | None = None
    until: Millis | None = None


def find_voucher(connection: Connection, env: int, number: int) -> Voucher | None:
    """Return one voucher of this environment."""
    columns = t.vouchers.c
    row = connection.execute(select(*_COLUMNS).where(columns.env == env, columns.id == number)).one_or_none()
    return None if row is None else Voucher(*row)


def find_held(connection: Connection, env: int, hold: int) -> Voucher | None:
    """Return the voucher that was held last under this id."""
    columns = t.vouchers.c
    row = connection.execute(select(*_COLUMNS).where(columns.env == env, columns.hold == hold)).one_or_none()
    return None if row is None else Voucher(*row)


def find_code(connection: Connection, env: int, code: str) -> Voucher | None:
    """Return the voucher with this code, in letters of either case."""
    columns = t.vouchers.c
    query = select(*_COLUMNS).where(columns.env == env, columns.code == code.upper())
    row = connection.execute(query).one_or_none()
    return None if row is None else Voucher(*row)


def vouchers_of(connection: Connection, whose: tuple[int, int], program: str) -> list[Voucher]:
    """Return the newest vouchers that a member (env, member) has of a program."""
    columns = t.vouchers.c
    query = select(*_COLUMNS).where(columns.env == whose[0], columns.member == whose[1])
    rows = connection.execute(query.order_by(columns.id.desc()).limit(VOUCHERS_MOST))
    return [voucher for row in rows if (voucher := Voucher(*row)).program == program]


def list_vouchers(
    connection: Connection,
    env: int,
    chosen: VoucherFilter,
    *,
    now: Millis,
    limit: int,
    cursor: str | None = None,
) -> Page[Voucher]:
    """Return a page of vouchers, newest first."""
    columns = t.vouchers.c
    query = newest_first(_COLUMNS, t.vouchers, env, limit, cursor)
    code = None if chosen.code is None else chosen.code.upper()
    query = equal(
        query,
        (columns.member, chosen.member),
        (columns.code, code),
        (columns.rule, chosen.rule),
    )
    if chosen.state is not None:
        query = query.where(_stands(chosen.state, now))
    query = within(query, columns.attributed_at, chosen.since, chosen.until)
    return page_of([Voucher(*row) for row in connection.execute(query)], limit, lambda row: (row.id,))


def _stands(state: str, now: Millis) -> ColumnElement[Any]:
    columns = t.vouchers.c
    active = columns.state == VoucherState.ACTIVE
    if state == VoucherState.ACTIVE:
        return and_(active, or_(columns.expires_at.is_(None), columns.expires_at > now))
    if state == VoucherState.EXPIRED:
        return or_(columns.state == state, and_(active, columns.expires_at <= now))
    return columns.state == state
