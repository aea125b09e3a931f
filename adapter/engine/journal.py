"""The journal of commands: what the API changed is stored beside the webhooks, as events of the source `@api`.

So everything that ever moved a point is in one table, `members explain` leads down to it, and `rebuild` carries it
out again. A command that was refused moved nothing and is not stored.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import text

from adapter.book.working import StoredEvent
from adapter.commands import ApiCommand, BeginRedemption, EnrolMember, RecordEvent, UpdateMember
from adapter.engine.carrying import WAYS
from adapter.outcome import EventState, Outcome
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection, Engine

API = "@api"
"""The source of commands. No shop's name has this letter."""

MEMBER_FIELDS = ("member", "into", "to")
"""The fields of commands that name a member."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ApiCommand)


def entry_of(command: ApiCommand, outcome: Outcome, number: int) -> tuple[RecordEvent, StoredEvent]:
    """Return how a command that was carried out is stored: no Idempotency-Key, that is not part of what it means."""
    way = WAYS[type(command)]
    bare = msgspec.structs.replace(command, once=None)
    topic = f"{way.noun}.{outcome.state}"
    record = RecordEvent(
        env=command.env,
        source=API,
        key=_key(way.entry(command)),
        topic=topic,
        headers={},
        body=_encoder.encode(bare),
        received_at=command.received_at,
    )
    at = way.occurred_at(command)
    return record, StoredEvent(
        number, EventState.APPLIED, None, topic, way.order(command), way.member(command), at
    )


def _key(entry: str) -> bytes:
    return sha256(entry.encode()).digest()


def command_of(body: bytes, env: int, members: Counterparts) -> ApiCommand:
    """Return a stored command, for the members that stand in a book made anew for its own."""
    command: ApiCommand = _decoder.decode(body)
    others = {
        name: members.find(env, getattr(command, name))
        for name in MEMBER_FIELDS
        if getattr(command, name, None) is not None
    }
    return msgspec.structs.replace(command, **others)


def scrub(connection: Connection, members: Collection[tuple[int, int]]) -> None:
    """Take what says who they were out of the stored commands of members, and of those who were merged into them.

    A shop's customer id stays: the shop's own webhooks have it, and by it `rebuild` finds the same member.
    """
    before = select_by_keys(connection, t.members, ("env", "merged_into"), members, columns=("env", "id"))
    theirs = {*members, *((row.env, row.id) for row in before)}
    columns = ("env", "id", "body")
    personal = (
        "t.topic IN ('member.created', 'member.updated') AND t.source = '@api' AND t.emptied_at IS NULL"
    )
    rows = select_by_keys(connection, t.events, ("env", "member"), theirs, columns=columns, where=personal)
    sent = select_by_keys(
        connection,
        t.redemptions,
        ("env", "member"),
        theirs,
        columns=("env", "id"),
        where="t.shipping IS NOT NULL",
    )
    keys = [(row.env, API, _key(WAYS[BeginRedemption].entry(row))) for row in sent]
    kept = "t.emptied_at IS NULL"
    rows += select_by_keys(connection, t.events, ("env", "source", "key"), keys, columns=columns, where=kept)
    bare = [
        {"env": row.env, "id": row.id, "body": _encoder.encode(_nameless(_decoder.decode(row.body)))}
        for row in rows
    ]
    if bare:
        connection.execute(text("UPDATE events SET body = :body WHERE env = :env AND id = :id"), bare)


def _nameless(command: ApiCommand) -> ApiCommand:
    """Return a command without who it is about: their name, and where something was sent to."""
    if isinstance(command, EnrolMember):
        return msgspec.structs.replace(command, email=None, name=None, birthday=None, metadata={})
    if isinstance(command, BeginRedemption):
        return msgspec.structs.replace(command, shipping=None)
    if isinstance(command, UpdateMember):
        return UpdateMember(
            env=command.env, received_at=command.received_at, id=command.id, member=command.member
        )
    return command


class Counterparts:
    """Who stands in a book made anew for each member of the real one; learnt from the webhooks that both know.

    Their ids are drawn anew in every book, and of somebody who was forgotten nothing else is left.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], int] = {}

    def find(self, env: int, member: int) -> int:
        """Return the other book's member; one that was enrolled by a command has its id in both."""
        return self._known.get((env, member), member)

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
