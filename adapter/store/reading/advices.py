"""Fraud advice of members: the one that is outstanding, and those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from adapter.book.state import Advice
from adapter.store import tables as t
from adapter.store.reading.paging import Page, decode_cursor, page_of
from adapter.store.rows import ADVICE_COLUMNS, columns_of

if TYPE_CHECKING:
    from sqlalchemy import Select

_COLUMNS = columns_of(t.advices, ADVICE_COLUMNS)


def outstanding_advice(connection: Connection, env: int, member: int) -> str | None:
    """Return the advice that is outstanding for a member."""
    row = connection.execute(_newest_first(env, member).limit(1)).one_or_none()
    return None if row is None or row.cleared_at is not None else str(row.advice)


def list_advices(
    connection: Connection, env: int, member: int, *, limit: int, cursor: str | None
) -> Page[Advice]:
    """Return a page of a member's advice, newest first."""
    query = _newest_first(env, member).limit(limit + 1)
    if cursor is not None:
        query = query.where(t.advices.c.number < decode_cursor(cursor, int)[0])
    rows = [Advice(*row) for row in connection.execute(query)]
    return page_of(rows, limit, lambda one: (one.number,))


def _newest_first(env: int, member: int) -> Select[Any]:
    advices = t.advices.c
    query = select(*_COLUMNS).where(advices.env == env, advices.member == member)
    return query.order_by(advices.number.desc())
