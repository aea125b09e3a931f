"""Whom and which balance a request means, and how Salesforce writes figures."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from adapter import ids
from adapter.errors import NotFound
from adapter.points import smallest
from adapter.store.reading.members import MemberRow, find_member, source_ids
from adapter.store.reading.snapshot import snapshot
from adapter.web.asking import at_fault
from adapter.web.dialects import definition_of, settings_of
from connectors.salesforce.vendor import VENDOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapter.catalog import Definition
    from adapter.web.routing import Call

NAME = VENDOR.name


@dataclass(frozen=True, slots=True)
class Meant:
    """Whose balance a request means; `shown` is how the request called the member."""

    member: int
    definition: Definition
    shown: str


def _written(value: Any) -> Any:
    """Return an amount as text: 100, 100.0 and "100" are the same."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("give a number")  # noqa: TRY004 - pydantic names the field for this one
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


Amount = Annotated[str, BeforeValidator(_written)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
MemberRef = Annotated[str, Field(min_length=1, max_length=200)]


def reference_of(call: Call, member: str) -> str:
    """Return a member id as we find it: our own, else one of the customers that the dialect's are."""
    return (
        member if ids.read("mem", member) is not None else f"{settings_of(call, NAME).customers_of}:{member}"
    )


def meant(call: Call, member: str, *, field: str = "memberId", program: str | None = None) -> Meant:
    """Return whom a command is for. Raises `NotFound` that names the field."""
    row = named(call, member, field=field)
    definition = definition_of(call, NAME) if program is None else of_program(call, program)
    return Meant(row.id, definition, member)


def named(call: Call, member: str, *, field: str = "memberId") -> MemberRow:
    """Return the member of this id. Raises `NotFound` that names the field."""
    try:
        with reading(call) as connection:
            return find_member(connection, call.env, reference_of(call, member))
    except NotFound as error:
        why = f"There is no member {member[:80]!r}, or no longer; ids are those of {settings_of(call, NAME).customers_of!r}."
        raise NotFound(why, code=error.code, field=field) from error


def of_program(call: Call, program: str) -> Definition:
    """Return the balance that a program's points are in. Raises `NotFound` for a program that is not there."""
    settings = call.catalog.dialect(call.env, NAME)
    if settings is not None and settings.program == program:
        return call.definition(settings.definition)
    if (call.env, program) not in call.catalog.programs:
        raise NotFound(f"There is no loyalty program {program[:80]!r} here.", field="programName")
    return call.catalog.definition_of(call.env, program)


def number_of(call: Call, source_ids: Sequence[str], member: int) -> str:
    """Return what Salesforce's clients call a member: the customer id, else our own."""
    prefix = f"{settings_of(call, NAME).customers_of}:"
    own = (one.removeprefix(prefix) for one in source_ids if one.startswith(prefix))
    return next(own, ids.show("mem", member))


def called(call: Call, member: int) -> str:
    """Return what a member is called, where the request does not say it."""
    with reading(call) as connection:
        known = source_ids(connection, call.env, [member])
    return number_of(call, known.get(member, ()), member)


@contextmanager
def reading(call: Call) -> Iterator[Any]:
    """Give the connection of a call that reads, or one for a look of a call that asks the door."""
    if call.connection is not None:
        yield call.connection
        return
    with snapshot(call.parts.engine) as connection:
        yield connection


def amount_of(written: str, definition: Definition, *, field: str) -> int:
    """Return points in smallest units. Raises `Problem` that names the field."""
    try:
        return smallest(written, definition.decimals)
    except ValueError as error:
        raise at_fault(field, str(error)) from error
