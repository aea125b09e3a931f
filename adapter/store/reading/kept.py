"""What is no longer kept: since when retention has been removing, how much it removed, and how that is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from adapter import ids
from adapter.clock import iso
from adapter.errors import Conflict, Gone
from adapter.store import tables as t

if TYPE_CHECKING:
    from sqlalchemy import Table

    from adapter.clock import Millis


def removed_until(connection: Connection, table: Table) -> dict[int, Millis]:
    """Return the instant, by environment, before which rows of a table may have been removed."""
    r = t.removals.c
    rows = connection.execute(select(r.env, r.until).where(r.name == table.name))
    return {row.env: row.until for row in rows}


def removed_rows(connection: Connection) -> dict[tuple[int, str], int]:
    """Return how many rows were removed ever, by environment and table."""
    r = t.removals.c
    return {
        (env, name): removed for env, name, removed in connection.execute(select(r.env, r.name, r.removed))
    }


def check_kept(connection: Connection, env: int, table: Table, shown: str) -> None:
    """Raise `Gone` where what has this id is so old that it may have been removed; for what was not found."""
    number = ids.read(shown.partition("_")[0], shown)
    until = removed_until(connection, table).get(env, 0)
    if number is not None and ids.made_at(number) < until:
        raise Gone(
            f"{shown} is not kept any more, if it ever was: {table.name} from before {iso(until)} were removed"
        )


def require_bytes(connection: Connection, env: int | None = None) -> None:
    """Raise `Conflict` where events were emptied: what they said cannot be read again. None: of any environment."""
    r = t.removals.c
    query = select(func.sum(r.removed)).where(r.name == t.events.name)
    emptied = connection.execute(query if env is None else query.where(r.env == env)).scalar_one()
    if emptied:
        raise Conflict(
            f"the headers and bodies of {emptied} events were removed (retention.events_days), so the stored events give no"
            " whole book any more; `loyalty-adapter audit` proves it from its own rows",
            code="events_emptied",
        )
