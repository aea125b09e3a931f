"""Dialects: whose API is spoken at an address. Our own is one of them, the loyalty vendors' are the others.

A dialect is routes onto our commands and reads, and the manner in which it asks and refuses: which header repeats a
request, what a body or a query may have besides what is known, how an error is written, which headers each answer
carries. It holds no rules of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from adapter.store.reading.snapshot import snapshot
from adapter.web.errors import Answer, Problem, Refusal, told
from adapter.web.routing import Given
from adapter.web.table import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from adapter.catalog import Definition, DialectSettings
    from adapter.web.routing import Call, Route
    from connectors.vendor import Vendor

Said = TypeVar("Said", bound=BaseModel)


class Asked(BaseModel):
    """What a vendor's client sends: in camelCase; what we do not know of it is not looked at."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        defer_build=True,
        populate_by_name=True,
        alias_generator=to_camel,
        str_strip_whitespace=True,
    )


class Answered(BaseModel):
    """What a vendor's client is answered, by the vendor's own names; tests hold every answer against it."""

    model_config = ConfigDict(
        extra="forbid", defer_build=True, populate_by_name=True, alias_generator=to_camel
    )


def _no_headers(_request_id: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API. `prefix` stands before all of its paths; `beginnings` are how they go on, for what is at none of them."""

    name: str
    title: str
    routes: tuple[Route, ...]
    beginnings: tuple[str, ...]
    prefix: str = ""
    vendor: Vendor | None = None
    refuse: Callable[[Refusal], Answer] = told
    headers: Callable[[str], Mapping[str, str]] = _no_headers  # of every answer, by the request id
    repeat_headers: tuple[str, ...] = ("idempotency-key",)  # lower-case; the first that is sent counts
    repeat_methods: tuple[str, ...] = ("POST", "PUT", "PATCH", "DELETE")
    bare_query: type[BaseModel] = Asked  # of a route that says nothing of its query
    text: str = ""  # of its page: how an existing client is pointed here, in paragraphs
    example: str = ""  # of its page: the line that changes
    left_out: Mapping[str, str] = field(
        default_factory=dict
    )  # the vendor's operations that are not served, and why

    def owns(self, path: str) -> bool:
        """Return whether this path is a matter of the dialect, served or not."""
        rest = path.removeprefix(self.prefix)
        return path.startswith(self.prefix) and rest.startswith(self.beginnings)

    def at(self, route: Route) -> str:
        """Return the whole path of one of its routes."""
        return f"{self.prefix}{route.path}"


NATIVE = Dialect(name="native", title="Native", routes=ROUTES, beginnings=("/",), bare_query=Given)
"""Our own API, which everything belongs to that is no vendor's."""


def settings_of(call: Call, name: str) -> DialectSettings:
    """Return what the environment says of a dialect. Raises `Problem` where it has several programs and says nothing."""
    found = call.find(lambda catalog: catalog.dialect(call.env, name))
    if found is None:
        raise Problem(
            "program_unclear",
            f"Which program is meant is not said: this environment has none, or several. Apply a `[[tenants.dialects]]` "
            f"with name = {name!r} and its program.",
        )
    return found


def options_of(call: Call, name: str, model: type[Said]) -> Said:
    """Return what the environment says of a dialect besides its program, with defaults for the rest."""
    said = call.catalog.dialect(call.env, name)
    return model.model_validate({} if said is None else dict(said.options))


def definition_of(call: Call, name: str) -> Definition:
    """Return the balance that a vendor's request means where it names none."""
    return call.definition(settings_of(call, name).definition)


@contextmanager
def looking(call: Call) -> Iterator[Call]:
    """Yield the call with a connection that reads, for a handler that looks before it submits a command."""
    with snapshot(call.parts.engine) as connection:
        yield replace(call, connection=connection)


def number(written: int | str) -> Any:
    """Return an amount as a JSON number with exactly the digits that it is written with: `"12.50"` is 12.50."""
    return orjson.Fragment(str(written))


def view_of(shown: Answered) -> dict[str, Any]:
    """Return an answer by the vendor's names, as JSON has it."""
    return shown.model_dump(mode="json", by_alias=True)
