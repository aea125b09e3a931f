"""Brevo's ids: UUIDs. What is named by one keeps it; any other thing has one that is computed of where it is and its name.

Nothing is stored for it, so a thing made through the file or our own API has its id from the beginning, and the same one
in each process; it is found back by looking through what is configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter import ids

if TYPE_CHECKING:
    from adapter.catalog import Catalog, Definition


def program_id(env: int, name: str) -> str:
    return ids.uuid_of(env, "program", name)


def definition_id(env: int, program: str, name: str) -> str:
    return ids.uuid_of(env, "definition", program, name)


def group_id(env: int, program: str, name: str) -> str:
    return ids.uuid_of(env, "tier_group", program, name)


def tier_id(env: int, program: str, group: str, name: str) -> str:
    return ids.uuid_of(env, "tier", program, group, name)


def reward_id(env: int, program: str, name: str) -> str:
    return ids.uuid_of(env, "reward", program, name)


def program_named(catalog: Catalog, env: int, shown: str) -> str | None:
    """Return the name of the program with this id (or name)."""
    for where, name in catalog.programs:
        meant = where == env and shown.lower() in (name, program_id(env, name))
        if meant and catalog.goes_on(env, name):
            return name
    return None


def definition_named(catalog: Catalog, env: int, program: str, shown: str) -> Definition | None:
    """Return the program's balance definition with this id (or name), as the book keeps it."""
    for (where, _), one in catalog.definitions.items():
        own = (where, one.program) == (env, program)
        if own and shown.lower() in (one.name, definition_id(env, program, one.name)):
            return one
    return None
