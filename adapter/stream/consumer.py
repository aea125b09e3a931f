"""Events in: a source's stream, batch by batch, through the same door as webhooks, and finished once they are durable.

An event that comes again is a repeat by its key and changes nothing. What is authentic but not understood is kept as a
rejected event, as the receiver does, and finished. While the door or the database is away nothing is finished: it comes
again. What the source did not sign is finished without any trace in the book: kept, it would take the key of the true
event, and given back it would come again for ever; the stream itself still has it.
"""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING

import structlog

from adapter.errors import AdapterError, ConfigurationError, SignatureInvalid, Unavailable
from adapter.intake import asked, command_of, connector_for, settings_of
from connectors.base import RawEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from adapter.catalog import Source
    from adapter.commands import Command, RecordEvent
    from adapter.outcome import Outcome
    from adapter.store.configuration import CatalogCache
    from adapter.stream.broker import Broker, Taken
    from adapter.stream.settings import StreamSettings
    from connectors.base import Connector

log = structlog.get_logger()

WAIT_S = 1.0
DURABLE_WITHIN_S = 20.0
"""Less than a broker waits before it gives an event out again."""


def consumer_of(source: str) -> str:
    """Return the name of a source's consumer, which all our processes share."""
    return f"loyalty-{source}"


class Consumer:
    """Takes the events of one source from one stream. Any number of them may run, and share the work."""

    def __init__(
        self,
        source: str,
        stream: str,
        broker: Broker,
        offer: Callable[[Command], Future[Outcome]],
        catalog: CatalogCache,
        *,
        connectors: Mapping[str, Connector],
        settings: StreamSettings,
    ) -> None:
        self._source = source
        self._stream = stream
        self._broker = broker
        self._offer = offer
        self._catalog = catalog
        self._connectors = connectors
        self._settings = settings

    def turn(self, wait_s: float = WAIT_S) -> bool:
        """Take a batch in; return whether there was one.

        Raises `ConfigurationError` where there is no such source, before anything is taken, `Unavailable` where something
        had to be put back, and the database's error.
        """
        source = self._configured()
        connector = connector_for(self._connectors, source)
        most = self._settings.consume_batch
        taken = self._broker.take(self._stream, consumer_of(source.name), most, wait_s)
        read = [(one, self._read(source, connector, one)) for one in taken]
        done = [one for one, command in read if command is None]
        back, why = self._commit([(one, command) for one, command in read if command is not None], done)
        if done:
            self._broker.finish(done)
        if back:
            self._broker.put_back(back, self._settings.retry_after_s)
            raise Unavailable(f"{len(back)} events of {self._stream} come again: {why}")
        return bool(taken)

    def _configured(self) -> Source:
        found = self._catalog.get().sources.get(self._source)
        if found is None:
            raise ConfigurationError(f"stream.consume: there is no source {self._source!r}; apply it first")
        return found

    def _read(self, source: Source, connector: Connector, one: Taken) -> RecordEvent | None:
        """Return the command that records an event; None where it is not the source's."""
        headers = dict(one.headers)
        if self._settings.trusted and "nats-msg-id" in headers:
            headers.setdefault("webhook-id", headers["nats-msg-id"])
        raw = RawEvent(headers, one.body, one.stored_at)
        try:
            if not self._settings.trusted:
                asked(source, lambda: connector.verify(raw, settings_of(source)))
        except AdapterError as error:
            reason = error.message if isinstance(error, SignatureInvalid) else "it cannot be verified"
            log.warning("stream.refused", source=source.name, stream=self._stream, reason=reason)
            return None
        return command_of(source, connector, raw)

    def _commit(
        self, commands: Sequence[tuple[Taken, RecordEvent]], done: list[Taken]
    ) -> tuple[list[Taken], str]:
        """Offer all, wait for all, and add to `done` what is durable; return what is not, and why."""
        back: list[Taken] = []
        why = ""
        offered: list[tuple[Taken, Future[Outcome]]] = []
        for one, command in commands:
            try:
                offered.append((one, self._offer(command)))
            except Unavailable as error:
                back.append(one)
                why = error.message
        for one, future in offered:
            failed = _failure(future)
            (done if failed is None else back).append(one)
            why = failed or why
        return back, why


def _failure(future: Future[Outcome]) -> str | None:
    """Wait until an event is durable; return why it is not."""
    try:
        outcome = future.result(DURABLE_WITHIN_S)
    except Unavailable as error:
        return error.message
    except FutureTimeout:
        return "no answer in time"
    return None if outcome.error is None else outcome.reason or outcome.error
