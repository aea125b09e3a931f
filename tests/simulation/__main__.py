"""`python -m tests.simulation --seeds 2000` searches for bugs; `--seed 17` lives through one seed again.

Stops at nothing that it finds, and ends with 1 if it found something. `--plant NAME` plants a known bug first;
`--minutes 10` goes on for so long, whatever `--seeds` says. Each core has a process of its own, unless `--jobs` says.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time

from rich.console import Console
from rich.progress import track

from tests.simulation.jobs import Search, lives
from tests.simulation.plants import PLANTS

console = Console()


def main() -> int:
    given = _arguments()
    search = _search(given)
    begun = time.monotonic()
    lived = found = 0
    for seed, objections in track(
        lives(search), "seeds", total=search.count, console=console, disable=given.seed is not None
    ):
        lived += 1
        found += bool(objections)
        for each in objections:
            console.print(f"seed {seed}: {each}", highlight=False, markup=False, soft_wrap=True)
    minutes = (time.monotonic() - begun) / 60
    cpu_ms = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) * 1000
    console.print(
        f"{lived} seeds, {lived / minutes:.0f} a minute, {cpu_ms / lived:.0f} ms of a core each; objections to {found}"
    )
    return int(found > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Search for bugs by simulation."
    )
    parser.add_argument("--seeds", type=int, default=200, help="how many to live through")
    parser.add_argument("--minutes", type=float, help="for how long to go on instead")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--plant", choices=PLANTS, help="a bug to plant first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes to use")
    return parser.parse_args()


def _search(given: argparse.Namespace) -> Search:
    if given.seed is not None:
        return Search(given.seed, 1, 1, plant=given.plant)
    timed = given.minutes is not None
    return Search(
        given.first,
        None if timed else given.seeds,
        given.jobs,
        for_s=given.minutes * 60 if timed else None,
        plant=given.plant,
    )


if __name__ == "__main__":
    sys.exit(main())
