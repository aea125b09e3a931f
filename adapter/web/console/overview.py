"""What somebody should look at now, each with where to look and which command helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.store.reading.attention import (
    MOST,
    count_disabled,
    count_flagged,
    read_set_aside,
    read_waiting,
)
from adapter.store.verdict import VerdictFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.clock import Millis
    from adapter.web.console.visit import Visit
    from adapter.web.errors import Answer

MINUTE_MS = 60_000
DAY_MS = 86_400_000
LATE_MS = 5 * MINUTE_MS
PARKED_LONG_MS = 7 * DAY_MS
AUDIT_OLD_MS = 2 * DAY_MS
QUEUE_LONG = 1000
"""From where on a figure is red: as in the rules for alerts, but what is dead or rejected is so at once."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: what it is, how much, whether somebody has to do something, where, and with which command."""

    name: str
    value: str
    red: bool
    says: str
    command: str
    link: str | None = None


def overview(visit: Visit) -> Answer:
    """Show all figures that the key may see."""
    figures = [
        *_deliveries(visit),
        *_endpoints(visit),
        *_events(visit),
        *_redemptions(visit),
        *_installation(visit),
    ]
    return visit.page("overview.html", figures=figures, red=sum(figure.red for figure in figures))


def _deliveries(visit: Visit) -> Iterator[Figure]:
    if not visit.may("GET", "/v1/deliveries"):
        return
    waiting = read_waiting(visit.database, visit.key.env)
    late = 0 if waiting.due_since is None else max(visit.now - waiting.due_since, 0)
    says = f"the oldest is late by {lasting(late)}" if late > LATE_MS else "retries that wait are among them"
    list_, listing = "/console/deliveries?state=", "loyalty-adapter deliveries list --state "
    yield Figure("Deliveries due", counted(waiting.due), late > LATE_MS, says, f"{listing}due", f"{list_}due")
    yield Figure(
        "Deliveries dead",
        counted(waiting.dead),
        waiting.dead > 0,
        "nobody answered, and the schedule is used up",
        "loyalty-adapter deliveries replay --state dead",
        f"{list_}dead",
    )
    yield Figure(
        "Deliveries held",
        counted(waiting.held),
        waiting.held > 0,
        "they wait for a disabled endpoint",
        f"{listing}held",
        f"{list_}held",
    )


def _endpoints(visit: Visit) -> Iterator[Figure]:
    if visit.may("GET", "/v1/endpoints"):
        disabled = count_disabled(visit.database, visit.key.env)
        yield Figure(
            "Endpoints disabled",
            counted(disabled),
            disabled > 0,
            "nothing is sent there; they are probed, and enable themselves once they answer",
            "loyalty-adapter endpoints enable end_…",
            "/console/endpoints",
        )


def _events(visit: Visit) -> Iterator[Figure]:
    if not visit.may("GET", "/v1/events"):
        return
    rejected = read_set_aside(visit.database, visit.key.env, "rejected")
    parked = read_set_aside(visit.database, visit.key.env, "parked")
    since = 0 if parked.since is None else visit.now - parked.since
    yield Figure(
        "Events rejected",
        counted(rejected.number),
        rejected.number > 0,
        "authentic, but not understood; take them in again after a fix",
        "loyalty-adapter events replay --state rejected",
        "/console/events?state=rejected",
    )
    yield Figure(
        "Events parked",
        counted(parked.number),
        since > PARKED_LONG_MS,
        f"the oldest waits for {lasting(since)}"
        if parked.number
        else "what waits for its order or its member",
        "loyalty-adapter events list --state parked",
        "/console/events?state=parked",
    )


def _redemptions(visit: Visit) -> Iterator[Figure]:
    if visit.may("GET", "/v1/redemptions"):
        flagged = count_flagged(visit.database, visit.key.env)
        yield Figure(
            "Redemptions flagged",
            counted(flagged),
            flagged > 0,
            "a person should look at each",
            "loyalty-adapter redemptions flagged",
            "/console/redemptions?flagged=true",
        )


def _installation(visit: Visit) -> Iterator[Figure]:
    """Tell how this installation is, all environments together."""
    waiting = int(visit.parts.gauges().get("loyalty_door_waiting", 0))
    yield Figure(
        "Commands waiting",
        str(waiting),
        waiting > QUEUE_LONG,
        "for the book, in this web process",
        "curl -s $LOYALTY_URL/readyz",
    )
    file = visit.parts.settings.verdict
    verdict = None if file is None else VerdictFile(file).read()
    if verdict is None:
        yield Figure("Last audit", "never", True, "run it once a day", "loyalty-adapter audit")
        return
    since = max(visit.now - verdict.ended_at, 0)
    found = "no violation" if not verdict.violations else f"{verdict.violations} violations"
    red = verdict.violations > 0 or since > AUDIT_OLD_MS
    yield Figure("Last audit", f"{lasting(since)} ago", red, f"it found {found}", "loyalty-adapter audit")


def counted(number: int) -> str:
    """Write a number that was counted up to a bound: `1000+`."""
    return f"{MOST}+" if number > MOST else str(number)


def lasting(span: Millis) -> str:
    """Write a span of time in its largest whole unit: `5 min`, `3 h`, `2 d`."""
    units = ((DAY_MS, "d"), (60 * MINUTE_MS, "h"), (MINUTE_MS, "min"), (1000, "s"))
    size, name = next(((size, name) for size, name in units if span >= size), units[-1])
    return f"{span // size} {name}"
