"""Which of a member's balances is meant, where several could be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.errors import NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from adapter.catalog import Catalog, Definition


class DefinitionUnclear(Refused):
    """Several balance definitions could be meant."""

    code = "request_invalid"


def definition_meant(
    catalog: Catalog, env: int, held: Callable[[], Collection[int]], *, program: str | None, name: str | None
) -> Definition:
    """Return the definition that is meant: named, the only one, or the only one that the member has a balance of.

    `held` tells those; it is asked only where it matters. Raises `NotFound` for a name that does not exist,
    `DefinitionUnclear` where a name is needed.
    """
    known = [value for key, value in sorted(catalog.definitions.items()) if key[0] == env]
    named = [one for one in known if program in (None, one.program) and name in (None, one.name)]
    if len(named) == 1:
        return named[0]
    field = "balance_definition" if name is not None else "program"
    choices = ", ".join(f"{one.program}/{one.name}" for one in known) or "none"
    if not named:
        raise NotFound(f"There is no such balance definition here; there are: {choices}.", field=field)
    used = held()
    of_theirs = [one for one in named if one.id in used]
    if len(of_theirs) == 1:
        return of_theirs[0]
    raise DefinitionUnclear(
        f"Say which balance is meant, by program and balance_definition; there are: {choices}.", field=field
    )
