"""Dialects: in which vendors' words an environment is spoken to, and what those words mean there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from adapter.apply.change import Action, Change
from adapter.errors import ConfigurationError
from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapter.apply.file import DialectEntry
    from adapter.apply.target import Target


def retire(connection: Connection, target: Target, wanted: Sequence[DialectEntry]) -> Iterator[Change]:
    """Forget what the file does not say any more; the dialect is served with its defaults from then on."""
    names = {dialect.name for dialect in wanted}
    for env, name in sorted(target.catalog.dialects):
        if env == target.env and name not in names:
            connection.execute(delete(t.dialects).where(t.dialects.c.env == env, t.dialects.c.name == name))
            yield target.change(Action.REMOVED, "dialect", name)


def match(connection: Connection, target: Target, wanted: Sequence[DialectEntry]) -> Iterator[Change]:
    """Create what is new and update what differs. Raises `ConfigurationError` for a program that is not there."""
    for number, dialect in enumerate(wanted):
        yield _matched(connection, target, f"{target.place}.dialects[{number}]", dialect)


def _matched(connection: Connection, target: Target, place: str, dialect: DialectEntry) -> Change:
    values: dict[str, Any] = {
        "program": dialect.program,
        "definition": _definition(connection, target, place, dialect),
        "customers_of": dialect.customers_of or dialect.name,
        "options": orjson.dumps(dialect.options, default=str, option=orjson.OPT_SORT_KEYS).decode(),
    }
    own = (t.dialects.c.env == target.env, t.dialects.c.name == dialect.name)
    row = connection.execute(select(t.dialects).where(*own)).first()
    if row is None:
        connection.execute(insert(t.dialects).values(env=target.env, name=dialect.name, **values))
        return target.change(Action.CREATED, "dialect", dialect.name)
    differing = [name for name, value in values.items() if getattr(row, name) != value]
    if not differing:
        return target.change(Action.UNCHANGED, "dialect", dialect.name)
    connection.execute(update(t.dialects).where(*own).values(values))
    return target.change(Action.UPDATED, "dialect", dialect.name, ", ".join(differing))


def _definition(connection: Connection, target: Target, place: str, dialect: DialectEntry) -> int:
    """Return the balance that is meant, which was published just now or long ago."""
    kept = t.definitions.c
    asked = select(kept.id, kept.name).where(kept.env == target.env, kept.program == dialect.program)
    rows = connection.execute(asked.order_by(kept.id)).all()
    if not rows:
        field = f"{place}.program"
        raise ConfigurationError(f"{field}: {target.where} has no program {dialect.program!r}", field=field)
    named = [row.id for row in rows if dialect.balance_definition in (None, row.name)]
    if not named:
        field = f"{place}.balance_definition"
        listed = ", ".join(row.name for row in rows)
        reason = f"the program keeps no {dialect.balance_definition!r}; it keeps {listed}"
        raise ConfigurationError(f"{field}: {reason}", field=field)
    return int(named[0])
