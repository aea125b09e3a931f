"""The OpenAPI 3.1 document, made from the same table that serves the requests."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from adapter.web.errors import PROBLEM_JSON
from adapter.web.routing import Access, Route
from adapter.web.shown import OutcomeShown, ProblemShown

if TYPE_CHECKING:
    from pydantic import BaseModel

REF = "#/components/schemas/{model}"
Json = dict[str, Any]

_PATH_TEXTS = {
    "member": "Our id (`mem_…`), a shop's customer id (`source:customer`) or an e-mail address, URL-encoded.",
    "order": "`source:order`, with the shop's own order id.",
    "program": "A program's name.",
    "source": "A source's name.",
}
_ERRORS = {
    "400": "Something in the request cannot be used; `errors` names each field.",
    "401": "The API key is missing, malformed, unknown, expired, revoked, or of the other mode.",
    "403": "The API key lacks the scope.",
    "404": "There is no such thing in this environment.",
    "409": "It contradicts what is already there.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "The rules do not allow it.",
    "429": "This key asks more often than it may; ask again after `Retry-After` seconds.",
    "503": "Ask again after `Retry-After` seconds.",
}


def document(routes: tuple[Route, ...], server: str) -> Json:
    """Return the whole document."""
    paths: Json = {"/webhooks/{source}": {"post": _receiver()}}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    paths.update(_plain_paths())
    tags = dict.fromkeys(["Webhooks in", *(route.tag for route in routes), "Service"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Loyalty event adapter",
            "version": version("loyalty-event-adapter"),
            "summary": "Shop webhooks in, a right points ledger, signed balance webhooks out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "tags": [{"name": name} for name in tags],
        "security": [{"bearer": []}, {"apiKey": []}, {"xApiKey": []}],
        "paths": paths,
        "components": {"schemas": _schemas(routes), "securitySchemes": _security(), "responses": _problems()},
    }


def _security() -> Json:
    return {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
        "xApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    }


def _schemas(routes: tuple[Route, ...]) -> Json:
    answers: list[type[BaseModel]] = [ProblemShown, OutcomeShown, *(route.response for route in routes)]
    asked = [route.body for route in routes if route.body is not None]
    inputs = [(model, "validation") for model in dict.fromkeys([*answers, *asked])]
    _, schema = models_json_schema(inputs, ref_template=REF)  # type: ignore[arg-type]  # - its literal type is too narrow
    return dict(schema["$defs"])


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"{route.text}\n\nScope: `{route.scope}`".strip(),
        "tags": [route.tag],
        "x-scope": route.scope,
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.query), *_headers(route)],
        "responses": _responses(route),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": bool(route.body.model_json_schema().get("required")),
            "content": {"application/json": {"schema": _ref(route.body)}},
        }
    return operation


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": REF.format(model=model.__name__)}


def _path_parameters(path: str) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": _PATH_TEXTS.get(name, f"The {name}'s id."),
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(query: type[BaseModel] | None) -> list[Json]:
    if query is None:
        return []
    schema = query.model_json_schema(ref_template=REF)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": one.get("description", ""),
            "schema": _plain_schema(one),
        }
        for name, one in schema["properties"].items()
    ]


def _plain_schema(schema: Json) -> Json:
    """Return a parameter's schema without the null that only says that it may be left out."""
    kept = {name: value for name, value in schema.items() if name not in ("description", "title", "default")}
    if "anyOf" in kept:
        kept.update(next(one for one in kept.pop("anyOf") if one != {"type": "null"}))
    if schema.get("default") not in (None, []):
        kept["default"] = schema["default"]
    return kept


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeat harmless: the same key and request get the first one's answer, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of an earlier answer: while nothing has changed, 304 and no body.",
    "schema": {"type": "string"},
}
_ETAG = {
    "ETag": {
        "schema": {"type": "string"},
        "description": "Not there while points are due that the sweep has not come by.",
    }
}


def _headers(route: Route) -> list[Json]:
    if route.versioned:
        return [_IF_NONE_MATCH]
    return [_IDEMPOTENCY_KEY] if route.method == "POST" else []


def _responses(route: Route) -> Json:
    answer: Json = {"description": route.summary, "headers": {**_request_id(), **_limits()}}
    if route.status != 204:  # noqa: PLR2004 - No Content
        answer["content"] = {"application/json": {"schema": _whole(route)}}
    unchanged: Json = {}
    if route.versioned:
        answer["headers"] |= _ETAG
        unchanged["304"] = {"description": "Nothing has changed.", "headers": {**_request_id(), **_ETAG}}
    failing = [status for status in _ERRORS if _can_fail(route, status)]
    return {
        str(route.status): answer,
        **unchanged,
        **{status: {"$ref": f"#/components/responses/{status}"} for status in failing},
    }


