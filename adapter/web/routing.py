"""Routes as data: one table is what Flask serves, what `/openapi.json` says and what `/docs` shows.

A route names its path, scope, models and handler; everything that all of them share happens here once: the
key, the scope, the checked query and body, the connection, `fields=`, the Idempotency-Key. A handler is a
small function from a `Call` to a dict. So a route cannot be served without being documented, or documented
without being served.

(SpecTree was weighed: its decorators say the same things again beside each view, check responses at 200 µs a
request, and its pages load their scripts from elsewhere.)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from enum import StrEnum
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from adapter import ids
from adapter.web.errors import Problem, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from adapter.catalog import Catalog, Definition
    from adapter.clock import Millis
    from adapter.store.idempotency import RepeatKey
    from adapter.web.auth import Key
    from adapter.web.parts import Parts

Model = TypeVar("Model", bound=BaseModel)
Found = TypeVar("Found")


class Given(BaseModel):
    """What a caller sends; an unknown field is an error that names it.

    Models of the API are built when they are first used: all of them together hold 10 MB of each web process.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, defer_build=True)


class Shown(BaseModel):
    """What is answered; used for the documentation, and by the tests to hold every answer against it."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Access(StrEnum):
    """What a handler needs of the database."""

    READ = "read"  #: a connection that only reads
    WRITE = "write"  #: one unit of work; an Idempotency-Key is kept in the same commit
    DOOR = "door"  #: none while it runs: it submits a command


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API. `path` is in OpenAPI's form: `/v1/members/{member}`."""

    method: str
    path: str
    handler: Callable[[Call], Any]
    scope: str
    summary: str
    response: type[BaseModel]
    tag: str
    access: Access = Access.READ
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    listed: bool = False  # the answer is a page of `response`
    bulk: bool = False  # the answer has a result or a problem for each item; `response` is a result
    versioned: bool = False  # the answer has an ETag, and `If-None-Match` may be answered 304
    form: bool = False  # a form of somebody who has no key yet: none is asked for, and the body is the form
    keeps: bool = False  # the door keeps the answer under `call.repeat` itself, in the command's own commit
    text: str = ""
    example: Mapping[str, Any] | None = None  # the body of the curl example
    looked_up: str = ""  # which things its example looks for: `state=pending&`
    example_query: str = ""  # what its address ends with; `$MEMBER` and the like are looked up

    @property
    def name(self) -> str:
        """Return the operation's id: `list_members`."""
        return self.handler.__name__

    @property
    def on_loop(self) -> bool:
        """Return whether it is answered on the event loop: its handler is a coroutine, and waits for nothing else."""
        return iscoroutinefunction(self.handler)

    @property
    def takes_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request, checked: what a handler sees of it."""

    parts: Parts
    key: Key
    catalog: Catalog
    now: Millis
    path: Mapping[str, str]
    query: Any
    body: Any
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)  # by lower-case name
    connection: Connection | None = None
    repeat: RepeatKey | None = None  # what is kept of the Idempotency-Key, where one was sent

    @property
    def env(self) -> int:
        return self.key.env

    @property
    def database(self) -> Connection:
        """Return the connection of a route that reads or writes."""
        assert self.connection is not None
        return self.connection

    def find(self, look: Callable[[Catalog], Found | None]) -> Found | None:
        """Return what `look` finds; what this call's catalog does not have is looked for once more in the newest one."""
        return look(self.catalog) or look(self.parts.catalog.renewed())

    async def knowing(self, number: int | None) -> Call:
        """Return the call with a catalog that has this balance definition, as what was just applied is newer than ours."""
        if number is None or (self.env, number) in self.catalog.definitions:
            return self
        return replace(self, catalog=await asyncio.to_thread(self.parts.catalog.renewed))

    def definition(self, number: int) -> Definition:
        """Return a balance definition; one newer than this call's catalog is found as well."""
        found = self.find(lambda catalog: catalog.definitions.get((self.env, number)))
        assert found is not None, "rows name definitions that there are"
        return found

    def id(self, name: str, prefix: str) -> int:
        """Return the number of an id in the path. Raises `Problem` (404) for text that is no such id."""
        number = ids.read(prefix, self.path[name])
        if number is None:
            raise missing(prefix, self.path[name])
        return number


@dataclass(frozen=True, slots=True)
class Versioned:
    """What a handler of a `versioned` route returns: the answer's ETag, and how to make it where it is needed.

    Without a tag there is no telling whether the answer is still what it was.
    """

    etag: str | None
    view: Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Repeated:
    """What a handler of a `keeps` route returns where the door had answered the same under this key before."""

    view: dict[str, Any]


_NOUNS = {
    "mem": "member",
    "txn": "transaction",
    "ord": "balance order",
    "rdm": "redemption",
    "pay": "payment",
    "vou": "voucher",
    "hld": "hold",
    "end": "endpoint",
    "msg": "message",
    "dlv": "delivery",
    "rpl": "replay",
    "evt": "event",
}


def rule_of(path: str) -> str:
    """Write a path as Flask does, and as metrics name it. A shop's ids may have slashes in them, which come decoded."""
    path = path.replace("{member}", "<path:member>").replace("{order}", "<path:order>")
    return path.replace("{", "<").replace("}", ">")


def missing(prefix: str, shown: str) -> Problem:
    """Return the 404 of an id: the same whether it never was or belongs to another environment."""
    noun = _NOUNS[prefix]
    return Problem(
        "not_found",
        f"There is no {noun} {shown[:64]!r} in this environment; {noun} ids look like "
        f"`{ids.show(prefix, 0)}`, and a key sees only its own environment.",
    )


def checked(model: type[Model], values: Any, where: str) -> Model:
    """Return the values as their model. Raises `Problem` naming each field at fault."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(error, where) from error


def pick(answer: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return only the asked fields of an answer."""
    return {name: value for name, value in answer.items() if name in fields}


def _pick_result(item: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {**item, "result": pick(item["result"], fields)} if "result" in item else dict(item)


def selected(answer: Any, route: Route, fields: tuple[str, ...]) -> Any:
    """Apply `fields=` to the one thing, or to each item of a page. Raises `Problem` for an unknown name."""
    if not fields:
        return answer
    unknown = [name for name in fields if name not in route.response.model_fields]
    if unknown:
        names = ", ".join(route.response.model_fields)
        errors = [("fields", f"There is no field {name!r}; there are: {names}.") for name in unknown]
        raise Problem(
            "request_invalid", "Some of the fields asked for do not exist; see errors.", errors=errors
        )
    if route.bulk:
        return {**answer, "data": [_pick_result(item, fields) for item in answer["data"]]}
    if route.listed:
        return {**answer, "data": [pick(item, fields) for item in answer["data"]]}
    return pick(answer, fields)
