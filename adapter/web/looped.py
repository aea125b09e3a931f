"""Routes of our API that are answered on the event loop: those whose handlers are coroutines.

They are what shops ask for while somebody waits at a till: to spend points. Such a request is little work and one wait, for
a commit that it shares with others. All that Flask does for the other routes is done here by the same functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from adapter.web.dispatch import serve_on_loop
from adapter.web.routing import rule_of
from adapter.web.wire import receive_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.web.dialects import Dialect
    from adapter.web.dispatch import Request
    from adapter.web.errors import Answer
    from adapter.web.gate import Gate
    from adapter.web.parts import Parts
    from adapter.web.routing import Route
    from adapter.web.wire import Receive


@dataclass(frozen=True, slots=True)
class Address:
    """Where a route is: which paths are its own, and how metrics name it."""

    route: Route
    rule: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Match:
    """A route, and what the path of a request says."""

    address: Address
    path: Mapping[str, str]


class Looped:
    """Finds and serves them. A path that is written in another way is Flask's matter."""

    def __init__(self, parts: Parts, gate: Gate, dialect: Dialect) -> None:
        self._parts = parts
        self._gate = gate
        self._dialect = dialect
        self._addresses = [
            Address(route, rule_of(route.path), re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.path)))
            for route in dialect.routes
            if route.on_loop
        ]
        for address in self._addresses:  # or the first request would hold up all others while its model is built
            if address.route.body is not None:
                address.route.body.model_rebuild()

    def find(self, method: str, path: str) -> Match | None:
        """Return the route that a request is for, if it is one of them."""
        for address in self._addresses:
            if address.route.method == method and (found := address.pattern.fullmatch(path)):
                return Match(address, found.groupdict())
        return None

    async def answer(self, match: Match, receive: Receive, _scope: object, request: Request) -> Answer:
        """Answer a request. Raises `AdapterError` for what the caller did wrong or should try again."""
        declared = request.headers.get("content-length")
        body = partial(receive_body, declared, receive, self._parts.settings.max_body)
        asked = replace(request, path=match.path)
        return await serve_on_loop(
            self._parts, self._gate, self._dialect, match.address.route, asked, body=body
        )
