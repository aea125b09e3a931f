"""Committing batches: what one thread of the door does.

If a batch fails for a reason of its own making (a constraint, a bug), it is cut in two until the command that is to
blame stands alone; its neighbours never notice. A command that cannot be decided even alone is kept as a rejected event
where there is one, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError

from adapter.commands import Command, RecordEvent
from adapter.engine.batch import Batcher
from adapter.errors import DatabaseUnavailable, Unavailable
from adapter.outcome import EventState, Outcome
from adapter.store.database import in_unit_of_work

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from adapter.clock import Clock
    from adapter.engine.turns import Turn
    from connectors.vendor import Vendor

log = structlog.get_logger()

COLLISIONS_MAX = 5

Reply = Callable[[Outcome | Unavailable], None]
"""Where the answer to one command goes. Called by a thread of the door; must not block and must not raise."""

Waiting = tuple[Command, Reply]


class Committer:
    """Decides, commits and answers one batch after another; decides only when it is its turn."""

    def __init__(self, engine: Engine, clock: Clock, vendors: Mapping[str, Vendor], turn: Turn) -> None:
        self._engine = engine
        self._decide = Batcher(clock, vendors, sent=turn.pass_on)
        self.turn = turn

    def commit(self, batch: Sequence[Waiting]) -> None:
        """Commit a batch and answer it."""
        try:
            self._process(batch)
        finally:
            self.turn.end()

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
            self.turn.decide(commands)
            return self._decide(connection, commands)

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


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
