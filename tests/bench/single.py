"""What we measure against: our own code where each request commits what it brought, in a thread of its own, with no door."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from adapter import clock
from adapter.app import web_before
from adapter.engine.committer import Committer
from adapter.engine.turns import Turn, Turns
from adapter.errors import Unavailable
from adapter.processes import keep_what_is_loaded
from adapter.settings import load_settings
from adapter.store.database import open_database
from adapter.web.listener import bound, listening
from adapter.web.server import serve_http
from connectors.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from adapter.commands import Command
    from adapter.outcome import Outcome
    from adapter.web.lane import Lane

THREADS = 64


def web() -> Lane:
    """Return the product's web application in front of threads that commit."""
    settings = load_settings()
    engine = open_database(settings.database_url, pool_size=THREADS)
    threads = ThreadPoolExecutor(THREADS)
    own = threading.local()

    def submit(command: Command) -> Outcome:
        if not hasattr(own, "committer"):
            own.committer = Committer(engine, clock.now, VENDORS, Turn(Turns()))
        answers: list[Outcome | Unavailable] = []
        own.committer.commit([(command, answers.append)])
        (answer,) = answers
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    async def offer(command: Command) -> Outcome:
        return await asyncio.get_running_loop().run_in_executor(threads, submit, command)

    loops: list[asyncio.AbstractEventLoop] = []

    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loops[-1]).result()

    application = web_before(settings, engine, offer=offer, wait=wait, attach=loops.append)
    keep_what_is_loaded()
    return application


def serve(port: int, url: str) -> None:
    """Serve it as the product is served."""
    os.environ["LOYALTY_DATABASE_URL"] = url
    with bound("127.0.0.1", port) as listener:
        serve_http(web(), listening(listener))


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
