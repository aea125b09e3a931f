"""The program of a balance as it was at some instant, for reads that have no catalog: looked up only if it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from adapter.catalog import ProgramVersion, in_force
from adapter.program.model import Program
from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.clock import Millis


def program_reader(connection: Connection, env: int, definition: int) -> Callable[[Millis], Program]:
    """Return what gives the program of a balance definition in the version that was in force at an instant."""
    versions: list[ProgramVersion] = []

    def program_at(at: Millis) -> Program:
        if not versions:
            versions.extend(_versions(connection, env, definition))
        return in_force(versions, at).program

    return program_at


def _versions(connection: Connection, env: int, definition: int) -> list[ProgramVersion]:
    programs, definitions = t.programs.c, t.definitions.c
    query = (
        select(programs.version, programs.published_at, programs.body, definitions.name)
        .join(t.definitions, (definitions.env == programs.env) & (definitions.program == programs.name))
        .where(definitions.env == env, definitions.id == definition)
        .order_by(programs.version)
    )
    return [
        ProgramVersion(
            row.version, row.published_at, Program.model_validate_json(row.body).of_balance(row.name)
        )
        for row in connection.execute(query)
    ]
