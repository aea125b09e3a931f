"""The door: one queue, one batch after another.

Whoever submits waits until the batch with their command is durable. While one batch commits the next one gathers, so a
batch grows with the load by itself: alone, a command is committed at once; under load, many share one commit.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from adapter.commands import Command
from adapter.engine.committer import Committer, Reply, Waiting
from adapter.engine.turns import Turn, Turns
from adapter.errors import Busy, Unavailable
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.clock import Clock
    from connectors.vendor import Vendor

COMMITTERS = {"sqlite": 1, "postgresql": 2}
"""How many batches are under way at once: SQLite has one writer."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """How much the door takes in at once, and how long it lets anyone wait."""

    queue_max: int = 2048  # commands that may wait; more are refused as busy
    batch_max: int = 256  # commands in one commit
    answer_timeout_s: float = 4.0  # shops give up after five seconds


class Door:
    """Takes commands in, decides them in batches, and answers when they are durable."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        settings: DoorSettings | None = None,
        vendors: Mapping[str, Vendor] | None = None,
    ) -> None:
        self._settings = settings or DoorSettings()
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._after_batch: list[Callable[[], None]] = []
        self._gathering = threading.Lock()
        turns = Turns()
        committers = [
            Committer(engine, clock, vendors or {}, Turn(turns))
            for _ in range(COMMITTERS[engine.dialect.name])
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(one,), name="door", daemon=True) for one in committers
        ]
        self._closed = False

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish what was taken in, then stop."""
        self._closed = True
        self._queue.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def waiting(self) -> int:
        """Return how many commands wait to be taken into a batch."""
        return self._queue.qsize()

    def after_batch(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` whenever a batch was answered, until what is returned is called."""
        self._after_batch.append(hook)
        return lambda: self._after_batch.remove(hook)

    def take(self, command: Command, reply: Reply) -> None:
        """Take a command in; `reply` hears of it when it is durable. Raises `Busy` when the queue is full."""
        if self._closed:
            raise Unavailable("the service is stopping; send it again")
        if self._queue.qsize() >= self._settings.queue_max:
            raise Busy("more is waiting than can be taken in; send it again in a moment")
        self._queue.put((command, reply))

    def offer(self, command: Command) -> Future[Outcome]:
        """Take a command in; the future is done when it is durable. Raises `Busy` when the queue is full."""
        future: Future[Outcome] = Future()
        self.take(command, lambda answer: _settle(future, answer))
        return future

    def submit(self, command: Command) -> Outcome:
        """Take a command in and wait until it is durable.

        Raises `Busy`, `DatabaseUnavailable`, or `Unavailable` when there was no answer in time; the command may then
        still take effect, which the repeat will find out.
        """
        try:
            return self.offer(command).result(self._settings.answer_timeout_s)
        except FutureTimeout:
            raise Unavailable("no answer in time; send it again") from None

    # --- the threads ------------------------------------------------------------------------------------------------

    def _run(self, committer: Committer) -> None:
        while (batch := self._next(committer)) is not None:
            committer.commit(batch)
            for hook in list(self._after_batch):
                hook()

    def _next(self, committer: Committer) -> list[Waiting] | None:
        """Return the next batch; None when the door is closed and everything before that is taken.

        Whoever waits here for something to come holds nobody up who decides.
        """
        with self._gathering:
            first = self._queue.get()
            if first is None:
                self._queue.put(None)  # for the others
                return None
            committer.turn.take()
            return self._gather(first)

    def _gather(self, first: Waiting) -> list[Waiting]:
        """Return a batch: all that waits now. Nobody is waited for: while a batch commits the next one gathers."""
        batch = [first]
        while len(batch) < self._settings.batch_max:
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                break
            if one is None:
                self._queue.put(None)
                break
            batch.append(one)
        return batch


def _settle(future: Future[Outcome], answer: Outcome | Unavailable) -> None:
    if isinstance(answer, Unavailable):
        future.set_exception(answer)
    else:
        future.set_result(answer)


Submit = Callable[[Command], Outcome]
