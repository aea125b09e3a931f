"""`/openapi.json` and `/docs`: one document, for programs and for people. Nothing comes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from adapter.web.errors import STATUS, Answer
from adapter.web.openapi import Json, document
from adapter.web.rendering import render
from adapter.web.table import ROUTES

if TYPE_CHECKING:
    from adapter.web.dialects import Dialect
    from adapter.web.parts import Parts
    from adapter.web.routing import Route

Page = Callable[[dict[str, Any]], Answer]

_STYLED = ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
_AUTH = '-H "Authorization: Bearer $LOYALTY_KEY"'
_ORDER = {
    "id": 1001,
    "created_at": "2026-11-20T12:00:00Z",
    "updated_at": "2026-11-20T12:00:00Z",
    "currency": "EUR",
    "total_price": "89.99",
    "customer": {"id": 7000, "email": "jo@example.com"},
    "line_items": [{"id": 1, "quantity": 1, "price": "89.99", "requires_shipping": True}],
}
_WEBHOOK = """BODY='%s'
SIGNATURE=$(printf '%%s' "$BODY" | openssl dgst -sha256 -hmac "$SHOP_SECRET" -binary | base64)
curl -s "$LOYALTY_URL/webhooks/shop" -H "X-Shopify-Topic: orders/create" \\
  -H "X-Shopify-Hmac-Sha256: $SIGNATURE" --data-binary "$BODY\""""

POLLING = f"""MEMBER=$(curl -s "$LOYALTY_URL/v1/members?limit=1&fields=id" {_AUTH} | sed -n 's/.*"id":"\\([^"]*\\)".*/\\1/p')
TAG=$(curl -si "$LOYALTY_URL/v1/members/$MEMBER/balance" {_AUTH} | tr -d '\\r' | sed -n 's/^etag: //Ip')
curl -s -w '%{{http_code}}\\n' "$LOYALTY_URL/v1/members/$MEMBER/balance" {_AUTH} -H "If-None-Match: $TAG"   # 304"""
"""Two reads of a balance, the second of which says only that nothing has changed."""
REPEATING = f"""KEY=once-$(date +%s)
for TRY in 1 2; do
  curl -s "$LOYALTY_URL/v1/endpoints" {_AUTH} -H "Idempotency-Key: $KEY" \\
    -H 'Content-Type: application/json' -d '{{"url": "https://example.com/hook"}}'
done"""
"""One endpoint, asked for twice."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """How an example finds an id that exists: the newest of a list."""

    path: str
    field: str = "id"


_SAMPLES = {
    "member": _Sample("/v1/members"),
    "transaction": _Sample("/v1/transactions"),
    "balance_order": _Sample("/v1/orders"),
    "redemption": _Sample("/v1/redemptions"),
    "voucher": _Sample("/v1/vouchers"),
    "program": _Sample("/v1/programs", "name"),
    "endpoint": _Sample("/v1/endpoints"),
    "message": _Sample("/v1/messages"),
    "event": _Sample("/v1/events"),
    "delivery": _Sample("/v1/deliveries"),
    "replay": _Sample("/v1/replays"),
}


def pages(parts: Parts) -> Mapping[str, Page]:
    """Return `/openapi.json`, `/docs` and a page for each dialect, each made when it is first asked for.

    To make them takes half a second and ten megabytes, which a process that is asked by machines alone never needs.
    """

    def told() -> Json:
        return document(ROUTES, parts.settings.public_url)

    def native() -> Answer:
        return _page(native_page(told(), parts.settings.public_url, parts.dialects, parts.settings.egress))

    return {
        "/openapi.json": _once(lambda: Answer(200, orjson.dumps(told()))),
        "/docs": _once(native),
        **{
            f"/docs/{dialect.name}": _once(partial(lambda one: _page(dialect_page(parts, one)), dialect))
            for dialect in parts.dialects
        },
    }


def _once(make: Callable[[], Answer]) -> Page:
    made = cache(make)
    return lambda _environ: made()


def _page(text: str) -> Answer:
    return Answer(200, text.encode(), "text/html; charset=utf-8", (_STYLED,))


def dialect_page(parts: Parts, dialect: Dialect) -> str:
    """Return the page of a dialect: how a client is pointed here, what is served, and what is not."""
    hosts = [host for host, prefix in parts.settings.dialect_hosts.items() if prefix == dialect.prefix]
    return render(
        "dialect.html",
        dialect=dialect,
        paragraphs=dialect.text.strip().split("\n\n"),
        url=f"https://{hosts[0]}" if hosts else f"{parts.settings.public_url}{dialect.prefix}",
        events=[] if dialect.vendor is None else list(dialect.vendor.event_types()),
    )


def native_page(told: Json, url: str, dialects: Sequence[Dialect] = (), egress: Sequence[str] = ()) -> str:
    """Return the page of our own API. `egress` are the addresses from which webhooks are sent."""
    by_tag: dict[str, list[Json]] = {tag["name"]: [] for tag in told["tags"]}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            by_tag[operation["tags"][0]].append(
                _entry(path, method, operation, told["components"]["schemas"])
            )
    manners = {"polling": POLLING, "repeating": REPEATING}
    errors = [(code, int(status), status.phrase) for code, status in STATUS.items()]
    return render(
        "docs.html",
        told=told,
        dialects=dialects,
        egress=egress,
        by_tag=by_tag,
        errors=errors,
        url=url,
        **manners,
    )


def _entry(path: str, method: str, operation: Json, schemas: Json) -> Json:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return {
        **operation,
        "path": path,
        "method": method.upper(),
        "parameters": operation.get("parameters", []),
        "body": [] if body is None else _fields(_resolve(body, schemas), schemas),
        "answer": _answer_fields(operation, schemas),
        "curl": curl(path, method.upper()),
        "description": operation.get("description", ""),
    }


def _answer_fields(operation: Json, schemas: Json) -> list[Json]:
    good = next(one for status, one in operation["responses"].items() if status.startswith("2"))
    schema = good.get("content", {}).get("application/json", {}).get("schema", {})
    if "data" in schema.get("properties", {}):
        schema = schema["properties"]["data"]["items"]
    return _fields(_resolve(schema, schemas), schemas)


def _resolve(schema: Json, schemas: Json) -> Json:
    return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _fields(schema: Json, schemas: Json) -> list[Json]:
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "type": type_of(one, schemas),
            "required": name in required,
            "text": one.get("description", ""),
        }
        for name, one in schema.get("properties", {}).items()
    ]


def type_of(schema: Json, schemas: Json) -> str:
    """Say a schema's type in a few words: `text`, `list of number`, `balances or nothing`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_of(one, schemas) for one in schema["anyOf"]))
    if "enum" in schema:
        return " · ".join(map(str, schema["enum"]))
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(_WORDS.get(str(one), str(one)) for one in kind)
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}), schemas)}"
    return _FORMATS.get(schema.get("format", ""), _WORDS.get(kind, str(kind)))


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "nothing",
    "object": "object",
}
_FORMATS = {"date-time": "instant"}


