"""What the configuration of a program looks like in Brevo's words, and how a request changes its draft."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from adapter.clock import iso
from adapter.errors import NotFound
from adapter.program.model import Program
from adapter.store import programs as written
from adapter.web.dialects import Asked
from adapter.web.programs import configured, desk_of
from adapter.web.routing import checked
from connectors.brevo import ids
from connectors.brevo.api.ids import program_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from adapter.catalog import ProgramVersion
    from adapter.web.routing import Call

Version = Literal["active", "draft"]
Part = TypeVar("Part")


class VersionQuery(Asked):
    """Which version of the program: the draft unless the one in force is asked for."""

    version: Version = "draft"


class Paged(Asked):
    """A page of a list."""

    limit: int = 200
    offset: int = 0
    sort: Literal["asc", "desc"] = "desc"


@dataclass(frozen=True, slots=True)
class Programmed:
    """A program as it is in the version that a request asks for, with the versions that it had."""

    env: int
    program: Program
    versions: tuple[ProgramVersion, ...]

    @property
    def id(self) -> str:
        return ids.program_id(self.env, self.program.name)

    def times(self, part_of: Callable[[Program], object] = lambda program: program) -> tuple[str, str]:
        """Return when a part of the program was first there, and when it changed last."""
        told = [(version.published_at, part_of(version.program)) for version in self.versions]
        there = [(at, part) for at, part in told if part is not None]
        began = changed = there[0][0] if there else self.versions[-1].published_at
        for (_, before), (at, part) in pairwise(there):
            changed = at if part != before else changed
        return iso(began), iso(changed)


def program_meant(call: Call, version: Version = "draft") -> Programmed:
    """Return the program in the path as it is now: its draft, or what is in force where there is none. Raises `NotFound`."""
    catalog, name = configured(call), program_in(call)
    versions = catalog.programs[call.env, name]
    if version == "draft":
        return Programmed(call.env, versions[-1].program, versions)
    active = catalog.version_at(call.env, name, call.now)
    if active.program.state == "draft":
        raise NotFound("The loyalty program was not published yet; ask for version=draft.", field="version")
    until = tuple(one for one in versions if one.version <= active.version)
    return Programmed(call.env, active.program, until)


def change_draft(call: Call, changes: Callable[[Program], Mapping[str, Any]]) -> Programmed:
    """Change what a function says of a program's draft, and return it. Raises `Problem` where it does not fit together."""
    name = program_in(call)

    def changed(program: Program) -> Program:
        said = {**program.model_dump(), **changes(program), "state": "draft"}
        return checked(Program, said, "program")

    written.edit(desk_of(call), name, changed)
    return program_meant(call)


def found(parts: Sequence[Part], shown: str, id_of: Callable[[Part], str], what: str) -> Part:
    """Return the part with this id. Raises `NotFound`."""
    for one in parts:
        if id_of(one) == shown.lower():
            return one
    raise NotFound(f"There is no {what} {shown[:64]!r} in this loyalty program.", field="id")


def dumped(parts: Sequence[Any]) -> list[dict[str, Any]]:
    """Return parts as they are written, to be changed."""
    return [one.model_dump() for one in parts]


def exchanged(parts: Sequence[Any], old: Any, new: Mapping[str, Any] | None) -> list[Any]:
    """Return parts with one of them changed, or left out where there is nothing new."""
    said = [new if one is old else one.model_dump() for one in parts]
    return [one for one in said if one is not None]


def paged(items: Sequence[Part], asked: Paged, key: Callable[[Part], Any]) -> list[Part]:
    """Return a page of what is sorted by a key."""
    ordered = sorted(items, key=key, reverse=asked.sort == "desc")
    return ordered[max(asked.offset, 0) :][: max(asked.limit, 0)]
