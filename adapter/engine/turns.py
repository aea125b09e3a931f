"""Whose turn it is to decide, where several committers share one door.

On PostgreSQL a batch that is decided is only half done: the server still writes and commits it, and this process would
wait. So a door has two committers there, which take turns with what needs the processor, from gathering a batch to
sending its last statement: while one waits for its commit the other one decides. They never decide at the same
time, because two busy threads of one Python process only get into each other's way.

Batches that speak of the same follow each other. The later one would not see what the earlier one has not
committed, insert the same rows, and be decided again. That is a matter of speed alone: what keeps two batches apart is
the database's locks and unique keys, as between doors on two machines.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator
from collections.abc import Set as AbstractSet

from adapter.commands import Command, RecordEvent

PATIENCE_S = 1.0
"""How long a batch waits for another one that speaks of the same: far longer than a commit takes."""

Names = AbstractSet[Hashable]


class Turns:
    """What the committers of one door share."""

    def __init__(self) -> None:
        self.deciding = threading.Lock()
        self._changed = threading.Condition()
        self._committing: dict[Turn, Names] = {}

    def begin_commit(self, turn: Turn, names: Names) -> None:
        """Note of what a batch speaks while it is committed."""
        with self._changed:
            self._committing[turn] = names

    def end_commit(self, turn: Turn) -> None:
        """Let those go on who wait for that batch."""
        with self._changed:
            if self._committing.pop(turn, None) is not None:
                self._changed.notify_all()

    def follow(self, names: Names) -> None:
        """Wait until no batch that speaks of the same is being committed, but not for ever."""
        with self._changed:
            self._changed.wait_for(lambda: all(map(names.isdisjoint, self._committing.values())), PATIENCE_S)


class Turn:
    """One committer's part in it: whether it is its turn, and what it commits."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._is_ours = False
        self._names: Names = frozenset()

    def take(self) -> None:
        """Wait until it is our turn, unless it is already."""
        self._turns.end_commit(self)  # it failed, and is decided again
        if not self._is_ours:
            self._turns.deciding.acquire()
            self._is_ours = True

    def decide(self, commands: Iterable[Command]) -> None:
        """Wait until it is our turn and these commands find all that was sent before them."""
        self.take()
        self._names = names_of(commands)
        self._turns.follow(self._names)

    def pass_on(self) -> None:
        """All is sent: let the next one decide while this is committed."""
        self._turns.begin_commit(self, self._names)
        self._release()

    def end(self) -> None:
        """Let go: the batch is committed, or given up."""
        self._turns.end_commit(self)
        self._release()

    def _release(self) -> None:
        if self._is_ours:
            self._is_ours = False
            self._turns.deciding.release()


def names_of(commands: Iterable[Command]) -> Names:
    """Return what these commands speak of: webhooks, orders, customers, members, and keys that answers are kept under."""
    return {name for command in commands for name in _names(command)}


def _names(command: Command) -> Iterator[Hashable]:
    env = command.env
    if not isinstance(command, RecordEvent):
        member, once = getattr(command, "member", None), getattr(command, "once", None)
        if member is not None:
            yield env, member
        if once is not None:
            yield once.key
        return
    yield command.key
    for event in command.events:
        if event.order:
            yield env, event.order
        if event.customer is not None:
            yield from ((env, name) for name in (event.customer.id, event.customer.email) if name)
