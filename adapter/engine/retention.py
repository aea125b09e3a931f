"""Removing what is no longer kept, beside everything else: one short commit after another, with room between them.

SQLite has one writer. So a commit removes a bounded number of rows, and a pause that is several times as long follows it:
who had to wait for one of them does not meet the next.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from adapter.errors import DatabaseUnavailable
from adapter.ids import first_id
from adapter.store import tables as t
from adapter.store.database import answering, in_unit_of_work
from adapter.store.reading.kept import removed_until
from adapter.store.retention import ENDED, KINDS, Chosen, Kind, RetentionSettings, Stretch, remove

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from adapter.clock import Clock, Millis

log = structlog.get_logger()

PAUSE_S = 0.05
"""How long nothing is removed after each batch; one of 500 rows takes some 10 ms (`make bench` measures it)."""

AGAIN_S = 60.0
"""How long the loop waits at most after it failed: a writer who never let it in may be quieter by then."""

Pause = Callable[[float], bool | None]
"""Waits so many seconds; returns true to stop."""


@dataclass(slots=True)
class Removed:
    """Rows by table, and how many bytes their bodies and answers have; what else a database keeps of them is more."""

    rows: Counter[str] = field(default_factory=Counter)
    size: int = 0


def measure(engine: Engine, settings: RetentionSettings, now: Millis) -> Removed:
    """Return what `prune` would remove. Reads only."""
    found = Removed()
    for kind, stretch in _begins(engine, settings, now, resuming=False):
        for chosen in _chosen(partial(_choose, engine, kind), stretch):
            found.rows += chosen.rows
            found.size += chosen.size
    with engine.connect() as connection:
        for ended in ENDED:
            for _env, rows, size in ended.measure(connection, ended.before(settings, now)):
                found.rows[ended.table.name] += rows
                found.size += size
    return found


def prune(
    engine: Engine,
    settings: RetentionSettings,
    now: Millis,
    *,
    resuming: bool = False,
    pause: Pause = time.sleep,
    progress: Callable[[int], None] = lambda _rows: None,
) -> Counter[str]:
    """Remove everything whose time is over; return the rows by table.

    `resuming` begins with the events after the last one that was emptied: what was set aside until then keeps its bytes.
    """
    removed: Counter[str] = Counter()
    for rows in _batches(engine, settings, now, resuming=resuming):
        removed += rows
        progress(rows.total())
        if pause(PAUSE_S):
            break
    return removed


def run(engine: Engine, settings: RetentionSettings, clock: Clock, stop: threading.Event) -> None:
    """Remove again and again what is over, until told to stop; after a failure rather sooner."""
    while not stop.is_set():
        wait_s = min(settings.interval_s, AGAIN_S)
        try:
            with answering(engine):  # what it reads first has no patience of its own
                removed = prune(engine, settings, clock(), resuming=True, pause=stop.wait)
            wait_s = settings.interval_s
            if removed:
                log.info("what is over was removed", **removed)
        except DatabaseUnavailable as error:
            log.warning("retention waits", error=error.message)
        except DBAPIError:
            log.exception("retention failed and will try again")
        stop.wait(wait_s)


def _batches(
    engine: Engine, settings: RetentionSettings, now: Millis, *, resuming: bool
) -> Iterator[Counter[str]]:
    """Remove a batch each time the next one is asked for, and give the rows by table."""
    for kind, stretch in _begins(engine, settings, now, resuming=resuming):
        yield from (chosen.rows for chosen in _chosen(partial(_remove, engine, kind), stretch))
    for ended in ENDED:
        before, rows = ended.before(settings, now), settings.batch
        while rows == settings.batch:
            rows = in_unit_of_work(engine, partial(ended.remove, before=before, most=settings.batch))
            yield Counter({ended.table.name: rows})


def _begins(
    engine: Engine, settings: RetentionSettings, now: Millis, *, resuming: bool
) -> list[tuple[Kind, Stretch]]:
    """Return where to begin: for each kind that is not kept for ever, and each environment."""
    with engine.connect() as connection:
        environments = list(
            connection.execute(select(t.environments.c.id).order_by(t.environments.c.id)).scalars()
        )
        reached = removed_until(connection, t.events) if resuming else {}
    return [
        (kind, Stretch(env, first_id(reached.get(env, 0)) if kind.resumes else 0, now, settings))
        for kind in KINDS
        if kind.days(settings)
        for env in environments
    ]


def _chosen(take: Callable[[Stretch], Chosen], stretch: Stretch) -> Iterator[Chosen]:
    """Give what `take` takes of one stretch after another, to the end."""
    last: int | None = stretch.after
    while last is not None:
        chosen = take(replace(stretch, after=last))
        yield chosen
        last = chosen.last


def _choose(engine: Engine, kind: Kind, stretch: Stretch) -> Chosen:
    with engine.connect() as connection:
        return kind.choose(connection, stretch)


def _remove(engine: Engine, kind: Kind, stretch: Stretch) -> Chosen:
    """Look first, which keeps no writer waiting, and write only where there is something to remove."""
    chosen = _choose(engine, kind, stretch)
    return in_unit_of_work(engine, partial(remove, kind=kind, stretch=stretch)) if chosen.ids else chosen
