"""One request of somebody who has signed in, and its way to the API's own routes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from adapter.web.dispatch import carry_out, check_allowed, read, with_query
from adapter.web.errors import Answer
from adapter.web.rendering import render
from adapter.web.routing import Call, Given, checked
from adapter.web.table import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from adapter.catalog import Catalog, Environment
    from adapter.clock import Millis
    from adapter.web.auth import Key
    from adapter.web.console.session import Session
    from adapter.web.parts import Parts

HTML = "text/html; charset=utf-8"
SAFE = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
)
_ROUTES = {(route.method, route.path): route for route in ROUTES}


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page sees of a request. `connection` only reads; a POST has none, what it asks for opens its own."""

    parts: Parts
    key: Key
    session: Session
    catalog: Catalog
    now: Millis
    request_id: str
    address: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    connection: Connection | None

    @property
    def database(self) -> Connection:
        """Return the connection of a page that is only looked at."""
        assert self.connection is not None
        return self.connection

    @property
    def environment(self) -> Environment:
        return self.catalog.environments[self.key.env]

    @property
    def once(self) -> str:
        """Return what makes a form take effect once, however often it is sent."""
        return secrets.token_urlsafe(12)

    def may(self, method: str, address: str) -> bool:
        """Return whether the key has the scope of a route of the API."""
        return self.key.allows(_ROUTES[method, address].scope)

    def get(self, address: str, path: Mapping[str, str] | None = None, /, **query: str) -> Any:
        """Return what the API answers to GET; parameters that are empty are left out. Raises `AdapterError`."""
        route = _ROUTES["GET", address]
        call = self._call(path)
        check_allowed(call, route)
        call = with_query(call, route, {name: one for name, one in query.items() if one}, Given)
        return orjson.loads(read(replace(call, connection=self.database), route).body)

    def post(self, address: str, path: Mapping[str, str] | None = None, /, **body: Any) -> Any:
        """Return what the API answers to POST; the same form sent again gets the same answer. Raises `AdapterError`."""
        route = _ROUTES["POST", address]
        call = self._call(path)
        check_allowed(call, route)
        call = with_query(call, route, {}, Given)
        if route.body is not None:
            call = replace(call, body=checked(route.body, body, "body"))
        return orjson.loads(carry_out(call, route, orjson.dumps(body), self.form.get("once")).body)

    def _call(self, path: Mapping[str, str] | None) -> Call:
        return Call(self.parts, self.key, self.catalog, self.now, path or {}, None, None, self.request_id)

    def asked(self, *names: str) -> dict[str, str]:
        """Return these parameters of the address, empty where they are not there."""
        return {name: self.query.get(name, "").strip() for name in names}

    def here(self, **changed: str) -> str:
        """Return this page's address with some parameters changed, or left out where they are empty."""
        kept = {name: one for name, one in {**self.query, **changed}.items() if one}
        return f"{self.address}?{urlencode(kept)}" if kept else self.address

    def page(self, template: str, **values: Any) -> Answer:
        """Return a page for this visit."""
        return page(template, visit=self, **values)


@dataclass(frozen=True, slots=True)
class Page:
    """One page or action; `path` is below `/console`."""

    method: str
    path: str
    handler: Callable[[Visit], Answer]


def page(
    template: str, *, status: int = 200, headers: tuple[tuple[str, str], ...] = (), **values: Any
) -> Answer:
    """Return a page out of one of the console's templates."""
    return Answer(status, render(f"console/{template}", **values).encode(), HTML, (*SAFE, *headers))


def go(address: str, *headers: tuple[str, str]) -> Answer:
    """Send the browser on to another page."""
    return Answer(303, b"", HTML, (("Location", address), *headers))
