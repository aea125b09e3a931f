"""Intake: a source's raw webhook becomes a command, the same one whenever it is read.

The receiver reads what arrives, `events replay` and the API what is stored, `rebuild` everything there is.
None of them may read it differently, so all of them read it here. Nothing in this module does I/O.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson
import structlog

from adapter.commands import RecordEvent
from adapter.errors import AdapterError, ConfigurationError, ConnectorFailed, Gone, Ignored, Rejected
from adapter.events import Event
from adapter.ids import show
from adapter.outcome import EventState
from connectors.base import RawEvent, SourceSettings, event_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter.catalog import Source
    from connectors.base import Connector

log = structlog.get_logger()

Kept = TypeVar("Kept")

KEPT_HEADERS = 64
KEPT_HEADER_LENGTH = 1024
REASON_LENGTH = 500
TOPIC_LENGTH = 200
_SECRET_WORDS = (
    "signature",
    "hmac",
    "authorization",
    "cookie",
    "api-key",
    "apikey",
    "token",
    "secret",
    "password",
    "credential",
    "proxy",
)
_SECRET = re.compile("|".join(_SECRET_WORDS))
_NO_CONTROLS = dict.fromkeys((*range(32), 127), " ")


class Understood(msgspec.Struct, frozen=True, gc=False):
    """What a connector made of a webhook: events, or why there are none."""

    topic: str
    key: bytes
    events: tuple[Event, ...] = ()
    refusal: tuple[str, str] | None = None


def command_of(
    source: Source, connector: Connector, raw: RawEvent, *, event_id: int | None = None
) -> RecordEvent:
    """Return the command that records a verified webhook, or takes in again one that is stored."""
    told = understand(source, connector, raw)
    return RecordEvent(
        env=source.env,
        source=source.name,
        key=told.key,
        topic=told.topic,
        headers=kept_headers(raw.headers),
        body=raw.body,
        received_at=raw.received_at,
        events=told.events,
        refusal=told.refusal,
        event_id=event_id,
    )


def command_again(source: Source, connector: Connector, row: Any) -> RecordEvent:
    """Return the command that takes a stored event in again: read by today's connector, under its own key.

    `row` has the event's `id`, `key`, `headers` (JSON), `body`, `received_at` and `emptied_at`.

    Raises `Gone` where its headers and body were removed.
    """
    if row.emptied_at is not None:
        raise Gone(
            f"the headers and the body of {show('evt', row.id)} were removed; what it said cannot be read again"
        )
    raw = RawEvent(orjson.loads(row.headers), bytes(row.body), row.received_at)
    command = command_of(source, connector, raw, event_id=row.id)
    return msgspec.structs.replace(command, key=bytes(row.key))


def reading(connectors: Mapping[str, Connector]) -> Callable[[Source, RawEvent], RecordEvent]:
    """Return the function by which `rebuild` reads a stored webhook of any source."""

    def read(source: Source, raw: RawEvent) -> RecordEvent:
        return command_of(source, connector_for(connectors, source), raw)

    return read


def connector_for(connectors: Mapping[str, Connector], source: Source) -> Connector:
    """Return a source's connector. Raises `ConfigurationError` where this installation does not have it."""
    connector = connectors.get(source.connector)
    if connector is None:
        raise ConfigurationError(
            f"the source {source.name!r} names the connector {source.connector!r}, which is not installed"
        )
    return connector


def settings_of(source: Source) -> SourceSettings:
    """Return what the connector may see of a source."""
    return SourceSettings(source.name, source.secrets, source.options)


def understand(source: Source, connector: Connector, raw: RawEvent) -> Understood:
    """Ask the connector what a webhook says. Never raises: what goes wrong inside is a reason to reject."""
    topic = (
        clean(guarded(source, lambda: connector.topic(raw), otherwise=lambda: ""), TOPIC_LENGTH) or "unknown"
    )
    key = guarded(source, lambda: connector.key(raw), otherwise=lambda: event_key("body", raw.body))
    events: tuple[Event, ...] = ()
    try:
        events = asked(source, lambda: _normalize(source, connector, raw))
        refusal = None if events else (EventState.IGNORED, "It says nothing about orders or customers.")
    except Ignored as error:
        refusal = (EventState.IGNORED, clean(error.message, REASON_LENGTH))
    except Rejected as error:
        refusal = (EventState.REJECTED, clean(error.message, REASON_LENGTH))
    except ConnectorFailed as error:
        refusal = (EventState.REJECTED, f"internal error: {error.message}")
    return Understood(topic, key, events, refusal)


def _normalize(source: Source, connector: Connector, raw: RawEvent) -> tuple[Event, ...]:
    events = connector.normalize(raw, settings_of(source))
    if b"\\" in raw.body and b"\\u" in raw.body:  # one byte is found in a sixtieth of the time for two
        _check_storable(events)
    return events


def asked(source: Source, ask: Callable[[], Kept]) -> Kept:
    """Return what a connector answers. Raises what it says on purpose, and `ConnectorFailed` for anything else.

    A connector reads what strangers send; a defect of it must not cost the shop its webhook, nor us the process.
    """
    try:
        return ask()
    except AdapterError:
        raise
    except Exception as error:
        log.exception("connector.failed", source=source.name)
        raise ConnectorFailed(type(error).__name__) from error


def guarded(source: Source, ask: Callable[[], Kept], *, otherwise: Callable[[], Kept]) -> Kept:
    """Return what a connector answers to a question that has an answer for every input, even one that trips it."""
    try:
        return asked(source, ask)
    except AdapterError:
        return otherwise()


def _check_storable(events: tuple[Event, ...]) -> None:
    """Raise `Rejected` for text that no database keeps: null characters, and halves of surrogate pairs."""
    try:
        encoded = msgspec.json.encode(events)
    except UnicodeEncodeError as error:
        raise Rejected("It holds text that is not valid Unicode (half of a surrogate pair).") from error
    if b"\\u0000" in encoded.replace(b"\\\\", b""):  # an escaped backslash before `u0000` is just text
        raise Rejected("It holds a null character inside a text.")


def clean(text: str, length: int) -> str:
    """Return text that can be kept and shown: no control characters, no broken Unicode, not endless."""
    if text.isascii() and text.isprintable():  # nearly always
        return text[:length].strip()
    return text[:length].translate(_NO_CONTROLS).encode("utf-8", "replace").decode().strip()


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Return whether what has this name signs or opens something."""
    return _SECRET.search(name.lower()) is not None


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are stored: none that signs or opens anything, not too many, none too long."""
    kept = [
        (clean(name, 100), clean(value, KEPT_HEADER_LENGTH))
        for name, value in headers.items()
        if not is_secret(name)
    ]
    return dict(kept[:KEPT_HEADERS])
