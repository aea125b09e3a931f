"""The stream's process: a thread for the publisher and one for each consumer, each over a connection of its own.

Whatever is away is waited for. A defect ends the process, and its supervisor starts it again.
"""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import DBAPIError

from adapter.errors import ConfigurationError, Unavailable
from adapter.store.database import is_transient

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

log = structlog.get_logger()


def run_together(parts: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    """Run all until told to stop; where one fails stop the others, and raise its error."""
    with ThreadPoolExecutor(len(parts), thread_name_prefix="stream") as pool:
        running = [pool.submit(part) for part in parts]
        wait(running, return_when=FIRST_EXCEPTION)
        stop.set()
    for one in running:
        one.result()


def repeat(
    turn: Callable[[], bool],
    stop: threading.Event,
    *,
    rest: Callable[[], object] | None = None,
    retry_s: float,
) -> None:
    """Take turns until told to stop; rest after one that found nothing, and wait longer where something is away."""
    while not stop.is_set():
        try:
            if not turn() and rest is not None:
                rest()
        except (Unavailable, ConfigurationError) as error:
            log.warning("the stream waits", why=error.message)
            stop.wait(retry_s)
        except DBAPIError as error:
            if not is_transient(error):
                raise
            log.warning("the stream waits for the database", error=str(error.orig))
            stop.wait(retry_s)
