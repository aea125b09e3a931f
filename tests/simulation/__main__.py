"""`python -m tests.simulation --seeds 2000` searches for bugs; `--seed 17` lives through one seed again.

Stops at nothing that it finds, and ends with 1 if it found something. `--plant NAME` plants a known bug first.
"""

from __future__ import annotations

import argparse
import sys
import time

import pytest
from rich.console import Console
from rich.progress import track

from tests.simulation.plants import PLANTS
from tests.simulation.run import live

console = Console()


def main() -> int:
    given = _arguments()
    seeds = [given.seed] if given.seed is not None else range(given.first, given.first + given.seeds)
    begun = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        if given.plant is not None:
            PLANTS[given.plant].plant(patch)
        found = sum(_lived(seed) for seed in track(seeds, "seeds", console=console, disable=len(seeds) == 1))
    minutes = (time.monotonic() - begun) / 60
    console.print(f"{len(seeds)} seeds, {len(seeds) / minutes:.0f} a minute; objections to {found}")
    return int(found > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Search for bugs by simulation."
    )
    parser.add_argument("--seeds", type=int, default=200, help="how many to live through")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--plant", choices=PLANTS, help="a bug to plant first")
    return parser.parse_args()


def _lived(seed: int) -> bool:
    objections = live(seed)
    for each in objections:
        console.print(f"seed {seed}: {each}", highlight=False, markup=False, soft_wrap=True)
    return bool(objections)


if __name__ == "__main__":
    sys.exit(main())
