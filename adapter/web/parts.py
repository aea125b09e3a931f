"""What the web is made of, passed in by the composition root; and the few figures that limit it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapter.errors import DatabaseUnavailable
from adapter.store.database import is_transient
from adapter.web.tally import Tally

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from sqlalchemy import Engine

    from adapter.catalog import Catalog
    from adapter.clock import Clock, Millis
    from adapter.commands import Command
    from adapter.outcome import Outcome
    from adapter.store.configuration import CatalogCache
    from adapter.web.dialects import Dialect
    from adapter.web.lookups import Lookups
    from connectors.base import Connector

log = structlog.get_logger()

Result = TypeVar("Result")

ASK_AGAIN_AFTER_MS = 1000
LOOK_FOR_S = 2.0


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Limits of the HTTP side, in bytes, milliseconds and days."""

    max_body: int = 1024 * 1024  # of a webhook or an API request; beyond it 413
    threads: int = 16  # requests to the API that are worked on at once
    retry_after_s: int = 2  # what a 503 asks for
    key_cache_ms: int = 1000  # how long a revoked key may live on
    idempotency_days: int = 1  # how long an Idempotency-Key is remembered
    rate_per_s: int = 0  # requests a second of one API key, in each web process; 0: no limit
    rate_burst: int = 100  # how many of them may come at once
    expiring_days: int = 30  # the horizon of `expiring.amount`
    gauges_cache_ms: int = 10_000  # how old the database's figures in /metrics may be
    log_requests: bool = False  # requests and answers go to the log, but for secrets
    metrics_token: str | None = field(
        default=None, repr=False
    )  # with it /metrics asks for `Authorization: Bearer`
    verdict: Path | None = None  # the file in which `audit` leaves its result
    egress: tuple[str, ...] = ()  # from which addresses webhooks are sent, for subscribers' firewalls
    dialect_hosts: Mapping[str, str] = field(default_factory=dict)  # host name → the prefix it stands for
    console: bool = True  # whether /console is served
    console_secret: str | None = field(default=None, repr=False)  # what its sessions are signed with
    console_secret_file: Path | None = None  # where such a secret is made and kept if none was given
    public_url: str = "http://127.0.0.1:8000"  # where the examples of /docs send to


class LastCatalog:
    """The newest catalog that could be had: while the database is away, the one before it.

    One request at a time looks for a newer one, the others go on with what there is; after a failure nobody
    asks again for a second, so that a dead database costs a request nothing.
    """

    def __init__(self, cache: CatalogCache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._looking = threading.Lock()
        self._last: Catalog | None = None
        self._failed_at: Millis | None = None
        self._forced_at: Millis | None = None

    def get(self) -> Catalog:
        """Return a catalog at most a second old while the database answers.

        Raises `DatabaseUnavailable` when there has never been one.
        """
        if self._last is None:
            with self._looking:
                return self._last or self._look(fresh=False)
        if self._looking.acquire(blocking=False):
            try:
                return self._look(fresh=False)
            finally:
                self._looking.release()
        return self._last

    def at_hand(self) -> Catalog | None:
        """Return the one that `get` would return without a look at the database; None where it takes a look."""
        looking_or_failed = self._looking.locked() or _within(self._failed_at, self._clock())
        return self._last if looking_or_failed or self._cache.fresh else None

    def renewed(self) -> Catalog:
        """Return one that was just read, for a name the last one does not know; at most once a second.

        Raises `DatabaseUnavailable` where somebody else has been looking for so long that the database must hang.
        """
        now = self._clock()
        if not self._looking.acquire(timeout=LOOK_FOR_S):
            raise DatabaseUnavailable
        try:
            if self._last is not None and _within(self._forced_at, now):
                return self._last
            self._forced_at = now
            return self._look(fresh=True)
        finally:
            self._looking.release()

    def learn(self, catalog: Catalog) -> None:
        """Take a newer one that a request just read, because it had to know."""
        with self._looking:
            self._cache.learn(catalog)
            if self._last is None or catalog.version > self._last.version:
                self._last = catalog

    def _look(self, *, fresh: bool) -> Catalog:
        now = self._clock()
        if self._last is not None and _within(self._failed_at, now):
            return self._last
        try:
            self._last = self._cache.get(fresh=fresh)
            self._failed_at = None
        except (DBAPIError, PoolTimeout) as error:
            if isinstance(error, DBAPIError) and not is_transient(error):
                raise
            self._failed_at = now
            if self._last is None:
                raise DatabaseUnavailable from error
            log.warning("catalog.kept", reason=str(error))
        return self._last


def _within(earlier: Millis | None, now: Millis) -> bool:
    return earlier is not None and now - earlier < ASK_AGAIN_AFTER_MS


def _nothing_to_check() -> None:
    return None


def _nothing_to_attach(_loop: AbstractEventLoop) -> None:
    return None


def _no_figures() -> Mapping[str, float]:
    return {}


class Wait(Protocol):
    """Waits in a thread for a coroutine that runs on the event loop, and returns or raises what that does."""

    def __call__(self, work: Coroutine[Any, Any, Result]) -> Result: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a request can reach. `ready` raises `Unavailable` while the door takes no commands."""

    offer: Callable[[Command], Coroutine[Any, Any, Outcome]]  # on the event loop
    wait: Wait  # in a thread beside the loop, for what is done on it
    lookups: Lookups
    catalog: LastCatalog
    engine: Engine
    clock: Clock
    connectors: Mapping[str, Connector]
    dialects: tuple[Dialect, ...] = ()
    settings: WebSettings = WebSettings()
    attach: Callable[[AbstractEventLoop], None] = _nothing_to_attach
    ready: Callable[[], None] = _nothing_to_check
    gauges: Callable[[], Mapping[str, float]] = _no_figures  # the door's and dispatcher's own, by metric name
    tally: Tally = field(default_factory=Tally)

    def submit(self, command: Command) -> Outcome:
        """Offer a command from a thread beside the loop, and wait until it is durable."""
        return self.wait(self.offer(command))
