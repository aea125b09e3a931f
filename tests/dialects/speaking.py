"""What the tests of all dialects share: an environment told of a dialect, and requests whose answers are held to shape."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert

from adapter.store import tables as t
from connectors.standard import CONNECTOR as STANDARD
from tests.shop import publish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.test import TestResponse

    from adapter.program.model import Program
    from adapter.web.dialects import Dialect
    from tests.web.conftest import Web

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def told(web: Web, dialect: str, *, customers_of: str = "till", **options: Any) -> None:
    """Say of a dialect that it means the program `main` and the customers of a source, with these options."""
    with web.engine.begin() as connection:
        connection.execute(delete(t.dialects).where(t.dialects.c.name == dialect))
        connection.execute(
            insert(t.dialects).values(
                env=1,
                name=dialect,
                program="main",
                definition=1,
                customers_of=customers_of,
                options=json.dumps(options),
            )
        )
        _changed(connection)


def sold_at(web: Web, source: str = "till") -> None:
    """Add a source that takes events in our published form."""
    with web.engine.begin() as connection:
        connection.execute(
            insert(t.sources).values(
                env=1,
                name=source,
                connector="standard",
                program="main",
                orders_of=source,
                secrets=json.dumps([SECRET]),
                options="{}",
            )
        )
        _changed(connection)
    web.use(connectors={**web.connectors, "standard": STANDARD})


def published(web: Web, program: Program, *, version: int = 2) -> None:
    """Publish a version of a program."""
    with web.engine.begin() as connection:
        publish(connection, program, version=version, at=version - 1)
        _changed(connection)


def _changed(connection: Any) -> None:
    connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


def held_to_shape(dialect: Dialect, answer: TestResponse, method: str, path: str) -> None:
    """Hold a success against the model of its route; whatever a dialect leaves out is left out of it."""
    for route in dialect.routes:
        pattern = re.sub(r"{\w+}", "[^/]+", dialect.at(route))
        if route.method == method and re.fullmatch(pattern, path.rstrip("/")):
            shown: Mapping[str, Any] = answer.get_json()
            for item in shown["data"] if route.listed or route.bulk else [shown]:
                route.response.model_validate(item)
            return
    raise AssertionError(f"no route of {dialect.name} is for {method} {path}")
