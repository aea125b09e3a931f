"""Serve one call of a route: key, scope, query, body, connection, answer, in this order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, RootModel

from adapter.store.database import in_unit_of_work
from adapter.store.reading.snapshot import snapshot
from adapter.web.auth import NOBODY, require_scope
from adapter.web.cursors import seal, unseal
from adapter.web.errors import Answer, Problem
from adapter.web.once import REPLAYED, Once, repeat_key
from adapter.web.routing import Access, Call, Repeated, Route, Versioned, checked, selected
from adapter.web.verbose import log_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sqlalchemy import Connection

    from adapter.catalog import Catalog
    from adapter.clock import Millis
    from adapter.web.auth import Key
    from adapter.web.dialects import Dialect
    from adapter.web.gate import Gate
    from adapter.web.parts import Parts

CACHING = (("Cache-Control", "private, no-cache"), ("Vary", "Authorization, api-key, X-Api-Key"))
"""What is said of an answer with an ETag: keep it for yourself, and ask each time whether it still holds."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in, but for its body. `told` gets headers that any answer to it carries, an error as well."""

    query: str
    headers: Mapping[str, str]  # by lower-case name
    address: str  # as the log shows it
    request_id: str
    path: Mapping[str, str] = field(default_factory=dict)  # what the route's path says
    told: dict[str, str] = field(default_factory=dict)

    def by(self, parts: Parts, key: Key, catalog: Catalog, now: Millis) -> Call:
        """Return the call of whoever has this key, before its query and body are read."""
        return Call(parts, key, catalog, now, self.path, None, None, self.request_id, self.headers)


def serve(
    parts: Parts, gate: Gate, dialect: Dialect, route: Route, request: Request, *, body: Callable[[], bytes]
) -> Answer:
    """Answer one request in a dialect. Raises `AdapterError` for what the caller did wrong or should try again."""
    now = parts.clock()
    catalog = parts.catalog.get()
    key = NOBODY if route.form else gate.admit(request.headers, catalog, now, request.told)
    call = _allowed(request.by(parts, key, catalog, now), dialect, route, request)
    raw = body() if route.takes_body else b""
    call = _with_body(call, route, request, raw)
    if route.access is Access.READ:
        with snapshot(parts.engine) as connection:
            return read(replace(call, connection=connection), route, request.headers.get("if-none-match"))
    return carry_out(call, route, raw, _repeat_header(dialect, route, request.headers))


async def serve_on_loop(
    parts: Parts,
    gate: Gate,
    dialect: Dialect,
    route: Route,
    request: Request,
    *,
    body: Callable[[], Awaitable[bytes]],
) -> Answer:
    """Answer one request to a route that is on the event loop, in the same order and with the same errors.

    What may have to ask the database for the catalog or the key does that in a thread: nobody else on the loop
    shall wait for it.
    """
    now = parts.clock()
    catalog = parts.catalog.at_hand()
    if catalog is None:
        catalog = await asyncio.to_thread(parts.catalog.get)
    admit = partial(gate.admit, request.headers, catalog, now, request.told)
    key = admit() if gate.knows(request.headers, now) else await asyncio.to_thread(admit)
    call = _allowed(request.by(parts, key, catalog, now), dialect, route, request)
    raw = await body()
    call = _with_body(call, route, request, raw)
    shown = _repeat_header(dialect, route, request.headers)
    if shown is None:
        return _told(call, route, await route.handler(call))
    once = _keyed(call, route, raw, shown)
    with once.counting_refusals():
        return once.by_the_command(_told(once.call, route, await route.handler(once.call)))


def _allowed(call: Call, dialect: Dialect, route: Route, request: Request) -> Call:
    check_allowed(call, route)
    return with_query(call, route, query_of(request.query), dialect.bare_query)


def _with_body(call: Call, route: Route, request: Request, raw: bytes) -> Call:
    if call.parts.settings.log_requests:
        log_request(request.request_id, request.address, request.headers, raw)
    if route.body is None:
        return call
    given = _given(route, route.body, raw, request.headers)
    return replace(call, body=checked(route.body, given, "body"))


def check_allowed(call: Call, route: Route) -> None:
    """Raise `Problem`: 403 where the key lacks the route's scope, 404 where nothing can have such an id."""
    if not route.form:
        require_scope(call.key, route.scope)
    _check_path(call.path)


def with_query(call: Call, route: Route, given: Mapping[str, Any], bare: type[BaseModel]) -> Call:
    """Return a call with its query checked. `bare` is the query of a route that says nothing of it."""
    query = (
        _nothing(bare) if route.query is None and not given else checked(route.query or bare, given, "query")
    )
    if (cursor := _said(query, "cursor")) is not None:
        query = query.model_copy(update={"cursor": unseal(cursor, route.name, call.env, call.path)})
    return replace(call, query=query)


@cache
def _nothing(bare: type[BaseModel]) -> BaseModel:
    """Return the query of a request without one, to a route that says nothing of it."""
    return bare()


def _said(query: Any, name: str) -> Any:
    """Return what a query says of a field that not every query has. To ask a model for what it lacks is slow."""
    return vars(query).get(name)


