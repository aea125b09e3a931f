"""A few seconds of breaking on each database, and proof that the judges object to bugs.

`python -m tests.breaking --seconds 60 --seed 7` is the longer search.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.breaking.faults import CLOCK_MOST_MS, KINDS, WEIGHTS, Fault, draw_plan, known
from tests.breaking.inside import POINTS
from tests.breaking.plants import PLANTS
from tests.breaking.run import ONE, Wanted, run
from tests.breaking.story import draw_story

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 4.0


def test_a_broken_service_loses_nothing(service_url: str) -> None:
    report = run(Wanted(SECONDS, 11, service_url))
    assert report.verdict.objections == []
    assert sum(report.hits.values()) > 0
    assert report.verdict.checked["answered webhooks are there"] > 100


KILLS = tuple(Fault(0.5 + 0.6 * n, "kill", 0, "book", "commit", n) for n in range(6))
"""A book that dies between its answers and its commit loses something, unless that very batch was the clock's alone."""


@pytest.mark.parametrize("name", ["answer first", "record first", "forget keys", "write anew"])
def test_a_planted_bug_is_found(name: str, tmp_path: Path) -> None:
    plan = KILLS if name == "answer first" else ()
    url = f"sqlite:///{tmp_path / 'loyalty.db'}"
    objections = run(Wanted(SECONDS, 1, url, plan=plan, plant=name)).verdict.objections
    assert any(one.startswith(PLANTS[name].found_by) for one in objections), objections


def test_a_seed_draws_the_same_again() -> None:
    def drawn(seed: int) -> tuple[object, list[Fault]]:
        return draw_story(Random(seed), 20), draw_plan(Random(seed), 20, ONE, known("sqlite"))

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_long_plan_has_every_fault_at_every_point(database: str) -> None:
    plan = draw_plan(Random(1), 2000, ONE, known(database))
    assert {fault.kind for fault in plan} == set(known(database)) <= set(KINDS) & set(WEIGHTS)
    places = {(fault.kind, fault.role, fault.point) for fault in plan if fault.point}
    every = {(role, point) for role, points in POINTS.items() for point in points}
    assert places == {(kind, *place) for kind in ("kill", "freeze") for place in every}
    wrong = [fault.wrong_by_ms for fault in plan if fault.kind == "clock"]
    assert -CLOCK_MOST_MS <= min(wrong) < 0 < max(wrong) <= CLOCK_MOST_MS
