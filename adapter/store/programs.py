"""Programs, written: a change is a new version, from now on; what was placed before keeps the version of its day.

A draft is a version too, but nothing goes by it while another one is published; several in a row are its history. Nothing is
ever edited, so whoever writes says which version they have seen. The apply file, our API and the vendors' all write here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from sqlalchemy import Connection, func, insert, select, update

from adapter.errors import ConfigurationError, Conflict, NotFound, Refused
from adapter.program.bounds import BalanceDefinition
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import load_catalog, lock_configuration, raise_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter.catalog import Catalog, Definition, ProgramVersion
    from adapter.clock import Millis


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the programs of an environment are written, one after the other: what is configured stays as it is meanwhile."""

    connection: Connection
    env: int
    catalog: Catalog
    now: Millis
    place: str = ""  # of the program in a file: `tenants[0].programs[1].`

    def versions(self, name: str) -> tuple[ProgramVersion, ...]:
        """Return a program's versions, oldest first; none for one that is not there."""
        return self.catalog.programs.get((self.env, name), ())


def desk(connection: Connection, env: int, now: Millis) -> Desk:
    """Sit down to write one program; everybody else who does waits for the commit."""
    lock_configuration(connection)
    return Desk(connection, env, load_catalog(connection), now)


def create(at: Desk, program: Program) -> None:
    """Write the first version of a program. Raises `Conflict` where there is one of this name."""
    if at.versions(program.name):
        why = f"There is a program {program.name!r} already; write its draft."
        raise Conflict(why, code="program_exists", field="name")
    _write(at, program)


def draft(at: Desk, program: Program, seen: int | None = None) -> None:
    """Write a program's draft. `seen` is the newest version that its author knows.

    Raises `NotFound`, `Conflict` where there is a newer one, `Refused` for a program that is archived.
    """
    newest = _newest(at, program.name)
    if seen is not None and seen != newest.version:
        why = f"Version {newest.version} was written meanwhile; read it, and write on from there."
        raise Conflict(why, code="version_conflict", field="version")
    _write(at, _with(program, state="draft"))


def edit(at: Desk, name: str, change: Callable[[Program], Program]) -> Program:
    """Change a program's draft, or what is in force where there is none, and return the draft. Raises `NotFound`."""
    changed = _with(change(_newest(at, name).program), state="draft")
    _write(at, changed)
    return changed


def publish(at: Desk, name: str) -> None:
    """Put a program's draft in force; without one, a program that is paused or has ended goes on.

    One that keeps no balance yet gets the usual one. Raises `NotFound`.
    """
    program = _newest(at, name).program
    kept = program.balance_definitions or (BalanceDefinition(),)
    _write(at, _with(program, state="published", balance_definitions=kept))


def turn(at: Desk, name: str, state: str) -> None:
    """Pause or end a program that is in force; a draft beside it stays. Raises `NotFound`, `Refused`."""
    _newest(at, name)
    found = at.catalog.version_at(at.env, name, at.now).program
    if found.state == "draft":
        why = "It was never published, so there is nothing to pause or end."
        raise Refused(why, code="program_not_published", field="program")
    if state == "paused" and found.state == "ended":
        raise Refused("It has ended already; publish it anew.", code="program_ended", field="program")
    beside = at.catalog.draft_of(at.env, name)
    number = _write(at, _with(found, state=state))
    if number is not None and beside is not None:
        _insert(at, beside.program, number + 1)


def archive(at: Desk, name: str) -> None:
    """End a program for good: it is not listed any more, and what it booked stays. Raises `NotFound`."""
    _newest(at, name)
    found = at.catalog.version_at(at.env, name, at.now).program
    _write(at, _with(found, state="ended", archived=True))


def write(at: Desk, program: Program) -> int | None:
    """Write a version and return its number; None where it says what the newest one does.

    Raises `ConfigurationError` that names the field where a unit of the book would change. The caller tells everybody
    else of it (`raise_version`).
    """
    newest = at.versions(program.name)[-1:]
    if newest and newest[0].program == program:
        return None
    _refuse_title(at, program)
    _match_definitions(at, program)
    number = newest[0].version + 1 if newest else 1
    _insert(at, program, number)
    return number


