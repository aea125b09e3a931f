"""Programs of the file: each that is new or differs becomes a version of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.apply.change import Action, Change
from adapter.store.programs import Desk, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from adapter.apply.target import Target
    from adapter.program.model import Program


def match(connection: Connection, target: Target, wanted: Sequence[Program]) -> Iterator[Change]:
    """Publish what is new or differs. Raises `ConfigurationError` where a unit of the book would change."""
    names = {program.name for program in wanted}
    for env, name in target.catalog.programs:
        if env == target.env and name not in names and target.catalog.goes_on(env, name):
            yield target.change(
                Action.KEPT, "program", name, "orders were placed under it; set state to paused or ended"
            )
    for number, program in enumerate(wanted):
        place = f"{target.place}.programs[{number}]."
        yield _matched(Desk(connection, target.env, target.catalog, target.now, place), target, program)


def _matched(at: Desk, target: Target, program: Program) -> Change:
    number = write(at, program)
    if number is None:
        return target.change(Action.UNCHANGED, "program", program.name)
    action = Action.UPDATED if at.versions(program.name) else Action.CREATED
    told = f"version {number}, a draft" if program.state == "draft" else f"version {number}"
    return target.change(action, "program", program.name, told)
