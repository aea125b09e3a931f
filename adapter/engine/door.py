"""The door: one queue, one thread, one batch after another.

Whoever submits waits until the batch with their command is durable. While one batch commits the next one gathers, so a
batch grows with the load by itself: alone, a command is committed at once; under load, many share one commit.

If a batch fails for a reason of its own making (a constraint, a bug), it is cut in two until the command that is to
blame stands alone; its neighbours never notice. A command that cannot be decided even alone is kept as a rejected event
where there is one, so that nothing is lost.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import msgspec
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError

from adapter.commands import Command, RecordEvent
from adapter.engine.batch import Batcher
from adapter.errors import Busy, DatabaseUnavailable, Unavailable
from adapter.outcome import EventState, Outcome
from adapter.store.database import in_unit_of_work

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from adapter.clock import Clock
    from connectors.vendor import Vendor

log = structlog.get_logger()

COLLISIONS_MAX = 5


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """How much the door takes in at once, and how long it lets anyone wait."""

    queue_max: int = 2048  # commands that may wait; more are refused as busy
    batch_max: int = 256  # commands in one commit
    answer_timeout_s: float = 4.0  # shops give up after five seconds


Reply = Callable[[Outcome | Unavailable], None]
"""Where the answer to one command goes. Called by the door's thread; must not block and must not raise."""

Waiting = tuple[Command, Reply]


class Door:
    """Takes commands in, decides them in batches, and answers when they are durable."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        settings: DoorSettings | None = None,
        vendors: Mapping[str, Vendor] | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings or DoorSettings()
        self._batch = Batcher(clock, vendors or {})
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._after_batch: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._closed = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish what was taken in, then stop."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

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

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            self._process(self._gather(first))
            for hook in list(self._after_batch):
                hook()

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

    def _process(self, batch: Sequence[Waiting]) -> None:
        try:
            outcomes = self._commit([command for command, _ in batch])
        except DatabaseUnavailable as error:
            log.warning("the database does not answer", commands=len(batch), error=error.message)
            for _, reply in batch:
                reply(error)
        except Exception as error:  # noqa: BLE001 - the top of the loop: it must outlive any single batch
            self._divide(batch, error)
        else:
            for (_, reply), outcome in zip(batch, outcomes, strict=True):
                reply(outcome)

    def _commit(self, commands: list[Command]) -> list[Outcome]:
        """Commit a batch; again when another door inserted one of its rows first."""

        def work(connection: Connection) -> list[Outcome]:
            return self._batch(connection, commands)

        for _ in range(COLLISIONS_MAX):
            try:
                return in_unit_of_work(self._engine, work)
            except IntegrityError as error:
                log.info("another door was first; the batch is decided again", why=str(error.orig))
        return in_unit_of_work(self._engine, work)

    def _divide(self, batch: Sequence[Waiting], error: Exception) -> None:
        if len(batch) > 1:
            middle = len(batch) // 2
            self._process(batch[:middle])
            self._process(batch[middle:])
            return
        command, reply = batch[0]
        log.error("a command cannot be decided", command=type(command).__name__, exc_info=error)
        reply(self._keep(command, error))

    def _keep(self, command: Command, error: Exception) -> Outcome:
        """Store what could not be decided, so that it can be taken in again after a fix."""
        if not isinstance(command, RecordEvent) or command.refusal is not None:
            return Outcome(error="internal_error", reason=_why(error))
        refused = msgspec.structs.replace(
            command,
            events=(),
            refusal=(EventState.REJECTED.value, f"internal error: {_why(error)}"),
        )
        try:
            return self._commit([refused])[0]
        except (DBAPIError, DatabaseUnavailable) as again:
            return Outcome(error="internal_error", reason=_why(again))


def _settle(future: Future[Outcome], answer: Outcome | Unavailable) -> None:
    if isinstance(answer, Unavailable):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


Submit = Callable[[Command], Outcome]