def carry_out(call: Call, route: Route, raw: bytes, repeat: str | None) -> Answer:
    """Answer a route that changes something; under a `repeat`, its Idempotency-Key, only once."""
    if repeat is not None:
        return _once(call, route, raw, repeat)
    if route.access is Access.WRITE:
        return in_unit_of_work(call.parts.engine, lambda connection: _run(call, route, connection))
    return _run(call, route, None)


def _given(route: Route, body: type[BaseModel], raw: bytes, headers: Mapping[str, str]) -> Any:
    """Return what a body says: JSON, or a form with the Authorization header that may stand for a part of it."""
    if not route.form:
        return json_of(raw, headers, lists=issubclass(body, RootModel))
    return {"authorization": headers.get("authorization", ""), **query_of(raw.decode("utf-8", "replace"))}


def _repeat_header(dialect: Dialect, route: Route, headers: Mapping[str, str]) -> str | None:
    if route.method not in dialect.repeat_methods:
        return None
    return next((headers[name] for name in dialect.repeat_headers if name in headers), None)


def _once(call: Call, route: Route, raw: bytes, shown: str) -> Answer:
    once = _keyed(call, route, raw, shown)

    def work(connection: Connection | None) -> Answer:
        return _run(once.call, route, connection)

    if route.keeps:
        with once.counting_refusals():
            return once.by_the_command(work(None))
    return once.in_one_commit(work) if route.access is Access.WRITE else once.through_the_door(work)


def _keyed(call: Call, route: Route, raw: bytes, shown: str) -> Once:
    return Once(replace(call, repeat=repeat_key(call, route, raw, shown)), shown)


def _run(call: Call, route: Route, connection: Connection | None) -> Answer:
    call = replace(call, connection=connection)
    found = route.handler(call)
    return _told(call, route, call.parts.wait(found) if route.on_loop else found)


def _told(call: Call, route: Route, found: Any) -> Answer:
    if isinstance(found, Repeated):
        return replace(_answer(call, route, found.view), headers=(REPLAYED,))
    return _answer(call, route, found)


def read(call: Call, route: Route, if_none_match: str | None = None) -> Answer:
    """Answer a route that only reads, on the call's connection."""
    found = route.handler(call)
    if not isinstance(found, Versioned):
        return _answer(call, route, found)
    tagged = () if found.etag is None else (("ETag", found.etag), *CACHING)
    if found.etag is not None and _matches(if_none_match, found.etag):
        return Answer(HTTPStatus.NOT_MODIFIED, b"", headers=tagged)
    return replace(_answer(call, route, found.view()), headers=tagged)


def _matches(if_none_match: str | None, etag: str) -> bool:
    """Compare weakly, as RFC 9110 says for this header: a list of tags, or `*` for whatever there is."""
    asked = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in asked or etag.removeprefix("W/") in asked


def _answer(call: Call, route: Route, found: Any) -> Answer:
    if isinstance(found, Answer):
        return found
    if route.status == HTTPStatus.NO_CONTENT:
        return Answer(route.status, b"")
    if isinstance(found, dict) and found.get("next_cursor") is not None:
        found = {**found, "next_cursor": seal(found["next_cursor"], route.name, call.env, call.path)}
    shown = selected(found, route, _said(call.query, "fields") or ())
    return Answer(route.status, orjson.dumps(shown), keep=not route.bulk or found["succeeded"] > 0)


def _check_path(path: Mapping[str, str]) -> None:
    """Raise `Problem` (404) for a null character: no database keeps one, so nothing has such an id."""
    if any("\0" in value for value in path.values()):
        raise Problem("not_found", "There is nothing at this address: no id has a null character in it.")


def query_of(text: str) -> dict[str, str]:
    """Read a query string. Raises `Problem` for a parameter that is given twice, or has a null character."""
    pairs = parse_qsl(text, keep_blank_values=True)
    nulls = sorted({name for name, value in pairs if "\0" in name + value})
    if nulls:
        errors = [(name.replace("\0", ""), "Leave the null character out.") for name in nulls]
        raise Problem("request_invalid", "A parameter holds a null character; see errors.", errors=errors)
    twice = (
        sorted({name for name, _ in pairs if sum(other == name for other, _ in pairs) > 1}) if pairs else []
    )
    if twice:
        errors = [(name, "Give this parameter once.") for name in twice]
        raise Problem("request_invalid", "A parameter is given more than once; see errors.", errors=errors)
    return dict(pairs)


def json_of(raw: bytes, headers: Mapping[str, str], *, lists: bool = False) -> Any:
    """Read a JSON object, or a list where one is asked for. No body at all is an empty one.

    Raises `Problem`: 415 for another content type, 400 for what is not JSON, not an object, or holds a null
    character, which no database keeps.
    """
    if not raw:
        return {}
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Problem("media_type_unsupported", f"Send `Content-Type: application/json`, not {media_type!r}.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(
            "json_invalid", f"The body is not JSON: {error}.", errors=(("body", str(error)),)
        ) from error
    wanted = "a list" if lists else "an object"
    if not isinstance(value, list if lists else dict):
        errors = (("body", f"Send {wanted}."),)
        raise Problem("json_invalid", f"The body is JSON, but not {wanted}.", errors=errors)
    if b"\\u0000" in raw.replace(b"\\\\", b""):  # an escaped backslash before `u0000` is just text
        raise Problem("json_invalid", "The body holds a null character.", errors=(("body", "Leave it out."),))
    return value
