"""Serve one call of a route: key, scope, query, body, connection, answer, in this order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
from adapter.web.wire import headers_of, read_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from adapter.web.dialects import Dialect
    from adapter.web.gate import Gate
    from adapter.web.parts import Parts

CACHING = (("Cache-Control", "private, no-cache"), ("Vary", "Authorization, api-key, X-Api-Key"))
"""What is said of an answer with an ETag: keep it for yourself, and ask each time whether it still holds."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the framework gives it. `told` gets headers that any answer to it carries, an error as well."""

    path: Mapping[str, str]
    environ: Mapping[str, Any]
    request_id: str
    told: dict[str, str] = field(default_factory=dict)


def serve(parts: Parts, gate: Gate, dialect: Dialect, route: Route, request: Request) -> Answer:
    """Answer one request in a dialect. Raises `AdapterError` for what the caller did wrong or should try again."""
    headers = headers_of(request.environ)
    now = parts.clock()
    catalog = parts.catalog.get()
    key = NOBODY if route.form else gate.admit(headers, catalog, now, request.told)
    call = Call(parts, key, catalog, now, request.path, None, None, request.request_id, headers)
    check_allowed(call, route)
    call = with_query(call, route, query_of(request.environ.get("QUERY_STRING", "")), dialect.bare_query)
    raw = read_body(request.environ, parts.settings.max_body) if route.takes_body else b""
    if parts.settings.log_requests:
        address = f"{route.method} {request.environ.get('PATH_INFO', '')}"
        log_request(request.request_id, address, headers, raw)
    if route.body is not None:
        given = _given(route, route.body, raw, headers)
        call = replace(call, body=checked(route.body, given, "body"))
    if route.access is Access.READ:
        with snapshot(parts.engine) as connection:
            return read(replace(call, connection=connection), route, headers.get("if-none-match"))
    return carry_out(call, route, raw, _repeat_header(dialect, route, headers))


def check_allowed(call: Call, route: Route) -> None:
    """Raise `Problem`: 403 where the key lacks the route's scope, 404 where nothing can have such an id."""
    if not route.form:
        require_scope(call.key, route.scope)
    _check_path(call.path)


def with_query(call: Call, route: Route, given: Mapping[str, Any], bare: type[BaseModel]) -> Call:
    """Return a call with its query checked. `bare` is the query of a route that says nothing of it."""
    query = checked(route.query or bare, given, "query")
    if (cursor := getattr(query, "cursor", None)) is not None:
        query = query.model_copy(update={"cursor": unseal(cursor, route.name, call.env, call.path)})
    return replace(call, query=query)


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
    call = replace(call, repeat=repeat_key(call, route, raw, shown))
    assert call.repeat is not None
    once = Once(call, shown, call.repeat, lambda connection: _run(call, route, connection))
    if route.keeps:
        return once.by_the_command()
    return once.in_one_commit() if route.access is Access.WRITE else once.through_the_door()


def _run(call: Call, route: Route, connection: Connection | None) -> Answer:
    call = replace(call, connection=connection)
    found = route.handler(call)
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
    shown = selected(found, route, getattr(call.query, "fields", ()))
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
