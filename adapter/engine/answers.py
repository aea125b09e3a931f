"""Answers under an Idempotency-Key, found and kept in the commit that they tell of.

A refusal is not kept: who is refused may ask again under the same key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from adapter.outcome import Outcome
from adapter.store import tables as t
from adapter.store.bulk import bulk_insert, select_by_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from adapter.clock import Millis
    from adapter.commands import Command, Once

COLUMNS = ("env", "key", "request", "status", "answer", "expires_at")
OUTCOME = 0  # in the column `status`: the answer is an outcome, which the web turns into a response
REUSED = Outcome(error="idempotency_key_reused", reason="This Idempotency-Key was used for another request.")

AnswerKey = tuple[int, bytes]
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Outcome)


class Answers:
    """What was answered under the keys of a batch: before it, and in it."""

    def __init__(self, connection: Connection, commands: Iterable[Command], now: Millis) -> None:
        self._now = now
        self._over: list[Any] = []
        self._stored: dict[AnswerKey, tuple[bytes, Outcome]] = {}
        self._new: dict[AnswerKey, tuple[Once, Outcome]] = {}
        self._read(connection, commands)

    def _read(self, connection: Connection, commands: Iterable[Command]) -> None:
        keys = {key for command in commands if (key := _key_of(command)) is not None}
        for row in select_by_keys(connection, t.idempotency_keys, ("env", "key"), keys, columns=COLUMNS):
            if row.expires_at <= self._now:
                self._over.append(row)
            else:
                found = bytes(row.request), _decoder.decode(row.answer)
                self._stored[row.env, bytes(row.key)] = found

    def look_again(self, connection: Connection, refused: Iterable[Command]) -> bool:
        """Look once more for the answers to commands that are about to be refused; return whether there are some now.

        Another door may have carried out the same command while this one waited for its rows: what it answered is the
        answer then, and not that there is nothing left to do.
        """
        missing = [command for command in refused if _key_of(command) not in self._stored]
        before = len(self._stored)
        self._read(connection, missing)
        return len(self._stored) > before

    def forget_new(self) -> None:
        """Forget the answers of this batch: it is decided again."""
        self._new.clear()

    def find(self, command: Command) -> Outcome | None:
        """Return the first answer, marked as a repeat; or that the key was used for something else."""
        key, once = _key_of(command), _once_of(command)
        if key is None or once is None:
            return None
        if key in self._new:
            first, outcome = self._new[key]
            request = first.request
        elif key in self._stored:
            request, outcome = self._stored[key]
        else:
            return None
        return msgspec.structs.replace(outcome, duplicate=True) if request == once.request else REUSED

    def keep(self, command: Command, outcome: Outcome) -> None:
        """Remember an answer, for the rest of the batch too."""
        key, once = _key_of(command), _once_of(command)
        if key is not None and once is not None:
            self._new[key] = (once, outcome)

    def write(self, connection: Connection) -> None:
        """Write the new answers; a key whose time is over makes room. Raises `IntegrityError` if a key is taken."""
        for row in self._over:
            if (row.env, bytes(row.key)) in self._new:
                keys = t.idempotency_keys
                connection.execute(keys.delete().where(keys.c.env == row.env, keys.c.key == bytes(row.key)))
        rows = [
            (env, key, once.request, OUTCOME, _encoder.encode(outcome), once.ends_at)
            for (env, key), (once, outcome) in sorted(self._new.items(), key=lambda item: item[0])
        ]
        bulk_insert(connection, t.idempotency_keys, rows, COLUMNS)


def _once_of(command: Command) -> Once | None:
    """Return the Idempotency-Key of a command that has one."""
    return getattr(command, "once", None)


def _key_of(command: Command) -> AnswerKey | None:
    """Return the key of the answer, or None for a command without an Idempotency-Key."""
    once = _once_of(command)
    return None if once is None else (command.env, once.key)
