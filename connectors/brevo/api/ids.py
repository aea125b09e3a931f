"""What the ids in Brevo's paths and bodies name, in this environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.errors import NotFound
from adapter.web.programs import configured
from connectors.brevo import ids
from connectors.brevo.vendor import NAME

if TYPE_CHECKING:
    from adapter.catalog import Definition
    from adapter.web.routing import Call


def program_in(call: Call) -> str:
    """Return the name of the program in the path. Raises `NotFound`."""
    shown = call.path["pid"]
    name = ids.program_named(configured(call), call.env, shown)
    if name is None:
        raise NotFound(f"There is no loyalty program {shown[:64]!r} here.", field="pid")
    return name


def definition_in(call: Call, program: str, shown: str, field: str = "balanceDefinitionId") -> Definition:
    """Return the balance definition that is named, as the book keeps it. Raises `NotFound`."""
    found = ids.definition_named(configured(call), call.env, program, shown)
    if found is not None:
        return found
    raise NotFound(f"The program keeps no balance definition {shown[:64]!r}.", field=field)


def customers_of(call: Call) -> str:
    """Return the source whose customer ids Brevo's contact ids are."""
    said = call.catalog.dialects.get((call.env, NAME))
    return NAME if said is None else said.customers_of


def contact(call: Call, number: int) -> str:
    """Return the reference of a contact, as `find_member` reads it."""
    return f"{customers_of(call)}:{number}"
