"""Taking in: a committer without the door's thread, and senders who send again whatever was not answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from adapter.commands import RecordEvent
from adapter.engine.committer import Committer
from adapter.engine.sweep import due_balances, due_members, due_vouchers
from adapter.engine.turns import Turn, Turns
from adapter.errors import Unavailable
from tests.simulation.lives import key_of
from tests.simulation.shelf import Crash
from tests.simulation.stage import DECIDED_AT

if TYPE_CHECKING:
    from adapter.clock import Millis
    from adapter.commands import Command
    from adapter.engine.committer import Waiting
    from adapter.outcome import Outcome
    from tests.simulation.stage import Stage

_KEYS = text("SELECT key FROM events UNION ALL SELECT key FROM idempotency_keys")


@dataclass
class Intake:
    """What waits to be taken in, what was answered, and what was committed, in which order and when."""

    stage: Stage
    waiting: list[Command] = field(default_factory=list)
    answered: dict[bytes, tuple[Command, Outcome]] = field(default_factory=dict)
    committed: list[tuple[Millis, Command]] = field(default_factory=list)
    objections: list[str] = field(default_factory=list)
    effective: set[bytes] = field(default_factory=set)  # the keys that are in the book
    committer: Committer = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.committer = Committer(self.stage.engine, self.stage.world.clock, {}, Turn(Turns()))

    def due(self) -> list[Command]:
        """Return what the sweep asks for now."""
        now, engine = self.stage.now, self.stage.engine
        due: list[Command] = [*due_balances(engine, now, 50), *due_members(engine, now, 50)]
        return [*due, *due_vouchers(engine, now, 50)] if self.stage.has_standing else due

    def take(self, commands: list[Command]) -> None:
        """Take one batch in; what is not answered keeps waiting."""
        told: list[tuple[Command, Outcome | Unavailable]] = []
        batch: list[Waiting] = [(one, _listener(told, one)) for one in commands]
        commits = self.stage.faults.commits
        try:
            self.committer.commit(batch)
        except Crash:
            told.clear()
            self.restart()
        self.stage.faults.disarm()
        if self.stage.faults.commits > commits:
            self._note_committed(commands)
        for command, answer in told:
            if not isinstance(answer, Unavailable):
                self._hear(command, answer)

    def _note_committed(self, commands: list[Command]) -> None:
        in_turn = sorted(
            commands, key=lambda one: not isinstance(one, RecordEvent)
        )  # as a batch decides them
        at = DECIDED_AT[-1]  # a neighbour in the batch may have a later instant than the clock
        self.committed += [(at, one) for one in in_turn if self._does_something(one)]
        with self.stage.engine.connect() as connection:
            self.effective.update(connection.execute(_KEYS).scalars())

    def _does_something(self, command: Command) -> bool:
        """Return whether a command is none that was carried out before.

        Where there are tiers a repeat of the API's does one thing all the same: time passes for everybody it speaks of.
        """
        new = key_of(command) not in self.effective
        return new or (self.stage.has_standing and not isinstance(command, RecordEvent))

    def _hear(self, command: Command, outcome: Outcome) -> None:
        if command in self.waiting:
            self.waiting.remove(command)
        key = key_of(command)
        if outcome.error == "internal_error" or outcome.state == "rejected":
            self.objections.append(f"the door cannot decide {type(command).__name__}: {outcome.reason}")
        if key is None or outcome.error is not None:
            return
        _, first = self.answered.setdefault(key, (command, outcome))
        if (first.event, first.state, first.row) != (outcome.event, outcome.state, outcome.row) and not (
            isinstance(command, RecordEvent) and first.event == outcome.event
        ):
            self.objections.append(f"{type(command).__name__} was answered twice, and not alike")


def _listener(told: list[tuple[Command, Outcome | Unavailable]], command: Command) -> Any:
    return lambda answer: told.append((command, answer))
