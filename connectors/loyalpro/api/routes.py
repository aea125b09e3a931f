"""What all of LoyalPro's routes share: the tenant that a request may name, and results one by one."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter.web.asking import each_once
from adapter.web.bulk import bulk
from adapter.web.dialects import Answered, Asked
from adapter.web.errors import Problem
from adapter.web.queries import Names
from adapter.web.routing import Call, Repeated, Route, checked
from connectors.loyalpro.api.errors import error_of, refused_item, status_of
from connectors.loyalpro.vendor import TITLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import BaseModel

TENANT = "x-tenant-id"
ITEMS_MOST = 100
PAGE = 100


class Said(Asked, alias_generator=None):
    """What any request may say: which tenant it means, where it says so at all."""

    tenant_id: str | None = None


class One(Said, alias_generator=None):
    """Which fields of an answer are wanted."""

    fields: Names = ()


class Page(One, alias_generator=None):
    """Which page of a list is wanted."""

    limit: Annotated[int, Field(ge=1, le=PAGE)] = PAGE
    cursor: Annotated[str, Field(max_length=200)] | None = None


class ItemShown(Answered, alias_generator=None):
    """What became of one item of a bulk request."""

    index: int
    status: int
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


def route(verb: str, handler: Callable[[Call], Any], scope: str, summary: str, **more: Any) -> Route:
    """Return a route whose handler is only asked in the tenant that the key belongs to."""
    method, _, path = verb.partition(" ")
    return Route(method, f"/v1/{path}", _in_tenant(handler), scope, summary, tag=TITLE, **more)


def each_of(
    call: Call,
    items: Sequence[Any],
    model: type[BaseModel],
    one: Callable[[Call, Any], dict[str, Any] | Repeated],
) -> dict[str, Any]:
    """Return a result or an error for each item, in order; `one` carries a checked item out."""

    def item(place: tuple[int, Any]) -> dict[str, Any]:
        index, said = place
        answer = one(each_once(call, index), checked(model, said, "item"))
        return answer.view if isinstance(answer, Repeated) else answer

    told = bulk(call, list(enumerate(items)), item, name=lambda _: None, status=201)
    return {**told, "data": [_entry(entry) for entry in told["data"]]}


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    shown = {"index": entry["index"], "status": status_of(entry["status"])}
    if "problem" in entry:
        return shown | {"error": error_of(refused_item(entry["problem"]))}
    return shown | {"status": entry["status"], "result": entry["result"]}


def _in_tenant(handler: Callable[[Call], Any]) -> Callable[[Call], Any]:
    @wraps(handler)
    def within(call: Call) -> Any:
        own = call.catalog.environments[call.env].tenant
        named = (
            call.headers.get(TENANT),
            getattr(call.query, "tenant_id", None),
            getattr(call.body, "tenant_id", None),
        )
        strange = [one for one in named if one not in (None, own)]
        if strange:
            raise Problem("tenant_foreign", f"This API key is not one of the tenant {strange[0][:80]!r}.")
        return handler(call)

    return within
