"""The HTTP server of one web process: uvicorn, in a process that is looked after like the others."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from adapter.web.connection import KEEP_ALIVE_S, Connection
from adapter.web.listener import BACKLOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.web.lane import Application
    from adapter.web.listener import Listener

DRAIN_S = 10
"""How long requests that are under way may take once the process is told to stop."""

log = structlog.get_logger()


def serve_http(application: Application, listener: Listener) -> None:
    """Answer what comes in at a socket until SIGTERM, and then what is under way."""
    Server(configured(application)).run([listener])


def configured(application: Application) -> uvicorn.Config:
    """Return how we have uvicorn serve an application."""
    told = logging.getLogger("uvicorn.error")
    told.handlers, told.propagate, told.level = [_Told()], False, logging.ERROR
    return uvicorn.Config(
        application,
        http=Connection,
        loop="auto",  # uvloop, where there is one
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )


class Server(uvicorn.Server):
    """uvicorn's, which leaves Ctrl-C to the parent, and looks at its connections now and then."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all: the parent decides
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look(now)
        return await super().on_tick(counter)


class _Told(logging.Handler):
    """Says what uvicorn says in our own log."""

    def emit(self, record: logging.LogRecord) -> Any:
        log.error("server.failed", reason=record.getMessage().strip(), exc_info=record.exc_info)
