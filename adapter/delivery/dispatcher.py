"""The loop that sends: record what came back, claim what is due, send it on threads.

One thread owns the loop and the database; the workers only send. A turn records all answers that are there
and claims what is due in the same commit, so its cost is shared, and no transaction is open during a request.

A crash at any point is safe: before the claim nothing happened; after it the lease runs out and another claim
sends; between an answer and its record the receiver sees the same `webhook-id` again.
"""

from __future__ import annotations

import queue
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import DBAPIError

from adapter.catalog import Catalog, Endpoint
from adapter.delivery import claim, guard, probe, replay
from adapter.delivery.answer import Answer
from adapter.delivery.claim import Claimed
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

    from adapter.clock import Clock, Millis
    from adapter.store.configuration import CatalogCache
    from connectors.vendor import Vendor

log = structlog.get_logger(__name__)

Job = tuple[Claimed, Endpoint]

FIRST_PAUSE_S = 0.02
"""How soon it is looked again after there was something to do; each further look takes twice as long."""


class Dispatcher:
    """Sends everything that is due. `run` is for a thread of its own; `run_once` for tests and commands."""

    def __init__(  # noqa: PLR0913 - what the world gives it, each for itself
        self,
        engine: Engine,
        catalog: CatalogCache,
        clock: Clock,
        settings: DeliverySettings | None = None,
        *,
        vendors: Mapping[str, Vendor] | None = None,
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
        self._sender = Sender(self._settings, resolve=resolve, vendors=vendors)
        self._slots = Slots(
            workers=self._settings.workers,
            slow_workers=self._settings.slow_workers,
            slow_after_s=self._settings.slow_after_s,
        )
        self._inbox: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()  # None only wakes the loop
        self._unrecorded: list[Attempt] = []
        self._kept_house_at = float("-inf")
        self._pool = ThreadPoolExecutor(
            self._settings.workers + self._settings.slow_workers, thread_name_prefix="delivery"
        )

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
        while self._turn() or self._slots.in_flight or self._unrecorded:
            before = len(self._unrecorded)
            self._gather(None if self._slots.in_flight else 0.0)
            made += len(self._unrecorded) - before
            if not self._slots.in_flight:
                self._kept_house_at = float("-inf")
        return made

    def drain(self) -> None:
        """Wait for what is in flight, record it, and let go of threads and connections."""
        while self._slots.in_flight:
            self._gather(None)
        self._pool.shutdown()
        self._sender.close()
        attempts, self._unrecorded = self._unrecorded, []
        try:
            self._note(in_unit_of_work(self._engine, partial(self._record, attempts=attempts)))
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
        enabled = [endpoint for endpoint in catalog.endpoints.values() if endpoint.state == "enabled"]
        able = {(each.env, each.id): each for each in self._slots.open_to(enabled, now_s)}
        if not self._unrecorded and not self._rooms(able, now, now_s):
            return False

        def work(connection: Connection) -> tuple[Recorded, bool, list[Claimed]]:
            recorded = self._record(connection, self._unrecorded)
            rows = claim.candidates(connection, self._rooms(able, now, now_s, connection), now)
            ordered = [row for row in rows if able[row.env, row.endpoint].ordered]
            blocked = claim.put_off_blocked(connection, ordered, now)
            free = [row for row in rows if (row.env, row.id) not in blocked]
            return recorded, bool(rows), claim.claim(connection, free, self._leases(free, able, now), now)

        recorded, found, claimed = in_unit_of_work(self._engine, work)
        worked = found or bool(self._unrecorded)
        self._unrecorded = []
        self._note(recorded)
        self._start([(each, able[each.key]) for each in claimed], catalog)
        return worked

    def _gather(self, wait_s: float | None) -> None:
        """Wait for an answer or a wake; then linger for a moment, so that answers share a commit."""
        self._take(wait_s)
        until = time.monotonic() + self._settings.linger_s
        while self._slots.in_flight and len(self._unrecorded) < self._settings.workers // 2:
            left_s = until - time.monotonic()
            if left_s <= 0 or not self._unrecorded:
                break
            self._take(left_s)
        while not self._inbox.empty():
            self._take(0.0)

    def _take(self, wait_s: float | None) -> None:
        try:
            attempt = self._inbox.get(timeout=wait_s) if wait_s != 0.0 else self._inbox.get_nowait()
        except queue.Empty:
            return
        if attempt is not None:
            ticket = (attempt.claimed.id, attempt.claimed.fence)
            answered = attempt.answer.status is not None
            self._slots.end(attempt.claimed.key, ticket, answered=answered, now_s=self._monotonic())
            self._unrecorded.append(attempt)

    def _record(self, connection: Connection, attempts: Sequence[Attempt]) -> Recorded:
        if not attempts:
            return Recorded()
        return record(connection, attempts, self._settings, now=self._clock(), random=self._random)

    def _record_one_by_one(self) -> None:
        """Keep one answer that no database takes from holding up the others; its own lease runs out."""
        attempts, self._unrecorded = self._unrecorded, []
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
        self, able: dict[Key, Endpoint], now: Millis, now_s: float, connection: Connection | None = None
    ) -> dict[Key, int]:
        """Return how many deliveries to claim for each endpoint that has some due."""
        if not able:
            return {}
        most = 2 * (self._settings.workers + self._settings.slow_workers)
        with nullcontext(connection) if connection else self._engine.connect() as reading:
            waiting = claim.waiting(reading, able, now, most=most)
        return self._slots.deal([able[key] for key in waiting], now_s)

    def _leases(self, rows: Sequence[Any], endpoints: dict[Key, Endpoint], now: Millis) -> dict[Key, Millis]:
        keys = {(row.env, row.endpoint) for row in rows}
        return {key: now + self._settings.lease_ms(endpoints[key].timeout_s) for key in keys}

    def _start(self, jobs: Sequence[Job], catalog: Catalog) -> None:
        for claimed, endpoint in jobs:
            self._slots.begin(endpoint, (claimed.id, claimed.fence), self._monotonic())
            parcel = Parcel(endpoint, catalog.environments[claimed.env].live, claimed.message, claimed.body)
            self._pool.submit(self._send, claimed, parcel)

    def _send(self, claimed: Claimed, parcel: Parcel) -> None:
        now = self._clock()
        try:
            answer = self._sender.send(parcel, now)
        except Exception as error:
            log.exception("a request failed in a way nobody thought of", delivery=claimed.id)
            answer = Answer(None, 0, f"internal: {type(error).__name__}")
        self._inbox.put(Attempt(claimed, parcel.endpoint, now, answer))

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
            due = probe.due(connection, now)
        if not due:
            return 0
        catalog = self._catalog.get(fresh=True)
        known = [catalog.endpoints[key] for key in due if key in catalog.endpoints]

        def work(connection: Connection) -> list[Claimed]:
            leases = {(e.env, e.id): now + self._settings.lease_ms(e.timeout_s) for e in known}
            return probe.claim_probes(connection, leases, now)

        claimed = in_unit_of_work(self._engine, work)
        self._start([(each, catalog.endpoints[each.key]) for each in claimed], catalog)
        return len(claimed)
