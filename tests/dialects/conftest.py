"""The dialects are tested on the web application as the tests of our own API have it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from werkzeug.serving import make_server

from tests.web.conftest import sqlite_web, web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.web.conftest import Web

__all__ = ["served", "sqlite_web", "web"]


@contextmanager
def serving(web: Web) -> Iterator[str]:
    """Serve an application on 127.0.0.1; the address it is at."""
    server = make_server("127.0.0.1", 0, web.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="served", daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def served(sqlite_web: Web) -> Iterator[str]:
    """The address of the application over SQLite, served on 127.0.0.1."""
    with serving(sqlite_web) as url:
        yield url
