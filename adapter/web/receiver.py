"""Webhooks in: verify, normalize, submit, and answer when it is durable.

`take_in` is the whole way of one webhook and knows no framework. What it answers is a promise to the shop:
2xx means kept, 401 means not from you, 503 means send it again. A webhook that is authentic but not
understood is kept all the same, because a shop that gets errors switches its webhooks off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import structlog

from adapter import ids
from adapter.errors import AdapterError, SignatureInvalid, Unavailable
from adapter.intake import asked, command_of, guarded, settings_of
from adapter.web.errors import STATUS, Answer, Problem, answer_error

if TYPE_CHECKING:
    from adapter.catalog import Source
    from adapter.outcome import Outcome
    from adapter.web.parts import LastCatalog, Parts
    from connectors.base import Connector, RawEvent

log = structlog.get_logger()


async def take_in(parts: Parts, name: str, raw: RawEvent, request_id: str) -> Answer:
    """Take one webhook of the source `name` in, and return what the shop is answered."""
    try:
        source = await _source(parts.catalog, name)
        return await _take_in(parts, source, connector_of(parts, source), raw)
    except SignatureInvalid as error:
        parts.tally.refused.labels(name).inc()
        log.info("receiver.refused", source=name, reason=error.message, request_id=request_id)
        return answer_error(error, request_id, parts.settings.retry_after_s)
    except Unavailable as error:
        parts.tally.turned_away.labels(error.code).inc()
        return answer_error(error, request_id, parts.settings.retry_after_s)
    except AdapterError as error:
        return answer_error(error, request_id, parts.settings.retry_after_s)


def connector_of(parts: Parts, source: Source) -> Connector:
    """Return the connector of a source. Raises `Problem` where this installation does not have it."""
    connector = parts.connectors.get(source.connector)
    if connector is None:
        missing = (
            f"The source {source.name!r} names the connector {source.connector!r}, which is not installed."
        )
        raise Problem("source_unknown", missing)
    return connector


def source_named(catalog: LastCatalog, name: str) -> Source:
    """Return the source; one applied a moment ago is looked for once more before the answer is 404."""
    source = catalog.get().sources.get(name) or catalog.renewed().sources.get(name)
    if source is None:
        raise Problem(
            "source_unknown",
            "There is no source of this name; see the `[[tenants.sources]]` that were applied.",
        )
    return source


async def _source(catalog: LastCatalog, name: str) -> Source:
    """Return the source. The database is asked in a thread: nobody else on the loop shall wait for it."""
    known = catalog.at_hand()
    if known is None:
        known = await asyncio.to_thread(catalog.get)
    source = known.sources.get(name)
    return await asyncio.to_thread(source_named, catalog, name) if source is None else source


async def _take_in(parts: Parts, source: Source, connector: Connector, raw: RawEvent) -> Answer:
    if guarded(source, lambda: connector.handshake(raw), otherwise=lambda: False):
        return Answer(200, b'{"status":"handshake"}')
    _verify(source, connector, raw)
    outcome = await parts.offer(command_of(source, connector, raw))
    _count(parts, source.name, outcome)
    return answer_outcome(outcome)


def _verify(source: Source, connector: Connector, raw: RawEvent) -> None:
    """Verify; a connector that trips over hostile input has not verified anything either."""
    try:
        asked(source, lambda: connector.verify(raw, settings_of(source)))
    except SignatureInvalid:
        raise
    except AdapterError as error:
        raise SignatureInvalid from error


def answer_outcome(outcome: Outcome) -> Answer:
    """Answer a shop whose webhook is durable. Raises what the outcome says where it is an error."""
    if outcome.error is not None:
        raise error_of(outcome.error)
    return Answer(200, orjson.dumps(outcome_view(outcome)))


def error_of(code: str) -> AdapterError:
    """Return the error that an outcome's code stands for."""
    if STATUS.get(code) == STATUS["unavailable"]:
        return Unavailable("Nothing was kept; send it again.", code=code)
    return AdapterError("The book does not allow this.", code=code)


def outcome_view(outcome: Outcome) -> dict[str, object]:
    """Return what is answered of an outcome: which event it is, what became of it, and why."""
    view: dict[str, object] = {
        "event": None if outcome.event is None else ids.show("evt", outcome.event),
        "status": outcome.state,
        "duplicate": outcome.duplicate,
    }
    if outcome.reason is not None:
        view["reason"] = outcome.reason
    return view


def _count(parts: Parts, source: str, outcome: Outcome) -> None:
    parts.tally.received(source, outcome.error or outcome.state or "unknown").inc()
    if outcome.duplicate:
        parts.tally.duplicates.labels(source).inc()
