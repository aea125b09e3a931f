"""One attempt: sign, send, and say what came back. Nothing that a network or a receiver does raises here."""

from __future__ import annotations

import http.client
import re
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import requests
from requests import PreparedRequest, Response
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError
from urllib3.util import Timeout

from adapter.delivery import guard, signing
from adapter.delivery.answer import Answer
from adapter.delivery.transport import OutboundAdapter
from adapter.ids import show
from connectors.vendor import Parcelled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests.adapters import HTTPAdapter

    from adapter.catalog import Endpoint
    from adapter.clock import Millis
    from adapter.delivery.settings import DeliverySettings
    from connectors.vendor import Vendor

USER_AGENT = "loyalty-event-adapter"
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\U0010ffff]|[\ud800-\udfff]")
NO_SECRET = "no signing secret is in force"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one attempt needs: a message's frozen bytes and where they go."""

    endpoint: Endpoint
    live: bool
    message: int
    body: bytes = field(repr=False)


class Sender:
    """Sends parcels over two sets of kept connections, one for test environments and one for live ones."""

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        resolve: guard.Resolve = guard.resolve,
        vendors: Mapping[str, Vendor] | None = None,
    ) -> None:
        self._settings = settings
        self._vendors = vendors or {}  # who signs in a way of their own, by the format of an endpoint
        self._adapters = {
            live: OutboundAdapter(
                live=live, connections=settings.workers, ca_file=settings.ca_file, resolve=resolve
            )
            for live in (False, True)
        }

    def send(self, parcel: Parcel, now: Millis) -> Answer:
        """Make one request and return its outcome."""
        started = time.monotonic()
        keys = signing.keys_in_force(parcel.endpoint.secrets, now)
        if not keys:
            return Answer(None, 0, NO_SECRET, hopeless=True)
        if parcel.live and not parcel.endpoint.url.lower().startswith("https://"):
            return Answer(None, 0, "a live environment sends over https only")
        try:
            status, retry_after, response, error = self._exchange(parcel, now, keys)
        except (
            requests.RequestException,
            HTTPError,
            http.client.HTTPException,
            OSError,
            ValueError,
        ) as problem:
            return Answer(None, _since_ms(started), _explain(problem, parcel.endpoint.timeout_s))
        return Answer(status, _since_ms(started), error, retry_after, response)

    def close(self) -> None:
        """Close the connections that are kept."""
        for adapter in self._adapters.values():
            adapter.close()

    def _exchange(
        self, parcel: Parcel, now: Millis, keys: tuple[bytes, ...]
    ) -> tuple[int, str | None, str, str | None]:
        request = self._request(parcel, now, keys)
        timeout = Timeout(
            total=parcel.endpoint.timeout_s,
            connect=min(self._settings.connect_timeout_s, parcel.endpoint.timeout_s),
        )
        adapter: HTTPAdapter = self._adapters[parcel.live]
        # The stubs of requests do not know that its adapters take urllib3's own timeout.
        response = adapter.send(request, stream=True, timeout=timeout)  # type: ignore[arg-type]  # - urllib3's own timeout is taken too
        body, error = _beginning(response, self._settings.response_read_bytes)
        kept = clean(body[: self._settings.response_keep_bytes])
        return response.status_code, response.headers.get("retry-after"), kept, error

    def _request(self, parcel: Parcel, now: Millis, keys: tuple[bytes, ...]) -> PreparedRequest:
        endpoint = parcel.endpoint
        shown = show("msg", parcel.message)
        url, always = _template(endpoint.url, tuple(endpoint.headers.items()))
        headers = {**always, **signing.headers(shown, now, parcel.body, keys)}
        if (vendor := self._vendors.get(endpoint.format)) is not None:
            secrets = signing.in_force(endpoint.secrets, now)
            theirs = vendor.sign(Parcelled(shown, parcel.body, now, keys, secrets))
            names = {name.lower() for name in theirs}
            ours = {name: value for name, value in headers.items() if name.lower() not in names}
            headers = {**ours, **theirs}
        headers["Content-Length"] = str(len(parcel.body))  # so spelt, or `requests` sends it in chunks
        request = PreparedRequest()
        request.method, request.url, request.body = "POST", url, parcel.body
        request.headers = headers  # type: ignore[assignment]  # - no name is there twice, in no spelling
        return request


@lru_cache(maxsize=4096)
def _template(url: str, headers: tuple[tuple[str, str], ...]) -> tuple[str, Mapping[str, str]]:
    """Return the URL as it is asked for, and the headers of each request to an endpoint."""
    fixed = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "accept": "*/*",
        "accept-encoding": "identity",  # what is kept of the answer can then be read as it is
    }
    request = requests.Request("POST", url, headers={**fixed, **dict(headers)}).prepare()
    del request.headers["content-length"]
    return str(request.url), dict(request.headers)


def _beginning(response: Response, limit: int) -> tuple[bytes, str | None]:
    """Read the beginning of the body; give the connection back only when the body ended.

    The status has been said by then and stands, whatever becomes of the body.
    """
    raw = response.raw
    body = b""
    try:
        while len(body) < limit and (piece := raw.read1(limit - len(body), decode_content=False)):
            body += piece
    except (HTTPError, http.client.HTTPException, OSError, ValueError) as problem:
        raw.close()
        return body, f"the body of the answer broke off: {_phrase(problem)}"
    if raw.closed:
        raw.release_conn()
    else:
        raw.close()
    return body, None


def clean(body: bytes) -> str:
    """Return text that every database stores and every terminal shows: no NUL, no control characters."""
    return _UNPRINTABLE.sub("\ufffd", body.decode("utf-8", "replace"))


def _explain(problem: Exception, timeout_s: float) -> str:  # noqa: PLR0911 - a table, read from the top
    cause = _cause(problem)
    if isinstance(cause, guard.AddressRefusedError):
        return f"address refused: {_phrase(cause)}"
    if isinstance(cause, NameResolutionError):
        return "the host's name does not resolve"
    if isinstance(problem, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(problem, requests.ReadTimeout) or isinstance(cause, (ReadTimeoutError, TimeoutError)):
        return f"no answer within {timeout_s} s"
    if isinstance(problem, requests.exceptions.SSLError):
        return f"TLS failed: {_phrase(cause)}"
    if isinstance(cause, NewConnectionError):
        return _phrase(cause)
    return f"the connection broke: {_phrase(cause)}"


def _cause(problem: BaseException) -> BaseException:
    """Unwrap what requests and urllib3 put around the error that happened."""
    inner = getattr(problem, "reason", None) or (problem.args[0] if problem.args else None)
    return _cause(inner) if isinstance(inner, BaseException) else problem


def _phrase(problem: BaseException) -> str:
    """Return an error's own words, short, clean and without the objects that some of them quote."""
    text = str(problem.args[-1] if problem.args else problem) or type(problem).__name__
    if isinstance(problem, NewConnectionError):
        text = text.removeprefix(f"{problem.conn}: ")
    return clean(text.encode("utf-8", "replace"))[:200]


def _since_ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
