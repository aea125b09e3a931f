"""What this process counts: requests, received events, refused signatures.

With `PROMETHEUS_MULTIPROC_DIR` set, prometheus_client keeps the counts in files that all processes share, and
a scrape of any of them shows the sum; otherwise each process shows its own.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from adapter.catalog import Catalog

disable_created_metrics()  # type: ignore[no-untyped-call]  # - the library has no types; they double every series

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def method_label(method: str) -> str:
    """Return the method's label: a stranger may send any word as a method, and each label stays for ever."""
    return method if method in METHODS else "other"


class Tally:
    """The counters of one application. Labels are configured names, or names that the code knows."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self.events = self._counter(
            "loyalty_events_received",
            "Authentic webhooks, by source and what became of them.",
            ("source", "outcome"),
        )
        self.duplicates = self._counter(
            "loyalty_events_duplicate",
            "Webhooks that had been stored before.",
            ("source",),
        )
        self.refused = self._counter(
            "loyalty_signatures_refused",
            "Webhooks whose signature did not match.",
            ("source",),
        )
        self.turned_away = self._counter(
            "loyalty_events_turned_away",
            "Webhooks that were answered 503, to be sent again.",
            ("reason",),
        )
        self.limited = self._counter(
            "loyalty_requests_limited",
            "Requests that were answered 429, by the environment of their key.",
            ("tenant", "mode"),
        )
        self.keyed = self._counter(
            "loyalty_requests_keyed",
            "Requests with an Idempotency-Key: carried out first, repeated, or refused because the key was used "
            "for another request.",
            ("tenant", "mode", "outcome"),
        )
        self.failures = self._counter(
            "loyalty_request_failures",
            "Requests that were refused or failed, by route and by the code of the problem they were answered.",
            ("method", "route", "code"),
        )
        self.requests = Histogram(
            "loyalty_request_seconds",
            "Time to answer a request, by route.",
            ("method", "route", "status"),
            registry=self._own,
            buckets=_BUCKETS,
        )

        self.received = cache(self.events.labels)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self._own)

    @staticmethod
    def whose(catalog: Catalog, env: int) -> tuple[str, str]:
        """Return the labels of an environment: tenant and mode."""
        environment = catalog.environments.get(env)
        return ("unknown", "unknown") if environment is None else (environment.tenant, environment.mode)

    def registry(self) -> CollectorRegistry:
        """Return what a scrape shows: this process's counts, or those of all processes."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._own
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # - the library has no types
        return shared
