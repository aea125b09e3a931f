"""Bugs to plant into the running service: the harness must object to each. Planted in every process, before it begins."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection


@dataclass(frozen=True)
class Plant:
    """A bug: what it is in words, how to plant it, and the checks of which one at least objects."""

    what: str
    plant: Callable[[], None]
    found_by: tuple[str, ...]


def _answer_first() -> None:
    from adapter.engine.committer import Committer
    from adapter.engine.remote import _Answers
    from adapter.store.database import in_unit_of_work

    to = _Answers.to

    def sent_at_once(self: Any, number: int) -> Any:
        reply = to(self, number)

        def replied(answer: Any) -> None:
            reply(answer)
            self.flush()

        return replied

    def process(self: Any, batch: Any) -> None:
        commands = [command for command, _ in batch]

        def work(connection: Connection) -> None:
            self.turn.decide(commands)
            for (_, reply), outcome in zip(batch, self._decide(connection, commands), strict=True):
                reply(outcome)

        in_unit_of_work(self._engine, work)

    committer: Any = Committer
    answers: Any = _Answers
    committer._process, answers.to = process, sent_at_once


def _record_first() -> None:
    from adapter.delivery.answer import Answer
    from adapter.delivery.dispatcher import Dispatcher
    from adapter.delivery.record import Attempt
    from adapter.store.database import in_unit_of_work

    start = Dispatcher._start

    def recorded_start(self: Any, jobs: Any, catalog: Any, rooms: Any) -> None:
        now = self._clock()
        done = [Attempt(claimed, catalog.endpoints[claimed.key], now, Answer(200, 1)) for claimed in jobs]
        in_unit_of_work(self._engine, lambda connection: self._record(connection, done))
        start(self, jobs, catalog, rooms)

    made: Any = Dispatcher
    made._start = recorded_start


def _forget_keys() -> None:
    from adapter.web import asking

    vars(asking)["once_of"] = lambda _call: None


def _write_anew() -> None:
    from adapter.delivery.sender import Sender

    request = Sender._request

    def written(self: Any, parcel: Any, now: int, keys: Any) -> Any:
        return request(self, replace(parcel, body=parcel.body + b" " * random.randrange(1, 40)), now, keys)

    made: Any = Sender
    made._request = written


def _lock_nothing() -> None:
    from adapter.store import bulk

    by_keys = bulk.by_keys

    def unlocked(*given: Any, lock: bool = False, **named: Any) -> Any:
        return by_keys(*given, lock=False, **named)

    vars(bulk)["by_keys"] = unlocked


PLANTS = {
    "answer first": Plant(
        "the door answers before it commits",
        _answer_first,
        ("answered webhooks are there", "answers are kept", "orders as undisturbed"),
    ),
    "record first": Plant(
        "a delivery is recorded before it is sent", _record_first, ("messages reached the lying one",)
    ),
    "forget keys": Plant(
        "an Idempotency-Key is not passed on to the book", _forget_keys, ("transactions as undisturbed",)
    ),
    "write anew": Plant(
        "a message's body is written anew for each attempt", _write_anew, ("one id has one body",)
    ),
    "lock nothing": Plant(
        "doors lock no rows on PostgreSQL", _lock_nothing, ("balances as undisturbed", "audit")
    ),
}
