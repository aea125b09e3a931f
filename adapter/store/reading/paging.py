"""Pages by key: newest first, and stable while new rows come in.

A cursor says after which row a page begins. It is opaque to callers and means nothing outside its list.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson
from sqlalchemy import ColumnElement, Select, Table, select

from adapter.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from adapter.clock import Millis

Item = TypeVar("Item")
Seen = TypeVar("Seen")


class CursorInvalid(Refused):
    """The cursor is not one that this list gave."""

    code = "cursor_invalid"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some rows of a list, and where the next page begins, if there is one."""

    rows: tuple[Item, ...]
    next_cursor: str | None

    def view(self, show: Callable[[Item], dict[str, Any]]) -> dict[str, Any]:
        """Return the page as it is answered."""
        return {"data": [show(row) for row in self.rows], "next_cursor": self.next_cursor}


def encode_cursor(*place: Any) -> str:
    """Write the place after which the next page begins."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).rstrip(b"=").decode()


def decode_place(cursor: str) -> Any:
    """Read what a cursor holds, whatever it is. Raises `CursorInvalid` where nothing was written by us."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return orjson.loads(base64.urlsafe_b64decode(padded))
    except (UnicodeEncodeError, binascii.Error, orjson.JSONDecodeError) as error:
        raise CursorInvalid("Use the next_cursor of the page before, unchanged.", field="cursor") from error


def decode_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """Read a place back; `kinds` are the types of its parts. Raises `CursorInvalid`."""
    place = decode_place(cursor)
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds) or not _in_range(place):
        raise CursorInvalid("This cursor belongs to another list.", field="cursor")
    return tuple(place)


def _in_range(place: list[Any]) -> bool:
    return all(not isinstance(part, int) or 0 <= part < 1 << 63 for part in place)


def newest_first(
    columns: Iterable[ColumnElement[Any]], table: Table, env: int, limit: int, cursor: str | None
) -> Select[Any]:
    """Return the query of a page of an environment's rows by their ids, the newest first, with one more than `limit`.

    Raises `CursorInvalid`.
    """
    of_env = select(*columns).where(table.c.env == env)
    query = of_env.order_by(table.c.id.desc()).limit(limit + 1)
    return query if cursor is None else query.where(table.c.id < decode_cursor(cursor, int)[0])


def equal(query: Select[Any], *wanted: tuple[ColumnElement[Any], object]) -> Select[Any]:
    """Narrow a query to the rows whose columns have these values; None leaves a column alone."""
    return query.where(*(column == value for column, value in wanted if value is not None))


def within(
    query: Select[Any], column: ColumnElement[Any], since: Millis | None, until: Millis | None
) -> Select[Any]:
    """Narrow a query to a period: from `since` on, and before `until`."""
    if since is not None:
        query = query.where(column >= since)
    return query if until is None else query.where(column < until)


def page_of(rows: Sequence[Item], limit: int, place: Callable[[Item], tuple[int | str, ...]]) -> Page[Item]:
    """Return a page of `limit` from rows that were read with one more than that."""
    kept = tuple(rows[:limit])
    return Page(kept, encode_cursor(*place(kept[-1])) if len(rows) > limit else None)
