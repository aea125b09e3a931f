"""What requests have in common: whose account is meant, and how a list is paged and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import Field

from adapter import ids
from adapter.store.reading.paging import CursorInvalid, encode_cursor
from adapter.web.dialects import Asked, settings_of
from adapter.web.errors import Problem
from adapter.web.routing import Access, Route
from connectors.vinr.words import NAME, customer_of, renamed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import BaseModel

    from adapter.catalog import DialectSettings
    from adapter.store.reading.members import MemberRow
    from adapter.web.routing import Call

Id = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=500)]


class Listing(Asked):
    """VINR pages by the last thing of the page before."""

    limit: Annotated[int, Field(ge=1, le=100)] = 10
    starting_after: Id | None = None


def said(call: Call) -> DialectSettings:
    """Return which program VINR's requests mean here, and whose its customers are."""
    return settings_of(call, NAME)


def account_named(call: Call, named: str) -> str:
    """Return how we find the account that is meant: by VINR's id, by ours, or by the customer that it is of."""
    prefix, _, rest = named.partition("_")
    if prefix in ("loy", "mem") and ids.read(prefix, named) is not None:
        return f"mem_{rest}"
    return f"{said(call).customers_of}:{named}"


def customer_id(call: Call, row: MemberRow) -> str | None:
    """Return which customer an account is of."""
    return customer_of(list(row.source_ids), said(call).customers_of)


def after(prefix: str, named: str | None) -> str | None:
    """Return the place in a list of ours after which a page begins. Raises `CursorInvalid`."""
    if named is None:
        return None
    number = ids.read(prefix, named)
    if number is None:
        raise CursorInvalid(
            f"Give the id of the last one of the page before, such as {ids.show(prefix, 0)}.",
            field="starting_after",
        )
    return encode_cursor(number)


def listed(things: Iterable[Mapping[str, Any]], next_cursor: str | None) -> dict[str, Any]:
    """Return a page as VINR writes it."""
    return {"object": "list", "data": list(things), "has_more": next_cursor is not None}


def nothing(what: str, named: str) -> NoReturn:
    """Raise the 404 of an id."""
    raise Problem("not_found", f"There is no {what} {named[:64]!r} in this environment.")


def ours(shown: str, prefix: str, own: str) -> str:
    """Return one of VINR's ids with our prefix; what is no such id stays as it is, and is not found."""
    return renamed(shown, own) if ids.read(prefix, shown) is not None else shown


def each_place(places: tuple[str, ...], route: Callable[[str], tuple[Route, ...]]) -> tuple[Route, ...]:
    """Return the same routes at each of the places where VINR's guides have a noun."""
    return tuple(one for place in places for one in route(place))


def changing(
    verb: str,
    handler: Callable[[Call], Any],
    scope: str,
    summary: str,
    models: tuple[type[BaseModel], type[BaseModel]],
    **more: Any,
) -> Route:
    """Return a route that submits a command; `models` are what is asked and what is answered."""
    method, _, path = verb.partition(" ")
    asked, answered = models
    return Route(
        method,
        path,
        handler,
        scope,
        summary,
        answered,
        "VINR",
        access=Access.DOOR,
        body=asked,
        keeps=True,
        **more,
    )


def reading(
    path: str,
    handler: Callable[[Call], Any],
    scope: str,
    summary: str,
    answered: type[BaseModel],
    **more: Any,
) -> Route:
    """Return a route that reads."""
    return Route("GET", path, handler, scope, summary, answered, "VINR", **more)