def curl(path: str, method: str) -> str:
    """Return a command that works when it is pasted: what it needs in the path it looks up first."""
    route = next((one for one in ROUTES if (one.path, one.method) == (path, method)), None)
    if path.startswith("/webhooks"):
        return _WEBHOOK % orjson.dumps(_ORDER).decode()
    if route is None:
        return f'curl -s "$LOYALTY_URL{path}"'
    needed = [*re.findall(r"{(\w+)}", path), *re.findall(r"\$([A-Z]+)", route.example_query)]
    lines = [_look_up(name.lower(), route.looked_up) for name in needed]
    shown = re.sub(r"{(\w+)}", lambda found: f"${found[1].upper()}", path)
    verb = "" if method == "GET" else f"-X {method} "
    lines.append(f'curl -s {verb}"$LOYALTY_URL{shown}{route.example_query}" {_AUTH}{_sent(route)}')
    return "\n".join(lines)


def _look_up(name: str, among: str) -> str:
    if name == "order":
        return "ORDER=shop:1001"
    sample = _SAMPLES[name]
    pick = f'sed -n \'s/.*"{sample.field}":"\\([^"]*\\)".*/\\1/p\''
    address = f'"$LOYALTY_URL{sample.path}?{among}limit=1&fields={sample.field}"'
    return f"{name.upper()}=$(curl -s {address} {_AUTH} | {pick})"


def _sent(route: Route) -> str:
    if route.example is None:
        return ""
    return f" \\\n  -H 'Content-Type: application/json' -d '{orjson.dumps(dict(route.example)).decode()}'"
