"""`/metrics` for Prometheus: what this process counts, and what waits in the database."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from adapter.store.reading.gauges import Gauges, Label, read_gauges
from adapter.store.reading.snapshot import snapshot
from adapter.store.verdict import VerdictFile
from adapter.web.errors import Answer, Problem
from adapter.web.wire import headers_of

if TYPE_CHECKING:
    from pathlib import Path

    from adapter.clock import Millis
    from adapter.store.reading.lags import Lags
    from adapter.web.parts import Parts

log = structlog.get_logger()

ENVIRONMENT = ("tenant", "mode")

Page = Callable[[dict[str, Any]], Answer]


def pages(parts: Parts) -> Mapping[str, Page]:
    """Return `/metrics`."""
    waiting = Waiting(parts)

    def metrics(environ: dict[str, Any]) -> Answer:
        check_token(parts.settings.metrics_token, environ)
        figures = CollectorRegistry()
        figures.register(waiting)
        body = generate_latest(parts.tally.registry()) + generate_latest(figures)
        return Answer(200, body, CONTENT_TYPE_LATEST)

    return {"/metrics": metrics}


def check_token(token: str | None, environ: Mapping[str, Any]) -> None:
    """Raise `Problem` (401) where a token is configured and the request does not carry it."""
    if token is None:
        return
    sent = headers_of(environ).get("authorization", "")
    if not hmac.compare_digest(sent.encode("utf-8", "replace"), f"Bearer {token}".encode()):
        raise Problem(
            "api_key_invalid", "/metrics asks for `Authorization: Bearer <the configured metrics token>`."
        )


class Waiting(Collector):
    """The database's figures, read now and then; while it does not answer, `loyalty_database_up` is 0."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._read_at: Millis | None = None
        self._gauges: Gauges | None = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name nothing beforehand: registering must not read the database."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """Yield the figures."""
        gauges = self._figures()
        yield _single("loyalty_database_up", "Whether the database answers.", 0 if gauges is None else 1)
        for name, value in sorted(self._parts.gauges().items()):
            yield _single(name, "See the process that reports it.", value)
        yield from _audited(self._parts.settings.verdict)
        if gauges is not None:
            yield from _stored(gauges)
            yield _removed(gauges)
            yield from _behind(gauges.lags)

    def _figures(self) -> Gauges | None:
        now = self._parts.clock()
        with self._lock:
            fresh = (
                self._read_at is not None and 0 <= now - self._read_at < self._parts.settings.gauges_cache_ms
            )
            if not fresh:
                self._gauges = self._read(now)
                self._read_at = now
            return self._gauges

    def _read(self, now: Millis) -> Gauges | None:
        try:
            with snapshot(self._parts.engine) as connection:
                return read_gauges(connection, now)
        except SQLAlchemyError as error:
            log.warning("metrics.database", reason=str(error))
            return None


def _stored(gauges: Gauges) -> Iterable[GaugeMetricFamily]:
    """Yield what is there and what waits."""
    yield _single(
        "loyalty_oldest_due_seconds", "Age of the delivery that is due longest.", gauges.oldest_due_s
    )
    for name, text, labels, values in (
        ("deliveries", "Deliveries that are not delivered, by state.", ("state",), gauges.deliveries),
        ("events_set_aside", "Stored events that are not applied, by state.", ("state",), gauges.events),
        ("orders_without_member", "Orders whose member is not known yet.", (), gauges.orders_without_member),
        ("members", "Active members.", (), gauges.members),
        ("endpoints", "Endpoints, by state.", ("state",), gauges.lags.endpoints),
        ("stream_unpublished", "Messages that the stream's broker lacks.", (), gauges.lags.unpublished),
        (
            "points",
            "Points of all members, by balance definition and account, in its smallest units.",
            ("program", "balance_definition", "account"),
            gauges.balances,
        ),
    ):
        yield _family(f"loyalty_{name}", text, (*ENVIRONMENT, *labels), values)


def _removed(gauges: Gauges) -> CounterMetricFamily:
    text = "Rows that retention removed, by table; of events their headers and bodies."
    family = CounterMetricFamily("loyalty_rows_removed", text, labels=(*ENVIRONMENT, "table"))
    for label, rows in sorted(gauges.removed.items()):
        family.add_metric(label, rows)
    return family


def _behind(lags: Lags) -> Iterable[GaugeMetricFamily]:
    """Yield how far the work is behind."""
    overdue = "Time since the balance that is due longest should have been swept."
    yield _single("loyalty_sweep_behind_seconds", overdue, lags.sweep_s)
    oldest = "Age of the oldest message that the event stream's broker does not have yet."
    yield _single("loyalty_stream_behind_seconds", oldest, lags.unpublished_s)
    for name, text, labels, values in (
        ("book_lag", "Longest time from receipt to commit among the last minutes' events.", (), lags.book_s),
        (
            "events_oldest_set_aside",
            "Age of the oldest event that is parked or rejected.",
            ("state",),
            lags.set_aside_s,
        ),
        (
            "credit_delay",
            "Mean time until the points of the newest credits could be used.",
            (),
            lags.credit_s,
        ),
    ):
        yield _family(f"loyalty_{name}_seconds", text, (*ENVIRONMENT, *labels), values)


def _audited(file: Path | None) -> Iterable[GaugeMetricFamily]:
    """Yield what the last audit left; without one it ended in 1970, which is long ago for any alert."""
    verdict = None if file is None else VerdictFile(file).read()
    ended = "When the last audit ended, in seconds since 1970; 0: there was none."
    yield _single("loyalty_audit_timestamp_seconds", ended, 0 if verdict is None else verdict.ended_at / 1000)
    if verdict is not None:
        found = "Places where the last audit found the book wrong."
        yield _single("loyalty_audit_violations", found, verdict.violations)
        yield _single("loyalty_audit_duration_seconds", "How long it took.", verdict.took_ms / 1000)


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _family(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[Label, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for label, value in sorted(values.items()):
        family.add_metric(label, value)
    return family
