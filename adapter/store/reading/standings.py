"""The tier that a member is on, as it was written last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.program.model import Program


def tier_now(connection: Connection, program: Program, key: tuple[int, int, int]) -> str | None:
    """Return the tier of the program's first group that a member (env, member, definition) is on."""
    if not program.tier_groups:
        return None
    env, member, _ = key
    columns = t.standings.c
    whose = (columns.env == env, columns.member == member, columns.program == program.name)
    query = select(columns.tier).where(*whose, columns.tier_group == program.tier_groups[0].name)
    return connection.execute(query).scalar_one_or_none()