def _with(program: Program, **changes: Any) -> Program:
    """Return a program with something changed. Raises `ConfigurationError` where that does not fit the rest."""
    try:
        return Program.model_validate(program.model_dump() | changes)
    except ValidationError as error:
        told = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in told["loc"]) or None
        raise ConfigurationError(str(told["msg"]).removeprefix("Value error, "), field=field) from error


def _write(at: Desk, program: Program) -> int | None:
    number = write(at, program)
    if number is not None:
        raise_version(at.connection)
    return number


def _newest(at: Desk, name: str) -> ProgramVersion:
    versions = at.versions(name)
    if not versions or versions[-1].program.archived:
        raise NotFound(f"There is no program {name[:80]!r} in this environment.", field="program")
    return versions[-1]


def _insert(at: Desk, program: Program, number: int) -> None:
    row = {"env": at.env, "name": program.name, "version": number, "published_at": at.now}
    at.connection.execute(insert(t.programs).values(row | {"body": program.model_dump_json()}))
    if not _beside(at, program):
        _have_members_reviewed(at, program)


def _have_members_reviewed(at: Desk, program: Program) -> None:
    """Have the sweep look at where every member stands: other thresholds may bring other tiers."""
    members = t.memberships.c
    own = (members.env == at.env, members.program == program.name)
    at.connection.execute(update(t.memberships).where(*own).values(next_due_at=at.now))


def _beside(at: Desk, program: Program) -> bool:
    """Return whether this is a draft that stands beside what was published."""
    published = any(version.program.state != "draft" for version in at.versions(program.name))
    return program.state == "draft" and published


def _refuse_title(at: Desk, program: Program) -> None:
    """People choose a program by its title, so two that go on have different ones."""
    others = [
        versions[-1].program
        for (env, name), versions in at.catalog.programs.items()
        if env == at.env and name != program.name
    ]
    if program.title is not None and any(one.title == program.title and not one.archived for one in others):
        reason = f"another program is called {program.title!r}"
        raise ConfigurationError(f"{at.place}title: {reason}", field=f"{at.place}title")


def _match_definitions(at: Desk, program: Program) -> None:
    known = {
        one.name: one
        for (env, _), one in at.catalog.definitions.items()
        if env == at.env and one.program == program.name
    }
    _refuse_other_first(at, known, program)
    beside = _beside(at, program)
    for number, wanted in enumerate(program.balance_definitions):
        there = known.get(wanted.name)
        if there is None:
            if not beside:
                _add(at, program.name, wanted)
        elif there.decimals != wanted.decimals:
            field = f"{at.place}balance_definitions[{number}].decimals"
            reason = f"amounts are kept with {there.decimals}; add a balance definition under another name"
            raise ConfigurationError(f"{field}: {reason}", field=field)
        elif there.unit != wanted.unit and not beside:
            one = update(t.definitions).where(t.definitions.c.env == at.env, t.definitions.c.id == there.id)
            at.connection.execute(one.values(unit=wanted.unit))


def _refuse_other_first(at: Desk, known: Mapping[str, Definition], program: Program) -> None:
    """Orders are awarded in a program's first definition, and orders of the past are settled in it."""
    if not known:
        return
    first = min(known.values(), key=lambda one: one.id).name
    if not program.balance_definitions or program.balance_definitions[0].name != first:
        field = f"{at.place}balance_definitions[0].name"
        reason = f"it is {first!r}, and orders were awarded in it; keep it first (it can be retired)"
        raise ConfigurationError(f"{field}: {reason}", field=field)


def _add(at: Desk, program: str, wanted: BalanceDefinition) -> None:
    highest = select(func.coalesce(func.max(t.definitions.c.id), 0)).where(t.definitions.c.env == at.env)
    number = int(at.connection.execute(highest).scalar_one()) + 1
    row = {
        "env": at.env,
        "id": number,
        "program": program,
        **wanted.model_dump(include={"name", "unit", "decimals"}),
    }
    at.connection.execute(insert(t.definitions).values(row))
