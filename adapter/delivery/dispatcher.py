"""The loop that sends: record what came back, claim what is due, send it on threads.

One thread owns the loop and the database; the crew only sends. A turn records all answers that are there
and claims what is due in the same commit, so its cost is shared, and no transaction is open during a request.

A crash at any point is safe: before the claim nothing happened; after it the lease runs out and another claim
sends; between an answer and its record the receiver sees the same `webhook-id` again.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import DBAPIError

from adapter.delivery import claim, guard, probe, replay
from adapter.delivery.crew import Crew, Sent
from adapter.delivery.inbox import Inbox
from adapter.delivery.record import Attempt, Recorded, record
from adapter.delivery.sender import Parcel, Sender
from adapter.delivery.settings import DeliverySettings
from adapter.delivery.slots import Key, Slots
from adapter.errors import DatabaseUnavailable
from adapter.store.database import in_unit_of_work, is_transient

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from adapter.catalog import Catalog
    from adapter.clock import Clock, Millis
    from adapter.delivery.claim import Claimed
    from adapter.store.configuration import CatalogCache
    from connectors.vendor import Vendor

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.02
"""How soon it is looked again after there was something to do; each further look takes twice as long."""


class Dispatcher:
    """Sends everything that is due. `run` is for a thread of its own; `run_once` for tests and commands.

    `part` says which of so many dispatchers of this machine it is; each endpoint belongs to one of them.
    """

    def __init__(  # noqa: PLR0913 - what the world gives it, each for itself
        self,
        engine: Engine,
        catalog: CatalogCache,
        clock: Clock,
        settings: DeliverySettings | None = None,
        *,
        vendors: Mapping[str, Vendor] | None = None,
        part: tuple[int, int] = (0, 1),
        resolve: guard.Resolve = guard.resolve,
        random: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[str] = Counter()  # attempts by how they ended: the fields of `Recorded`
        self._engine = engine
        self._catalog = catalog
        self._clock = clock
        self._settings = settings or DeliverySettings()
        self._random = random
        self._monotonic = monotonic
        self._slots = Slots(
            workers=self._settings.workers,
            slow_workers=self._settings.slow_workers,
            slow_after_s=self._settings.slow_after_s,
            line=self._settings.line,
        )
        self._inbox: Inbox[Sent | None] = Inbox()  # None only wakes the loop
        self._unrecorded: list[Attempt] = []
        self._unsent: list[Claimed] = []
        self._part = part
        self._asked: tuple[Catalog, str | None] | None = None
        self._kept_house_at = float("-inf")
        sender = Sender(self._settings, resolve=resolve, vendors=vendors)
        threads = self._settings.workers + self._settings.slow_workers
        self._crew = Crew(threads, sender, clock, self._inbox.put)

    def wake(self) -> None:
        """Say that something may be due; the loop looks at once. Callable from any thread."""
        self._inbox.put(None)

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set; then finish and record what is in flight."""
        worked_at = time.monotonic()
        while not stop.is_set():
            try:
                worked = self._turn()
            except Exception:  # the top of the loop: whatever happened, others wait to be sent
                log.exception("a turn of delivery failed")
                worked = False
            if worked:
                worked_at = time.monotonic()
            at_once = worked and not self._slots.in_flight
            self._gather(0.0 if at_once else self._pause(time.monotonic() - worked_at))
        self.drain()

    def _pause(self, quiet_s: float) -> float:
        """Return how long to wait before the next look: under a steady trickle soon, the longer it was quiet the longer."""
        return min(max(quiet_s, FIRST_PAUSE_S), self._settings.poll_s)

    def run_once(self) -> int:
        """Send everything that is due now and wait for nothing later; return the number of attempts."""
        made = 0
        self._kept_house_at = float("-inf")
        while self._turn() or self._slots.in_flight or self._unrecorded or self._unsent:
            before = len(self._unrecorded)
            self._gather(None if self._slots.in_flight else 0.0)
            made += len(self._unrecorded) - before
            if not self._slots.in_flight:
                self._kept_house_at = float("-inf")
        return made

    def drain(self) -> None:
        """Wait for what is in flight, record it, and let go of threads and connections."""
        self._crew.finish()
        while self._slots.in_flight:
            self._gather(None)
        self._crew.close()
        attempts, self._unrecorded = self._unrecorded, []
        try:
            self._note(in_unit_of_work(self._engine, partial(self._record, attempts=attempts)))
            self._unsent = []
        except DatabaseUnavailable as error:  # their leases run out, and they are sent again
            log.warning("answers could not be recorded", count=len(attempts), error=error.message)

    def _turn(self) -> bool:
        """Keep house, record, claim; return whether there was something to do."""
        try:
            fed = self._keep_house()
            return self._record_and_claim() or fed
        except (DatabaseUnavailable, DBAPIError) as error:
            if isinstance(error, DBAPIError) and not is_transient(error):
                self._record_one_by_one()
                raise
            log.warning("delivery waits for the database", error=str(error))
            return False

    def _record_and_claim(self) -> bool:
        catalog, now, now_s = self._catalog.get(), self._clock(), self._monotonic()
        if not self._unrecorded and not self._unsent and not self._rooms(catalog, now, now_s):
            return False

        def work(connection: Connection) -> tuple[Recorded, dict[Key, int], list[Claimed]]:
            recorded = self._record(connection, self._unrecorded)
            rooms = self._rooms(catalog, now, now_s, connection)
            most = {key: room * self._slots.line(catalog.endpoints[key]) for key, room in rooms.items()}
            rows = claim.candidates(connection, most, now)
            ordered = [row for row in rows if catalog.endpoints[row.env, row.endpoint].ordered]
            blocked = claim.put_off_blocked(connection, ordered, now)
            free = [row for row in rows if (row.env, row.id) not in blocked]
            claimed = claim.claim(connection, free, self._leases(free, catalog, now), now)
            return recorded, rooms if rows else {}, claimed

        recorded, rooms, claimed = in_unit_of_work(self._engine, work)
        worked = bool(rooms or self._unrecorded or self._unsent)
        self._unrecorded, self._unsent = [], []
        self._note(recorded)
        self._start(claimed, catalog, rooms)
        return worked

    def _gather(self, wait_s: float | None) -> None:
        """Wait for an answer or a wake; then linger for a moment, so that answers share a commit."""
        self._inbox.wait(1, wait_s)
        self._hear()
        until = time.monotonic() + self._settings.linger_s
        enough = 2 * self._settings.workers
        while self._slots.in_flight and 0 < len(self._unrecorded) < enough:
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            self._inbox.wait(min(self._slots.in_flight, enough - len(self._unrecorded)), left_s)
            self._hear()

    def _hear(self) -> None:
        """Take in what was told so far."""
        now_s = self._monotonic()
        for sent in self._inbox.take():
            if sent is not None:
                self._hear_of(sent, now_s)

    def _hear_of(self, sent: Sent, now_s: float) -> None:
        attempt = sent.attempt
        claimed, answer = attempt.claimed, attempt.answer
        answered, taken_s = answer.status is not None, answer.duration_ms / 1000 if answer.delivered else None
        self._slots.end(claimed.key, claimed.ticket, answered=answered, now_s=now_s, taken_s=taken_s)
        if sent.following is not None:
            self._slots.begin(attempt.endpoint, sent.following.ticket, now_s)
        self._unrecorded.append(attempt)
        self._unsent += sent.unsent

    def _record(self, connection: Connection, attempts: Sequence[Attempt]) -> Recorded:
        claim.give_back(connection, self._unsent, self._clock())
        if not attempts:
            return Recorded()
        return record(connection, attempts, self._settings, now=self._clock(), random=self._random)

    def _record_one_by_one(self) -> None:
        """Keep one answer that no database takes from holding up the others; its own lease runs out."""
        attempts, self._unrecorded, self._unsent = self._unrecorded, [], []
        for attempt in attempts:
            try:
                self._note(in_unit_of_work(self._engine, partial(self._record, attempts=[attempt])))
            except (DatabaseUnavailable, DBAPIError):
                log.exception("an answer could not be recorded", delivery=attempt.claimed.id)

    def _note(self, recorded: Recorded) -> None:
        self.counts.update(asdict(recorded))
        if recorded.dead:
            look = "loyalty-adapter deliveries list --state dead"
            log.warning("deliveries became dead letters", count=recorded.dead, look=look)
        if recorded.disabled:
            log.warning(
                "endpoints were disabled", count=recorded.disabled, look="loyalty-adapter endpoints list"
            )
        if recorded.enabled:
            log.info("endpoints answer again and were enabled", count=recorded.enabled)
        if recorded.disabled or recorded.enabled:
            self._catalog.get(fresh=True)

    def _rooms(
        self, catalog: Catalog, now: Millis, now_s: float, connection: Connection | None = None
    ) -> dict[Key, int]:
        """Return how many requests to begin to each endpoint that has something due."""
        asked = self._asked_for(catalog)
        if asked is None or not self._slots.any_free(now_s):
            return {}
        with nullcontext(connection) if connection else self._engine.connect() as reading:
            due = claim.waiting(reading, asked, now)
        able = self._slots.open_to([catalog.endpoints[key] for key in due], now_s)
        return self._slots.deal(able, now_s)

    def _asked_for(self, catalog: Catalog) -> str | None:
        """Return which endpoints to ask for, or None: written once for each state of what is configured."""
        if self._asked is None or self._asked[0] is not catalog:
            enabled = [key for key, endpoint in catalog.endpoints.items() if endpoint.state == "enabled"]
            mine = list(filter(self._is_mine, enabled))
            self._asked = catalog, claim.asked_for(mine) if mine else None
        return self._asked[1]

    def _is_mine(self, key: Key) -> bool:
        """Return whether an endpoint is this process's: each has one, so its limits hold however many processes send."""
        which, of = self._part
        return key[1] % of == which

    def _leases(self, rows: Sequence[Any], catalog: Catalog, now: Millis) -> dict[Key, Millis]:
        keys = {(row.env, row.endpoint) for row in rows}
        return {key: now + self._settings.lease_ms(catalog.endpoints[key].timeout_s) for key in keys}

    def _start(self, jobs: Sequence[Claimed], catalog: Catalog, rooms: Mapping[Key, int]) -> None:
        """Send what was claimed: an endpoint's deliveries in as many lines as it has places."""
        lines: dict[tuple[Key, int], list[tuple[Claimed, Parcel]]] = {}
        placed: Counter[Key] = Counter()
        for claimed in jobs:
            place = placed[claimed.key] % rooms[claimed.key]
            placed[claimed.key] += 1
            endpoint, live = catalog.endpoints[claimed.key], catalog.environments[claimed.env].live
            parcel = Parcel(endpoint, live, claimed.message, claimed.body)
            lines.setdefault((claimed.key, place), []).append((claimed, parcel))
        for line in lines.values():
            claimed, parcel = line[0]
            self._slots.begin(parcel.endpoint, claimed.ticket, self._monotonic())
            self._crew.start(line)

    def _keep_house(self) -> bool:
        """Feed replays and try disabled endpoints again, once in a while."""
        if time.monotonic() - self._kept_house_at < self._settings.housekeeping_s:
            return False
        self._kept_house_at = time.monotonic()
        return bool(self._feed_replays() + self._probe())

    def _feed_replays(self) -> int:
        with self._engine.connect() as connection:
            replays = replay.unfinished(connection)
        fed = 0
        for env, id_ in replays:

            def work(connection: Connection, env: int = env, id_: int = id_) -> int:
                return replay.feed(connection, env, id_, now=self._clock(), chunk=self._settings.replay_chunk)

            fed += in_unit_of_work(self._engine, work)
        return fed

    def _probe(self) -> int:
        now = self._clock()
        with self._engine.connect() as connection:
            due = [key for key in probe.due(connection, now) if self._is_mine(key)]
        if not due:
            return 0
        catalog = self._catalog.get(fresh=True)
        known = [catalog.endpoints[key] for key in due if key in catalog.endpoints]

        def work(connection: Connection) -> list[Claimed]:
            leases = {(e.env, e.id): now + self._settings.lease_ms(e.timeout_s) for e in known}
            return probe.claim_probes(connection, leases, now)

        claimed = in_unit_of_work(self._engine, work)
        self._start(claimed, catalog, dict.fromkeys(due, 1))
        return len(claimed)
