"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from adapter.errors import Unavailable
from adapter.store import tables as t
from adapter.web.errors import Answer

if TYPE_CHECKING:
    from adapter.web.parts import Parts

log = structlog.get_logger()

Page = Callable[[dict[str, Any]], Answer]


def pages(parts: Parts) -> Mapping[str, Page]:
    """Return `/healthz` and `/readyz`."""
    return {
        "/healthz": lambda _environ: Answer(200, b'{"status":"ok"}'),
        "/readyz": lambda _environ: readiness(parts),
    }


def readiness(parts: Parts) -> Answer:
    """Answer 200 when the database answers and the door takes commands, else 503 with what does not."""
    checks = {"database": _database(parts), "door": _door(parts)}
    ready = all(value == "ok" for value in checks.values())
    body = orjson.dumps({"status": "ok" if ready else "unavailable", "checks": checks})
    headers = () if ready else (("Retry-After", str(parts.settings.retry_after_s)),)
    return Answer(200 if ready else 503, body, headers=headers)


def _database(parts: Parts) -> str:
    try:
        with parts.engine.connect() as connection:
            connection.execute(select(t.configuration.c.version))
    except SQLAlchemyError as error:
        log.warning("readiness.database", reason=str(error))
        return "does not answer"
    return "ok"


def _door(parts: Parts) -> str:
    try:
        parts.ready()
    except Unavailable as error:
        return error.message
    return "ok"
