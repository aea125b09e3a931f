"""Programs: a change is a new version, from now on; what was placed before keeps the version of its day.

A draft is a version too, but nothing goes by it while another one is published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select, update

from adapter.apply.change import Action, Change
from adapter.errors import ConfigurationError
from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapter.apply.target import Target
    from adapter.catalog import Definition
    from adapter.program.bounds import BalanceDefinition
    from adapter.program.model import Program


def match(connection: Connection, target: Target, wanted: Sequence[Program]) -> Iterator[Change]:
    """Publish what is new or differs. Raises `ConfigurationError` where a unit of the book would change."""
    names = {program.name for program in wanted}
    for env, name in target.catalog.programs:
        if env == target.env and name not in names:
            yield target.change(
                Action.KEPT, "program", name, "orders were placed under it; set state to paused or ended"
            )
    for number, program in enumerate(wanted):
        _match_definitions(connection, target, f"{target.place}.programs[{number}]", program)
        yield _publish(connection, target, program)


def _publish(connection: Connection, target: Target, program: Program) -> Change:
    versions = target.catalog.programs.get((target.env, program.name), ())
    if versions and versions[-1].program == program:
        return target.change(Action.UNCHANGED, "program", program.name)
    version = versions[-1].version + 1 if versions else 1
    row = {"env": target.env, "name": program.name, "version": version, "published_at": target.now}
    connection.execute(insert(t.programs).values(row | {"body": program.model_dump_json()}))
    _have_members_reviewed(connection, target, program)
    action = Action.UPDATED if versions else Action.CREATED
    told = f"version {version}, a draft" if program.state == "draft" else f"version {version}"
    return target.change(action, "program", program.name, told)


def _have_members_reviewed(connection: Connection, target: Target, program: Program) -> None:
    """Have the sweep look at where every member stands: other thresholds may bring other tiers."""
    members = t.memberships.c
    own = (members.env == target.env, members.program == program.name)
    connection.execute(update(t.memberships).where(*own).values(next_due_at=target.now))


def _match_definitions(connection: Connection, target: Target, place: str, program: Program) -> None:
    known = {
        one.name: one
        for (env, _), one in target.catalog.definitions.items()
        if env == target.env and one.program == program.name
    }
    _refuse_other_first(known, place, program)
    beside = program.state == "draft" and _is_published(target, program.name)
    for number, wanted in enumerate(program.balance_definitions):
        there = known.get(wanted.name)
        if there is None:
            if not beside:
                _add(connection, target, program.name, wanted)
        elif there.decimals != wanted.decimals:
            field = f"{place}.balance_definitions[{number}].decimals"
            reason = f"amounts are kept with {there.decimals}; add a balance definition under another name"
            raise ConfigurationError(f"{field}: {reason}", field=field)
        elif there.unit != wanted.unit and not beside:
            one = update(t.definitions).where(
                t.definitions.c.env == target.env, t.definitions.c.id == there.id
            )
            connection.execute(one.values(unit=wanted.unit))


def _is_published(target: Target, name: str) -> bool:
    versions = target.catalog.programs.get((target.env, name), ())
    return any(version.program.state != "draft" for version in versions)


def _refuse_other_first(known: dict[str, Definition], place: str, program: Program) -> None:
    """Orders are awarded in a program's first definition, and orders of the past are settled in it."""
    if not known:
        return
    first = min(known.values(), key=lambda one: one.id).name
    if program.balance_definitions[0].name != first:
        field = f"{place}.balance_definitions[0].name"
        raise ConfigurationError(
            f"{field}: it is {first!r}, and orders were awarded in it; keep it first", field=field
        )


def _add(connection: Connection, target: Target, program: str, wanted: BalanceDefinition) -> None:
    highest = select(func.coalesce(func.max(t.definitions.c.id), 0)).where(t.definitions.c.env == target.env)
    number = int(connection.execute(highest).scalar_one()) + 1
    row = {
        "env": target.env,
        "id": number,
        "program": program,
        **wanted.model_dump(include={"name", "unit", "decimals"}),
    }
    connection.execute(insert(t.definitions).values(row))
