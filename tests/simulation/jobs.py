"""Living through seeds in several processes: each takes every so-manieth of them, until they are done or time is up."""

from __future__ import annotations

import gc
import multiprocessing
import queue
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.plants import PLANTS
from tests.simulation.run import live

if TYPE_CHECKING:
    from collections.abc import Iterator

Lived = tuple[int, list[str]]
"""A seed, and what the oracles object to."""


@dataclass(frozen=True)
class Search:
    """Which seeds to live through, `count` of them or all that there is time for, and which bug to plant first."""

    first: int
    count: int | None
    jobs: int
    for_s: float | None = None
    plant: str | None = None

    def share(self, job: int) -> Iterator[int]:
        """Return the seeds of one of the processes."""
        if self.count is None:
            return count(self.first + job, self.jobs)
        return iter(range(self.first + job, self.first + self.count, self.jobs))


def lives(search: Search) -> Iterator[Lived]:
    """Yield what becomes of the seeds, in no order. Raises `RuntimeError` if one of the processes dies."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    processes = [context.Process(target=_job, args=(search, job, told)) for job in range(search.jobs)]
    for process in processes:
        process.start()
    try:
        yield from _heard(told, processes)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _heard(told: Any, processes: list[Any]) -> Iterator[Lived]:
    left = len(processes)
    while left:
        try:
            lived = told.get(timeout=1)
        except queue.Empty:
            if any(process.exitcode for process in processes):
                raise RuntimeError("a process that lived through seeds has died") from None
            continue
        left -= lived is None
        if lived is not None:
            yield lived


def _job(search: Search, job: int, told: Any) -> None:
    """Live through a share of the seeds; what is planted in this process stays planted."""
    if search.plant is not None:
        PLANTS[search.plant].plant(pytest.MonkeyPatch())
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)  # looking for the few circles of a run took a seventh of the time
    begun = time.monotonic()
    for seed in search.share(job):
        if search.for_s is not None and time.monotonic() - begun > search.for_s:
            break
        told.put((seed, live(seed)))
    told.put(None)
