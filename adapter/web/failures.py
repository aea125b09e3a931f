"""What is told of a request that failed, whoever served it; it is counted, and logged where nobody foresaw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapter.errors import AdapterError, Busy, DatabaseUnavailable
from adapter.store.database import is_transient
from adapter.web.errors import Refusal, internal_refusal, refusal_of
from adapter.web.tally import method_label

if TYPE_CHECKING:
    from adapter.web.parts import Parts

log = structlog.get_logger()


class Failures:
    """The failures of one application."""

    def __init__(self, parts: Parts) -> None:
        self._failures = parts.tally.failures
        self._retry_after_s = parts.settings.retry_after_s

    def refusal(self, error: Exception, request_id: str, *, method: str, rule: str, path: str) -> Refusal:
        """Return what to say of an error; `rule` is the route as metrics name it, `path` what was asked for."""
        known = _named(error, request_id)
        if known is None:
            log.error("request.failed", request_id=request_id, path=path, exc_info=error)
            return internal_refusal(request_id)
        self._failures.labels(method_label(method), rule, known.code).inc()
        return refusal_of(known, request_id, self._retry_after_s)


def _named(error: Exception, request_id: str) -> AdapterError | None:
    """Return the error that has a name for what a request met; None for what nobody foresaw."""
    if isinstance(error, AdapterError):
        return error
    if isinstance(error, PoolTimeout):
        return Busy("All connections to the database are in use; ask again in a moment.")
    if not isinstance(error, DBAPIError) or not is_transient(error):
        return None
    log.warning("database.unavailable", reason=str(error.orig), request_id=request_id)
    return DatabaseUnavailable()
