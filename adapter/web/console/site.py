"""The console as the web serves it: sign-in before every page, a proof with every form, and errors as pages."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import structlog

from adapter.store.reading.keys import find_key_by_id
from adapter.store.reading.snapshot import snapshot
from adapter.web.auth import Key, Keys, check_usable
from adapter.web.buckets import Buckets
from adapter.web.console.secret import secret_of
from adapter.web.console.session import PATH, Session, Sessions
from adapter.web.console.visit import Page, Visit, go, page
from adapter.web.dispatch import query_of
from adapter.web.errors import Answer, Problem
from adapter.web.rendering import render
from adapter.web.wire import read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from adapter.clock import Millis
    from adapter.web.errors import Refusal
    from adapter.web.parts import Parts

    Environ = Mapping[str, Any]

log = structlog.get_logger()

SIGN_IN = f"{PATH}/sign-in"
FORM_MAX = 16_384
SIGN_INS_PER_S, SIGN_INS_AT_ONCE = 1, 20
"""Of one address; behind a balancer all come from one."""


class Console:
    """Serves the pages of one web process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._keys = Keys(parts.engine, parts.settings.key_cache_ms)
        self._sign_ins = Buckets(SIGN_INS_PER_S, SIGN_INS_AT_ONCE)

    @cached_property
    def _sessions(self) -> Sessions:
        settings = self._parts.settings
        return Sessions(secret_of(settings), secure=settings.public_url.startswith("https:"))

    def serve(self, wanted: Page, path: Mapping[str, str], environ: Environ, request_id: str) -> Answer:
        """Answer a page for somebody who has signed in, send everybody else to sign in. Raises `AdapterError`."""
        now = self._parts.clock()
        session = self._sessions.signed_in(environ, now)
        if session is None:
            return _to_sign_in(wanted, environ)
        form = self._form(session, environ) if wanted.method == "POST" else {}
        query = query_of(environ.get("QUERY_STRING", ""))
        with snapshot(self._parts.engine) as connection:
            key = self._key(connection, session, now)
            if key is None:
                return _to_sign_in(wanted, environ, self._sessions.end())
            visit = Visit(
                self._parts, key, session, self._parts.catalog.get(), now, request_id, _address(environ),
                path, query, form, connection,
            )  # fmt: skip
            if wanted.method == "GET":
                return wanted.handler(visit)
        return wanted.handler(replace(visit, connection=None))

    def doors(self) -> Mapping[tuple[str, str], Callable[[Any], Answer]]:
        """Return what is served to anybody, by method and path; each is given WSGI's environment."""
        return {
            ("GET", f"{PATH}/console.css"): _style,
            ("GET", SIGN_IN): self.door,
            ("POST", SIGN_IN): self.sign_in,
            ("POST", f"{PATH}/sign-out"): self.sign_out,
        }

    def door(self, environ: Environ, *, refused: str | None = None) -> Answer:
        """Answer the sign-in page."""
        session = self._sessions.at_the_door(environ, self._parts.clock())
        to = _inside(query_of(environ.get("QUERY_STRING", "")).get("to", ""))
        kept = (self._sessions.remember(session),)
        status = 200 if refused is None else 403
        return page("sign_in.html", status=status, headers=kept, proof=session.proof, to=to, refused=refused)

    def sign_in(self, environ: Environ) -> Answer:
        """Begin the session of a key. Whatever is wrong with one, the answer is the same."""
        now = self._parts.clock()
        form = self._form(self._sessions.at_the_door(environ, now), environ)
        self._bound(environ, now)
        try:
            key = self._keys.open({"x-api-key": form.get("key", "")}, self._parts.catalog.get(), now)
        except Problem as error:
            log.warning("console.refused", code=error.code)
            return self.door(environ, refused="This is no API key that can be used here.")
        log.info("console.signed_in", env=key.env, key=key.id)
        return go(_inside(form.get("to", "")), self._sessions.begin(key.env, key.id, now))

    def sign_out(self, environ: Environ) -> Answer:
        """End a session."""
        session = self._sessions.signed_in(environ, self._parts.clock())
        if session is not None:
            self._form(session, environ)
        return go(SIGN_IN, self._sessions.end())

    def refuse(self, refusal: Refusal) -> Answer:
        """Tell as a page why a request was not served."""
        return page("error.html", status=refusal.status, headers=refusal.headers, refusal=refusal)

    def _form(self, session: Session, environ: Environ) -> dict[str, str]:
        """Return a form's fields. Raises `Problem` where it was not made for the session."""
        text = read_body(environ, FORM_MAX).decode("utf-8", "replace")
        form = query_of(text)
        session.check(form)
        return form

    def _key(self, connection: Connection, session: Session, now: Millis) -> Key | None:
        stored = find_key_by_id(connection, session.env, session.key)
        if stored is None:
            return None
        try:
            check_usable(stored, now)
        except Problem:
            return None
        return Key(stored.env, stored.id, stored.scopes)

    def _bound(self, environ: Environ, now: Millis) -> None:
        """Raise `Problem` (429) for an address from which too many try."""
        address = sha256(str(environ.get("REMOTE_ADDR", "")).encode()).digest()
        taken = self._sign_ins.take((0, int.from_bytes(address[:8], "big")), now)
        if not taken.granted:
            wait = (("Retry-After", str(taken.next_in_s)),)
            raise Problem(
                "rate_limited", "Too many tried to sign in just now; try again in a moment.", headers=wait
            )


def _to_sign_in(wanted: Page, environ: Environ, *headers: tuple[str, str]) -> Answer:
    """Send to the sign-in page, and from there back to the page that was wanted."""
    address, query = _address(environ), environ.get("QUERY_STRING", "")
    to = f"{address}?{query}" if query else address
    return_to = wanted.method == "GET" and to != PATH
    return go(f"{SIGN_IN}?{urlencode({'to': to})}" if return_to else SIGN_IN, *headers)


def _address(environ: Environ) -> str:
    """Return a request's path as it stands in an address: WSGI has it decoded, as Latin-1."""
    return quote(environ.get("PATH_INFO", "").encode("latin-1"), safe="/:@")


def _style(_environ: Environ) -> Answer:
    return Answer(200, render("console/console.css").encode(), "text/css; charset=utf-8")


def owns(path: str) -> bool:
    """Return whether a path is a matter of the console, served or not."""
    return path == PATH or path.startswith(f"{PATH}/")


def _inside(to: str) -> str:
    """Return where to go after signing in: an address of the console, and never somebody else's."""
    return to if owns(to.partition("?")[0]) and "\\" not in to and to.isprintable() else PATH
