"""The journal of commands: what the API changed is stored beside the webhooks, as events of the source `@api`.

So everything that ever moved a point is in one table, `members explain` leads down to it, and `rebuild` carries it
out again. A command that was refused moved nothing and is not stored.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from adapter.book.working import StoredEvent
from adapter.commands import (
    BeginTransaction,
    EndTransaction,
    EventState,
    Outcome,
    RecordEvent,
    TransactionCommand,
)
from adapter.store import tables as t
from adapter.store.database import select_by_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

    from adapter.clock import Millis

API = "@api"
"""The source of commands. No shop's name has this letter."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TransactionCommand)


def entry_of(command: TransactionCommand, outcome: Outcome, number: int) -> tuple[RecordEvent, StoredEvent]:
    """Return how a command that was carried out is stored: no Idempotency-Key, that is not part of what it means."""
    bare = msgspec.structs.replace(command, once=None)
    topic = f"transaction.{outcome.state}"
    record = RecordEvent(
        env=command.env,
        source=API,
        key=_key(command),
        topic=topic,
        headers={},
        body=_encoder.encode(bare),
        received_at=command.received_at,
    )
    at: Millis = command.occurred_at if isinstance(command, BeginTransaction) else command.received_at
    return record, StoredEvent(number, EventState.APPLIED, None, topic, None, command.member, at)


def command_of(body: bytes, member: int) -> TransactionCommand:
    """Return a stored command, for the member that stands in a book made anew for its own."""
    command: TransactionCommand = _decoder.decode(body)
    return msgspec.structs.replace(command, member=member)


class Counterparts:
    """Who stands in a book made anew for each member of the real one; learnt from the webhooks that both know.

    Their ids are drawn anew in every book, and of somebody who was forgotten nothing else is left.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], int] = {}

    def find(self, env: int, member: int) -> int | None:
        """Return the other book's member."""
        return self._known.get((env, member))

    def learn(self, scratch: Engine, rows: Iterable[Any]) -> None:
        """Learn from stored webhooks (`env`, `source`, `key`, `member`) that the other book has just taken in."""
        new = {
            (row.env, row.source, bytes(row.key)): row.member
            for row in rows
            if row.member is not None and (row.env, row.member) not in self._known
        }
        names = ("env", "source", "key")
        with scratch.connect() as connection:
            for row in select_by_keys(connection, t.events, names, new, columns=(*names, "member")):
                if row.member is not None:
                    self._known[row.env, new[row.env, row.source, bytes(row.key)]] = row.member


def _key(command: TransactionCommand) -> bytes:
    """Return the key of the entry: a transaction begins once, and ends once."""
    if isinstance(command, EndTransaction):
        return sha256(b"end:%d" % command.transaction).digest()
    return sha256(b"begin:%d" % command.id).digest()
