"""Answers given under an Idempotency-Key, kept in the commit that they tell of.

A key is claimed before the work is done: whoever asks the same at the same moment waits for that commit, and then finds
its answer. What is rolled back was never claimed, so a refusal does not burn a key. `retention.py` removes what is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select, update

from adapter.store import tables as t

if TYPE_CHECKING:
    from adapter.clock import Millis

UNANSWERED = 0
"""The status of a claim; never seen from outside the unit of work that claims and answers."""


@dataclass(frozen=True, slots=True)
class RepeatKey:
    """An Idempotency-Key as it is kept: digests of the key with its route, and of what was asked under it."""

    key: bytes
    request: bytes
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer: the digest of the request that got it, and what it was."""

    request: bytes
    status: int
    answer: bytes
    expires_at: Millis


def find_answer(connection: Connection, env: int, key: bytes, now: Millis) -> Kept | None:
    """Return what was answered under this key and is still remembered."""
    keys = t.idempotency_keys.c
    row = connection.execute(
        select(keys.request, keys.status, keys.answer, keys.expires_at).where(
            keys.env == env,
            keys.key == key,
            keys.expires_at > now,
        ),
    ).one_or_none()
    return None if row is None else Kept(*row)


def claim(connection: Connection, env: int, repeat: RepeatKey, now: Millis) -> None:
    """Take the key, and wait for whoever is about to take it. Raises `IntegrityError` where it is taken."""
    keys = t.idempotency_keys
    connection.execute(
        delete(keys).where(keys.c.env == env, keys.c.key == repeat.key, keys.c.expires_at <= now)
    )
    connection.execute(
        insert(keys).values(
            env=env,
            key=repeat.key,
            request=repeat.request,
            status=UNANSWERED,
            answer=b"",
            expires_at=repeat.expires_at,
        ),
    )


def answer_claim(connection: Connection, env: int, key: bytes, status: int, answer: bytes) -> None:
    """Remember the answer under a key that this unit of work has claimed."""
    keys = t.idempotency_keys
    mine = update(keys).where(keys.c.env == env, keys.c.key == key)
    connection.execute(mine.values(status=status, answer=answer))


def release_claim(connection: Connection, env: int, key: bytes) -> None:
    """Give a key back that this unit of work has claimed."""
    keys = t.idempotency_keys
    connection.execute(delete(keys).where(keys.c.env == env, keys.c.key == key))
