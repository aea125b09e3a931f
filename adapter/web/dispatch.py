"""Serve one call of a route: key, scope, query, body, connection, answer, in this order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from adapter.store.database import in_unit_of_work
from adapter.store.reading.snapshot import snapshot
from adapter.web.auth import require_scope
from adapter.web.cursors import seal, unseal
from adapter.web.errors import Answer, Problem
from adapter.web.once import REPLAYED, Once, repeat_key
from adapter.web.routing import Access, Call, Given, Repeated, Route, Versioned, checked, selected
from adapter.web.wire import headers_of, read_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

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


def serve(parts: Parts, gate: Gate, route: Route, request: Request) -> Answer:
    """Answer one request. Raises `AdapterError` for what the caller did wrong or should try again."""
    headers = headers_of(request.environ)
    now = parts.clock()
    catalog = parts.catalog.get()
    key = gate.admit(headers, catalog, now, request.told)
    require_scope(key, route.scope)
    _check_path(request.path)
    query = checked(route.query or Given, query_of(request.environ.get("QUERY_STRING", "")), "query")
    if (cursor := getattr(query, "cursor", None)) is not None:
        query = query.model_copy(update={"cursor": unseal(cursor, route.name, key.env, request.path)})
    raw = read_body(request.environ, parts.settings.max_body) if route.takes_body else b""
    body = checked(route.body, json_of(raw, headers), "body") if route.body else None
    call = Call(parts, key, catalog, now, request.path, query, body, request.request_id)
    if route.access is Access.READ:
        with snapshot(parts.engine) as connection:
            return _read(replace(call, connection=connection), route, headers.get("if-none-match"))
    if (shown := headers.get("idempotency-key")) is not None:
        return _once(call, route, raw, shown)
    if route.access is Access.WRITE:
        return in_unit_of_work(parts.engine, lambda connection: _run(call, route, connection))
    return _run(call, route, None)


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


def _read(call: Call, route: Route, if_none_match: str | None) -> Answer:
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


def json_of(raw: bytes, headers: Mapping[str, str]) -> Any:
    """Read a JSON object. No body at all is an empty one.

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
    if not isinstance(value, dict):
        raise Problem(
            "json_invalid", "The body is JSON, but not an object.", errors=(("body", "Send an object."),)
        )
    if b"\\u0000" in raw.replace(b"\\\\", b""):  # an escaped backslash before `u0000` is just text
        raise Problem("json_invalid", "The body holds a null character.", errors=(("body", "Leave it out."),))
    return value