def _answer_schema(route: Route) -> Json:
    """With `fields=` only some of the properties are there, which a schema cannot say of a parameter."""
    return _ref(route.response)


def _whole(route: Route) -> Json:
    if route.bulk:
        return _each(route)
    return _page(route) if route.listed else _answer_schema(route)


def _each(route: Route) -> Json:
    entry = {
        "index": {"type": "integer", "description": "Its place in the request, from 0."},
        "item": {"type": ["string", "null"], "description": "What it was called there."},
        "status": {"type": "integer", "description": "As if it had been asked for alone."},
        "result": {**_answer_schema(route), "description": "Where it succeeded."},
        "problem": {**_ref(ProblemShown), "description": "Where it did not."},
    }
    counts = {name: {"type": "integer"} for name in ("succeeded", "failed")}
    required = ["index", "item", "status"]
    items = {"type": "object", "required": required, "additionalProperties": False, "properties": entry}
    return {
        "type": "object",
        "required": ["data", *counts],
        "properties": {"data": {"type": "array", "items": items}, **counts},
    }


def _page(route: Route) -> Json:
    return {
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": {"type": "array", "items": _answer_schema(route)},
            "next_cursor": {"type": ["string", "null"], "description": "Null on the last page."},
        },
    }


def _can_fail(route: Route, status: str) -> bool:
    if status in ("413", "415"):
        return route.takes_body
    if status == "422":
        return route.access is not Access.READ
    return True


def _request_id() -> Json:
    return {
        "X-Request-ID": {"schema": {"type": "string"}, "description": "Name it when you report a problem."}
    }


def _limits() -> Json:
    told = {
        "RateLimit-Limit": "How many requests may come at once.",
        "RateLimit-Remaining": "How many of them are left.",
        "RateLimit-Reset": "In how many seconds all are there again.",
    }
    return {
        name: {"schema": {"type": "integer"}, "description": f"{text} Only where a rate is set."}
        for name, text in told.items()
    }


def _problems() -> Json:
    content = {PROBLEM_JSON: {"schema": _ref(ProblemShown)}}
    found: Json = {
        status: {"description": text, "content": content, "headers": _request_id()}
        for status, text in _ERRORS.items()
    }
    again = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    found["503"]["headers"] = {**_request_id(), **again}
    found["429"]["headers"] = {**_request_id(), **again, **_limits()}
    return found


def _receiver() -> Json:
    names = {
        "401": "The signature does not match; nothing was kept.",
        "404": "There is no such source.",
        "413": "The body is too large.",
        "503": "Nothing was kept; send it again after `Retry-After` seconds.",
    }
    content = {PROBLEM_JSON: {"schema": _ref(ProblemShown)}}
    return {
        "operationId": "receive",
        "summary": "Take a shop's webhook in",
        "description": "The address to enter at the shop. The body and the signature are the platform's own. "
        "200 says that it is durable: applied, parked until something else arrives, ignored, or rejected "
        "with the reason and kept.",
        "tags": ["Webhooks in"],
        "security": [],
        "parameters": _path_parameters("/webhooks/{source}"),
        "requestBody": {"required": True, "content": {"*/*": {}}},
        "responses": {
            "200": {
                "description": "Kept.",
                "content": {
                    "application/json": {
                        "schema": {
                            "anyOf": [
                                _ref(OutcomeShown),
                                {
                                    "type": "object",
                                    "required": ["status"],
                                    "additionalProperties": False,
                                    "properties": {"status": {"const": "handshake"}},
                                },
                            ]
                        }
                    }
                },
            },
            **{status: {"description": text, "content": content} for status, text in names.items()},
        },
    }


_PLAIN = {
    "/healthz": ("Whether the process lives", "application/json", False),
    "/readyz": ("Whether the database answers and the door takes commands", "application/json", True),
    "/metrics": ("Figures for Prometheus", "text/plain", False),
    "/openapi.json": ("This document", "application/json", False),
    "/docs": ("This document, to read", "text/html", False),
}


def _plain_paths() -> Json:
    paths: Json = {}
    for path, (summary, media_type, can_be_down) in _PLAIN.items():
        responses: Json = {"200": {"description": summary, "content": {media_type: {}}}}
        if can_be_down:
            responses["503"] = {"description": "Not ready.", "content": {media_type: {}}}
        operation = {
            "operationId": path[1:].replace(".", "_"),
            "summary": summary,
            "tags": ["Service"],
            "security": [],
            "responses": responses,
        }
        paths[path] = {"get": operation}
    return paths
