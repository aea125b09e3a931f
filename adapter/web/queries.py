"""What can be asked of lists: pages, fields and filters, as models that name the parameter at fault."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from adapter import ids
from adapter.clock import LATEST, parse
from adapter.web.routing import Given


def _instant(value: Any) -> int:
    """Read an instant; a `+` of a time zone that a query string turned into a space is put back."""
    try:
        at = parse(str(value).replace(" ", "+") if "T" in str(value) else str(value))
    except ValueError:
        at = -1
    if not 0 <= at <= LATEST:
        raise ValueError("give an ISO 8601 instant such as 2026-11-20T12:00:00Z")
    return at


def _names(value: Any) -> tuple[str, ...]:
    return tuple(name for part in str(value).split(",") if (name := part.strip()))


def shown_id(prefix: str) -> BeforeValidator:
    """Check an id in a query, and turn it into its number."""

    def number(value: Any) -> int:
        found = ids.read(prefix, str(value))
        if found is None:
            raise ValueError(f"give an id such as {ids.show(prefix, 0)}")
        return found

    return BeforeValidator(number)


def _text(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [pattern]})


Instant = Annotated[
    int,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Names = Annotated[tuple[str, ...], BeforeValidator(_names), WithJsonSchema({"type": "string"})]
EndpointId = Annotated[int, shown_id("end"), _text(ids.show("end", 0))]
MessageId = Annotated[int, shown_id("msg"), _text(ids.show("msg", 0))]
Reference = Annotated[str, Field(max_length=320)]


class Selection(Given):
    """The parameter of every GET."""

    fields: Names = Field((), description="Comma-separated names of the fields wanted; all without it.")


class Listing(Selection):
    """The parameters of every list."""

    limit: Annotated[int, Field(ge=1, le=200)] = Field(50, description="Most items on a page.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class Period(Listing):
    """A list of things that happened."""

    since: Instant | None = Field(None, description="Only what happened at or after this instant.")
    until: Instant | None = Field(None, description="Only what happened before this instant.")


class OneDefinition(Selection):
    """Which of a member's balances is meant; needed where there are several."""

    program: Reference | None = Field(None, description="A program's name.")
    balance_definition: Reference | None = Field(
        None, description="A balance definition's name, such as `points`."
    )
