"""Sources: the names under which shops post. A name is taken once in the whole deployment, as its URL is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, delete, exists, insert, select, update

from adapter.apply.change import Action, Change
from adapter.errors import ConfigurationError
from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapter.apply.file import SourceEntry
    from adapter.apply.target import Target


def retire(connection: Connection, target: Target, wanted: Sequence[SourceEntry]) -> Iterator[Change]:
    """Remove what is not in the file. Raises `ConfigurationError` where events came from it."""
    names = {source.name for source in wanted}
    for source in target.catalog.sources.values():
        if source.env != target.env or source.name in names:
            continue
        if _has_events(connection, target.env, source.name):
            raise ConfigurationError(
                f"{target.place}.sources: {source.name!r} has events, which are only understood through it;"
                " keep it in the file. To take nothing more in, remove the webhook at the shop",
                field=f"{target.place}.sources",
            )
        one = (t.sources.c.env == target.env, t.sources.c.name == source.name)
        connection.execute(delete(t.sources).where(*one))
        yield target.change(Action.REMOVED, "source", source.name)


def match(connection: Connection, target: Target, wanted: Sequence[SourceEntry]) -> Iterator[Change]:
    """Create what is new and update what differs. Raises `ConfigurationError` for a name that is taken."""
    for number, source in enumerate(wanted):
        yield _matched(connection, target, f"{target.place}.sources[{number}]", source)


def _matched(connection: Connection, target: Target, place: str, source: SourceEntry) -> Change:
    values = _columns(source)
    _check_program(connection, target, place, source)
    row = connection.execute(select(t.sources).where(t.sources.c.name == source.name)).first()
    if row is None:
        connection.execute(insert(t.sources).values(env=target.env, name=source.name, **values))
        return target.change(Action.CREATED, "source", source.name, f"POST /webhooks/{source.name}")
    if row.env != target.env:
        taken = f"{place}.name"
        reason = (
            "another tenant's source has this name already, and /webhooks/… has room for one; take another"
        )
        raise ConfigurationError(f"{taken}: {source.name!r}: {reason}", field=taken)
    differing = [name for name, value in values.items() if getattr(row, name) != value]
    if not differing:
        return target.change(Action.UNCHANGED, "source", source.name)
    _refuse_other_meaning(connection, target, place, (source.name, differing))
    one = update(t.sources).where(t.sources.c.env == target.env, t.sources.c.name == source.name)
    connection.execute(one.values(values))
    return target.change(Action.UPDATED, "source", source.name, ", ".join(differing))


def _columns(source: SourceEntry) -> dict[str, Any]:
    return {
        "connector": source.connector,
        "program": source.program,
        "orders_of": source.orders_of or source.name,
        "secrets": orjson.dumps(source.secrets).decode(),
        "options": orjson.dumps(source.options, default=str, option=orjson.OPT_SORT_KEYS).decode(),
    }


def _check_program(connection: Connection, target: Target, place: str, source: SourceEntry) -> None:
    """Raise where the program is neither in the file, which was published just now, nor in the database."""
    there = exists().where(t.programs.c.env == target.env, t.programs.c.name == source.program)
    if not connection.execute(select(there)).scalar_one():
        field = f"{place}.program"
        raise ConfigurationError(f"{field}: {target.where} has no program {source.program!r}", field=field)


def _refuse_other_meaning(
    connection: Connection, target: Target, place: str, changed: tuple[str, list[str]]
) -> None:
    """Raise where stored events would suddenly mean something else."""
    name, differing = changed
    for field in ("connector", "orders_of"):
        if field in differing and _has_events(connection, target.env, name):
            reason = f"{name!r} has events that were taken in under another; add a source with a new name"
            raise ConfigurationError(f"{place}.{field}: {reason}", field=f"{place}.{field}")


def _has_events(connection: Connection, env: int, source: str) -> bool:
    found = exists().where(t.events.c.env == env, t.events.c.source == source)
    return bool(connection.execute(select(found)).scalar_one())
