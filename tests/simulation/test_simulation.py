"""A few seeds of the simulation, and proof that its oracles object to bugs.

`python -m tests.simulation --seeds 2000` is the longer search.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from hashlib import sha256
from itertools import chain
from random import Random

import pytest

from tests.simulation.jobs import Search, lives
from tests.simulation.plants import DELIVERY, LEDGER, PLANTS, Plant
from tests.simulation.run import Run, live, program_of
from tests.simulation.stage import determined, stage

SEARCHED = 200
objections_to = cache(live)


@pytest.mark.parametrize("seed", range(1000, 1008))
def test_no_oracle_objects(seed: int) -> None:
    assert objections_to(seed) == []


def found(plant: Plant) -> int | None:
    """Return the first seed at which an oracle objects to a planted bug."""
    with pytest.MonkeyPatch.context() as patch:
        plant.plant(patch)
        return next((seed for seed in range(plant.first, plant.first + SEARCHED) if live(seed)), None)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_found(name: str) -> None:
    plant = PLANTS[name]
    seed = found(plant)
    assert seed is not None, plant.what
    assert list(chain(*(objections_to(each) for each in range(plant.first, seed + 1)))) == []


def test_there_are_bugs_of_both_halves() -> None:
    assert len(LEDGER) >= 13
    assert len(DELIVERY) >= 5


def test_processes_share_the_seeds_and_know_the_planted_bug() -> None:
    found = dict(lives(Search(first=0, count=4, jobs=2, plant="no message")))
    assert sorted(found) == [0, 1, 2, 3]
    assert any(found.values())


def test_a_seed_is_the_same_run_in_another_process() -> None:
    """The book and the requests are, to the last byte, whatever order a process keeps its sets in."""
    code = "from tests.simulation.test_simulation import digest; print(digest(3))"
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "1", "PATH": ""},
    )
    assert other.stdout == f"{digest(3)}\n"


def digest(seed: int) -> str:
    """Live through a seed; return a digest of what every receiver got and what every table holds."""
    with determined(), stage(program_of(seed)) as made:
        lived = Run(Random(seed), made)
        assert lived.live() == []
        with made.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            book = sorted(driver.iterdump())  # indexes are made in any order
    return sha256(repr((lived.network.received, book)).encode()).hexdigest()
