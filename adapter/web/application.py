"""The Flask application: a view per route, the receiver, and an answer to everything that goes wrong."""

from __future__ import annotations

import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from adapter.web import docs, health, metrics
from adapter.web.bridge import Bridge
from adapter.web.console.session import PATH
from adapter.web.console.site import Console, owns
from adapter.web.console.table import PAGES
from adapter.web.dialects import NATIVE, Dialect
from adapter.web.dispatch import Request, serve
from adapter.web.errors import Answer, Refusal
from adapter.web.failures import Failures
from adapter.web.lane import Lane
from adapter.web.looped import Looped
from adapter.web.routing import rule_of
from adapter.web.tally import method_label
from adapter.web.verbose import log_answer
from adapter.web.wire import headers_of, read_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.web.bridge import Wsgi
    from adapter.web.console.visit import Page
    from adapter.web.gate import Gate
    from adapter.web.parts import Parts
    from adapter.web.routing import Route

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def web_app(parts: Parts, gate: Gate, flask: Flask) -> Lane:
    """Return the ASGI application that serves what is hot, with Flask's behind it for all the rest."""
    rest = Bridge(cast("Wsgi", flask), threads=parts.settings.threads, cap=parts.settings.max_body)
    return Lane(parts, Looped(parts, gate, NATIVE), rest, SAFE_HEADERS)


def flask_app(parts: Parts, gate: Gate) -> Flask:
    """Return the application that serves the API out of these parts, to whom the gate lets in."""
    app = Flask("adapter.web", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    for dialect in (NATIVE, *parts.dialects):
        for route in dialect.routes:
            path = dialect.at(route)
            view = _view(parts, gate, dialect, route)
            app.add_url_rule(rule_of(path), f"{route.method} {path}", view, methods=[route.method])
    console = Console(parts) if parts.settings.console else None
    if console is not None:
        _add_console(app, console)
    for path, page in {**health.pages(parts), **metrics.pages(parts), **docs.pages(parts)}.items():
        app.add_url_rule(path, path, _plain(page), methods=["GET"])
    _answer_errors(app, parts, console)
    _frame(app, parts)
    return app


def respond(answer: Answer) -> Response:
    """Turn an answer into Flask's response."""
    return Response(answer.body, answer.status, list(answer.headers), content_type=answer.media_type)


def dialect_at(parts: Parts, path: str) -> Dialect:
    """Return whose API a path is a matter of, whether or not anything is served there."""
    return next((dialect for dialect in parts.dialects if dialect.owns(path)), NATIVE)


def _view(parts: Parts, gate: Gate, dialect: Dialect, route: Route) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        environ = request.environ
        asked = Request(
            query=environ.get("QUERY_STRING", ""),
            headers=headers_of(environ),
            address=f"{request.method} {environ.get('PATH_INFO', '')}",
            request_id=g.request_id,
            path=path,
            told=g.told,
        )
        body = partial(read_body, environ, parts.settings.max_body)
        return respond(serve(parts, gate, dialect, route, asked, body=body))

    return view


def _plain(page: Callable[[dict[str, Any]], Answer]) -> Callable[[], Response]:
    def view() -> Response:
        return respond(page(request.environ))

    return view


def _add_console(app: Flask, console: Console) -> None:
    for page in PAGES:
        path = f"{PATH}{page.path}"
        view = _console_view(console, page)
        app.add_url_rule(rule_of(path), f"{page.method} {path}", view, methods=[page.method])
    for (method, path), door in console.doors().items():
        app.add_url_rule(path, f"{method} {path}", _plain(door), methods=[method])


def _console_view(console: Console, page: Page) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        return respond(console.serve(page, path, request.environ, g.request_id))

    return view


def _frame(app: Flask, parts: Parts) -> None:
    """Give every request its id and its place in the metrics, and every response its safe headers."""

    def begin() -> None:
        g.request_id = f"req_{uuid.uuid4().hex}"
        g.told = {}
        g.began = time.perf_counter()

    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        own = dialect_at(parts, request.path).headers(g.request_id)
        for name, value in (*g.told.items(), *own.items(), *SAFE_HEADERS.items()):
            response.headers.setdefault(name, value)
        if parts.settings.log_requests:
            log_answer(g.request_id, response.status_code, response.get_data())
        parts.tally.requests.labels(method_label(request.method), _rule(), response.status_code).observe(
            time.perf_counter() - g.began,
        )
        return response

    app.before_request(begin)
    app.after_request(end)


def _rule() -> str:
    """Return the route as a label: addresses that nobody serves share one."""
    return "unmatched" if request.url_rule is None else request.url_rule.rule


def _answer_errors(app: Flask, parts: Parts, console: Console | None) -> None:
    failures = Failures(parts)

    def refused(refusal: Refusal) -> Response:
        if console is not None and owns(request.path):
            return respond(console.refuse(refusal))
        return respond(dialect_at(parts, request.path).refuse(refusal))

    def failed(error: Exception) -> Response:
        method, path = request.method, request.path
        return refused(failures.refusal(error, g.request_id, method=method, rule=_rule(), path=path))

    def http(error: HTTPException) -> Response:
        return refused(_http_refusal(error, g.request_id))

    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Exception, failed)


def _http_refusal(error: HTTPException, request_id: str) -> Refusal:
    """Say what the router found: no such path, not with this method."""
    if isinstance(error, NotFound):
        detail = "There is nothing at this address; /docs lists what there is."
        return Refusal(404, "route_unknown", detail, request_id)
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"This address does not take {request.method}; it takes {allowed}."
        return Refusal(405, "method_not_allowed", detail, request_id, headers=(("Allow", allowed),))
    return Refusal(error.code or 400, "request_invalid", error.description or "", request_id)
