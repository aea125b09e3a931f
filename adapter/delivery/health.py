"""Whether an endpoint is well: pure rules over what its attempts brought.

It is disabled when it failed for long *and* often: a burst during a deploy is neither, and a quiet endpoint
with one failure a day is not often. A disabled endpoint is tried again by itself, after an hour and then each
time after twice as long (at least daily); one success and it is back, with everything that was held. Only 410
and a person's own decision are final.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.clock import Millis
    from adapter.delivery.answer import Answer
    from adapter.delivery.settings import DeliverySettings

FAILING = "failing"
GONE = "gone"
MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Health:
    """An endpoint's state, as its row keeps it. `changed_at` is when it was last enabled or disabled."""

    enabled: bool
    reason: str | None = None
    failing_since: Millis | None = None
    failures: int = 0
    probe_at: Millis | None = None
    changed_at: Millis = 0

    @property
    def heals(self) -> bool:
        """Return whether it is tried again by itself."""
        return not self.enabled and self.reason == FAILING


def after(health: Health, answers: Iterable[tuple[Millis, Answer]], settings: DeliverySettings) -> Health:
    """Return the health after some answers, each with the instant at which it came."""
    for at, answer in answers:
        health = _after_one(health, at, answer, settings)
    return health


def _after_one(health: Health, at: Millis, answer: Answer, settings: DeliverySettings) -> Health:
    if answer.delivered:
        return _after_success(health, at)
    since = at if health.failing_since is None else health.failing_since
    health = replace(health, failures=health.failures + 1, failing_since=since)
    if not (health.enabled or health.heals):
        return health
    if answer.gone:
        return replace(health, enabled=False, reason=GONE, changed_at=at, probe_at=None)
    if health.heals:
        return replace(health, probe_at=next_probe(health.changed_at, at, settings))
    if _failed_enough(health, at, settings):
        return replace(
            health, enabled=False, reason=FAILING, changed_at=at, probe_at=next_probe(at, at, settings)
        )
    return health


def _after_success(health: Health, at: Millis) -> Health:
    if health.heals:
        return Health(enabled=True, changed_at=at)
    if health.failing_since is None and not health.failures:
        return health
    return replace(health, failing_since=None, failures=0)


def _failed_enough(health: Health, at: Millis, settings: DeliverySettings) -> bool:
    since = at if health.failing_since is None else health.failing_since
    return (
        at - since >= settings.disable_after_s * 1000 and health.failures >= settings.disable_after_failures
    )


def next_probe(disabled_at: Millis, now: Millis, settings: DeliverySettings) -> Millis:
    """Return when to try a disabled endpoint: after as long as it has been disabled, within bounds."""
    wait_ms = min(max(now - disabled_at, settings.probe_first_s * 1000), settings.probe_last_s * 1000)
    return now + wait_ms
