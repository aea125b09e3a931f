"""An Idempotency-Key: the request is carried out once, and its repeats get the first one's answer, byte for byte.

A key belongs to one route of one environment, and to one request: path, query and body. A refusal or a failure does not
use it up, nor does a bulk request of which every item failed. Of two that race, the later one waits for the
earlier one's commit and finds its answer.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from adapter.errors import AdapterError
from adapter.store.database import in_unit_of_work
from adapter.store.idempotency import (
    RepeatKey,
    answer_claim,
    claim,
    find_answer,
    release_claim,
)
from adapter.web.errors import Answer, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from adapter.web.routing import Call, Route

    Work = Callable[[Connection | None], Answer]

HEADER = "Idempotency-Key"
REPLAYED = ("Idempotency-Replayed", "true")
KEY_MAX = 255
DAY_MS = 86_400_000


def repeat_key(call: Call, route: Route, raw: bytes, shown: str) -> RepeatKey:
    """Return a key as it is kept. Raises `Problem` where it is empty or too long."""
    if not shown.strip() or len(shown) > KEY_MAX:
        raise Problem(
            "request_invalid",
            f"An {HEADER} has 1 to {KEY_MAX} characters.",
            errors=((HEADER, "Too long, or empty."),),
        )
    path = (f"{name}={value}" for name, value in sorted(call.path.items()))
    return RepeatKey(
        key=_hash(route.method, route.path, shown),
        request=_hash(*path, call.query.model_dump_json(), raw),
        expires_at=call.now + call.parts.settings.idempotency_days * DAY_MS,
    )


class Once:
    """A request under its key. `Work` is given the connection of a unit of work, or None where it asks the door."""

    def __init__(self, call: Call, shown: str) -> None:
        assert call.repeat is not None, "it came with a key"
        self.call = call
        self._shown = shown
        self._repeat = call.repeat

    def in_one_commit(self, work: Work) -> Answer:
        """Carry it out in the unit of work that keeps the answer; whoever loses a race for the key looks again."""
        claimed = partial(self._claimed, work)
        try:
            return self._counted(in_unit_of_work(self.call.parts.engine, claimed))
        except IntegrityError:
            return self._counted(in_unit_of_work(self.call.parts.engine, claimed))

    def through_the_door(self, work: Work) -> Answer:
        """Carry it out through the door, which commits by itself, then keep the answer.

        Only for commands that may be repeated without a second effect: two that race both submit theirs, and both are
        answered what was kept first. So is a repeat after a crash between the two commits.
        """
        engine = self.call.parts.engine
        with engine.connect() as connection:
            known = self._known(connection)
        if known is not None:
            return self._counted(known)
        answer = work(None)
        try:
            return self._counted(in_unit_of_work(engine, lambda connection: self._kept(connection, answer)))
        except IntegrityError:
            with engine.connect() as connection:
                return self._counted(self._known(connection) or answer)

    def by_the_command(self, answer: Answer) -> Answer:
        """Tell what a command answered that the door keeps the answer of, in the commit of its effect."""
        answer = self._counted(answer)
        return replace(answer, headers=(*answer.headers, (HEADER, self._shown)))

    @contextmanager
    def counting_refusals(self) -> Iterator[None]:
        """Count a command that the door refused because its key was used for another request."""
        try:
            yield
        except AdapterError as error:
            if error.code == "idempotency_key_reused":
                self._count("refused")
            raise

    def _claimed(self, work: Work, connection: Connection) -> Answer:
        known = self._known(connection)
        if known is not None:
            return known
        claim(connection, self.call.env, self._repeat, self.call.now)
        return self._answered(connection, work(connection))

    def _kept(self, connection: Connection, answer: Answer) -> Answer:
        claim(connection, self.call.env, self._repeat, self.call.now)
        return self._answered(connection, answer)

    def _answered(self, connection: Connection, answer: Answer) -> Answer:
        if answer.keep:
            answer_claim(connection, self.call.env, self._repeat.key, answer.status, answer.body)
        else:
            release_claim(connection, self.call.env, self._repeat.key)
        return replace(answer, headers=(*answer.headers, (HEADER, self._shown)))

    def _known(self, connection: Connection) -> Answer | None:
        known = find_answer(connection, self.call.env, self._repeat.key, self.call.now)
        if known is None:
            return None
        if known.request != self._repeat.request:
            self._count("refused")
            raise Problem(
                "idempotency_key_reused",
                f"This {HEADER} was used for another request; take a new one.",
                errors=((HEADER, "Used for another path or body."),),
            )
        return Answer(known.status, known.answer, headers=((HEADER, self._shown), REPLAYED))

    def _counted(self, answer: Answer) -> Answer:
        self._count("repeated" if REPLAYED in answer.headers else "first")
        return answer

    def _count(self, outcome: str) -> None:
        tally = self.call.parts.tally
        tally.keyed.labels(*tally.whose(self.call.catalog, self.call.env), outcome).inc()


def _hash(*parts: str | bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()
