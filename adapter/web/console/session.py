"""Who has signed in: a signed cookie that names a key. Nothing is kept here, and no token is kept anywhere.

The cookie holds the key's environment and id, when it ends, and what proves that a form is ours. The key itself is looked
up with every request, so one that is revoked ends its sessions at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.http import dump_cookie, parse_cookie

from adapter.web.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.clock import Millis

PATH = "/console"
SIGNED_IN = "loyalty_console"
AT_THE_DOOR = "loyalty_console_form"
HOURS_12_MS = 12 * 3_600_000

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """One browser: `key` is (env, id), (0, 0) before it has signed in; `proof` is in each of its forms."""

    env: int
    key: int
    until: Millis
    proof: str

    def check(self, form: Mapping[str, str]) -> None:
        """Raise `Problem` for a form that was not made for this session."""
        if not hmac.compare_digest(form.get("proof", "").encode(), self.proof.encode()):
            raise Problem(
                "request_invalid", "This form is too old. Open the page again, and send it from there."
            )


class Sessions:
    """Reads and writes the cookies. `secure`: they are sent back over https alone."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        self._secure = secure
        hashed = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._signed = {
            name: URLSafeSerializer(secret, salt=name, signer_kwargs=hashed)
            for name in (SIGNED_IN, AT_THE_DOOR)
        }

    def signed_in(self, environ: Mapping[str, Any], now: Millis) -> Session | None:
        """Return the session of somebody who has signed in, less than 12 hours ago."""
        return self._read(SIGNED_IN, environ, now)

    def at_the_door(self, environ: Mapping[str, Any], now: Millis) -> Session:
        """Return the session of somebody who is about to sign in; a new one where there is none."""
        return self._read(AT_THE_DOOR, environ, now) or _begun(0, 0, now)

    def begin(self, env: int, key: int, now: Millis) -> Header:
        """Return the header that begins the session of a key."""
        return self._written(SIGNED_IN, _begun(env, key, now))

    def remember(self, session: Session) -> Header:
        """Return the header by which the form of the sign-in page is known again."""
        return self._written(AT_THE_DOOR, session)

    def end(self) -> Header:
        """Return the header that ends a session."""
        return self._cookie(SIGNED_IN, "", 0)

    def _read(self, name: str, environ: Mapping[str, Any], now: Millis) -> Session | None:
        cookie = parse_cookie(environ.get("HTTP_COOKIE", "")).get(name)
        if cookie is None:
            return None
        try:
            session = Session(*self._signed[name].loads(cookie))
        except BadSignature:
            return None
        return session if now < session.until else None

    def _written(self, name: str, session: Session) -> Header:
        return self._cookie(name, str(self._signed[name].dumps(astuple(session))), HOURS_12_MS // 1000)

    def _cookie(self, name: str, value: str, seconds: int) -> Header:
        written = dump_cookie(
            name,
            value,
            max_age=seconds,
            path=PATH,
            secure=self._secure,
            httponly=True,
            samesite="Strict",
        )
        return "Set-Cookie", written


def _begun(env: int, key: int, now: Millis) -> Session:
    return Session(env, key, now + HOURS_12_MS, secrets.token_urlsafe(24))
