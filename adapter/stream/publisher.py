"""Messages out: what was committed goes to the broker, in the order of ids, and is marked once it is acknowledged.

No transaction is open while the broker is waited for. A crash at any point is safe: before the broker has a message
nothing happened; between its answer and our mark the message is published again under the same name, which it knows.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.errors import DatabaseUnavailable
from adapter.store.database import in_unit_of_work
from adapter.stream import outbox
from adapter.stream.broker import Parcel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine

    from adapter.catalog import Environment
    from adapter.clock import Clock, Millis
    from adapter.store.configuration import CatalogCache
    from adapter.stream.broker import Broker
    from adapter.stream.settings import StreamSettings

STOP_WITHIN_S = 0.5
LEASE_MS = 30_000
LEFT_MS = 15_000
"""A lease that is about to end is made longer first: a batch must be through with the broker before another begins."""

_NOT_IN_SUBJECTS = re.compile(r"[^A-Za-z0-9_-]")


class Publisher:
    """Brings messages to one stream. Any number of them may run: one at a time has the lease.

    `holder` names us, and whoever takes our place when we died: that one need not wait for our lease to end.
    """

    def __init__(
        self,
        engine: Engine,
        catalog: CatalogCache,
        broker: Broker,
        clock: Clock,
        settings: StreamSettings,
        *,
        holder: str,
    ) -> None:
        assert settings.publish, "there is a stream to publish to"
        self._engine = engine
        self._catalog = catalog
        self._broker = broker
        self._clock = clock
        self._settings = settings
        self._lease = outbox.Lease(settings.publish, holder, 0)
        self._begun = False
        self._woken = threading.Event()

    def wake(self) -> None:
        """Say that something may be there. Who lets another one publish goes on looking now and then."""
        if self._lease.until:
            self._woken.set()

    def rest(self, stop: threading.Event) -> None:
        """Wait until woken or told to stop, at most as long as one waits between two looks."""
        left_s = self._settings.poll_s
        while left_s > 0 and not stop.is_set() and not self._woken.wait(min(left_s, STOP_WITHIN_S)):
            left_s -= STOP_WITHIN_S
        self._woken.clear()

    def turn(self) -> bool:
        """Publish a batch; return whether there was one.

        Raises `DatabaseUnavailable` or the database's error, and `BrokerUnavailable`; all of it may be tried again.
        """
        if not self._begun:
            in_unit_of_work(self._engine, outbox.begin)
            self._begun = True
        known = self._catalog.get().environments
        with self._engine.connect() as connection:
            rows = outbox.waiting(connection, known.keys(), self._settings.publish_batch)
        if not rows or not self._held():
            return False
        kept = rows[: self._broker.publish(self._lease.stream, self._parcels(known, rows))]
        now = self._clock()
        lease = self._longer(now)
        mark = partial(outbox.published, lease=lease, rows=kept, now=now)
        self._lease = lease if in_unit_of_work(self._engine, mark) else replace(lease, until=0)
        return True

    def close(self) -> None:
        """Let another one publish at once, instead of when the lease is over."""
        with suppress(DatabaseUnavailable):
            in_unit_of_work(self._engine, partial(outbox.let_go, lease=self._lease))

    def _held(self) -> bool:
        """Return whether we may publish now: the lease is ours for long enough."""
        now = self._clock()
        if self._lease.until - now > LEFT_MS:
            return True
        lease = self._longer(now)
        held = in_unit_of_work(self._engine, partial(outbox.hold, lease=lease, now=now))
        self._lease = lease if held else replace(lease, until=0)
        return held

    def _longer(self, now: Millis) -> outbox.Lease:
        return replace(self._lease, until=now + LEASE_MS)

    def _parcels(self, known: Mapping[int, Environment], rows: Sequence[Any]) -> list[Parcel]:
        return [parcel_of(self._settings.subject, known[row.env], row) for row in rows]


def parcel_of(prefix: str, environment: Environment, row: Any) -> Parcel:
    """Return a message as it is published: the bytes that a webhook carries, and the facts to route it by.

    Its name says the environment too: ids are drawn apart in each, and the broker takes a name only once.
    """
    shown = ids.show("msg", row.id)
    tenant = _NOT_IN_SUBJECTS.sub("_", environment.tenant)
    headers = {"webhook-id": shown, "webhook-timestamp": str(row.created_at // 1000)}
    if row.member is not None:
        headers["loyalty-member"] = ids.show("mem", row.member)
    if row.sequence is not None:
        headers["loyalty-sequence"] = str(row.sequence)
    subject = f"{prefix}.{tenant}.{environment.mode}.{row.type}"
    return Parcel(f"{row.env}.{shown}", subject, headers, row.body)
