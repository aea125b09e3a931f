"""`python -m tests.breaking --seconds 60 --seed 7` breaks a running service for a minute; `--minutes 480` for a night.

On SQLite; on the PostgreSQL that `--postgres URL` names, a database that is emptied first; or on one of its own with a
standby, `--postgres own`, where the servers are broken as well. A seed draws the same input and the same plan of faults
again; what processes make of it is as chance has it. Ends with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tests.breaking.faults import KINDS, known
from tests.breaking.nemesis import DATABASE
from tests.breaking.plants import PLANTS
from tests.breaking.run import MANY, ONE, Wanted, run
from tests.clusters import cluster

if TYPE_CHECKING:
    from tests.breaking.run import Report
    from tests.clusters import Cluster

console = Console(highlight=False, markup=False, soft_wrap=True)


def main() -> int:
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and put everything away that was started
    with contextlib.ExitStack() as stack:
        place = _place(stack, given)
        until = time.monotonic() + 60 * given.minutes
        seed, found = given.seed, _broken(given, place, given.seed)
        while time.monotonic() < until:
            seed += 1
            found |= _broken(given, place, seed)
    return int(found)


def _place(stack: contextlib.ExitStack, given: argparse.Namespace) -> tuple[str, Cluster | None]:
    """Return the database's URL, and its servers where they are ours."""
    if given.postgres == "own":
        servers = stack.enter_context(cluster(on_small_disks=True))
        servers.create(DATABASE)
        return servers.url(DATABASE), servers
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="breaking-")))
    return given.postgres or f"sqlite:///{folder / 'loyalty.db'}", None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.breaking", description="Break a running service, and see whether it minds."
    )
    add = parser.add_argument
    add("--seconds", type=float, default=60, help="how long one run breaks things")
    add("--seed", type=int, default=1, help="what draws the input and the faults")
    add("--minutes", type=float, default=0, help="go on with the next seeds for so long")
    add("--postgres", metavar="URL", help="a database that may be emptied, or `own`; else SQLite")
    add("--many", action="store_true", help="two receivers and two workers instead of one machine")
    add("--faults", metavar="KIND,…", help=f"only these of {', '.join(KINDS)}; `none` for none")
    add("--plant", choices=PLANTS, help="a bug to plant first")
    given = parser.parse_args()
    if given.many and not given.postgres:
        parser.error("many machines share a PostgreSQL")
    kinds = [] if given.faults in (None, "none") else given.faults.split(",")
    possible = known("cluster" if given.postgres == "own" else "postgresql" if given.postgres else "sqlite")
    if not set(kinds) <= set(possible):
        parser.error(f"this database can have {', '.join(possible)}")
    return given


def _broken(given: argparse.Namespace, place: tuple[str, Cluster | None], seed: int) -> bool:
    url, servers = place
    kinds = None if given.faults is None else tuple(one for one in given.faults.split(",") if one != "none")
    machines = MANY if given.many else ONE
    console.print(f"seed {seed}, {given.seconds:g} s, {url.partition(':')[0]}, {' + '.join(machines)}")
    report = run(Wanted(given.seconds, seed, url, machines, kinds, None, given.plant, servers), console.print)
    _show(report)
    if report.verdict.objections:
        console.print(f"to see it again: python -m tests.breaking {_again(seed)}")
    return bool(report.verdict.objections)


def _again(seed: int) -> str:
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        name, equals, _ = word.partition("=")
        if name in ("--seed", "--minutes"):
            next(words if not equals else iter(()), None)
        else:
            kept.append(word)
    return " ".join([*kept, "--seed", str(seed)])


def _show(report: Report) -> None:
    for title, numbers in (
        ("what was done", report.done),
        ("what went wrong by plan", report.hits),
        ("where processes were then", report.points),
        ("what was checked", report.verdict.checked),
    ):
        console.print(f"\n{title}")
        for name, number in sorted(numbers.items()):
            console.print(f"  {number:8,}  {KINDS.get(name, name)}")
    for missed in report.missed:
        console.print(f"           missed: {missed}")
    console.print(f"\n{len(report.verdict.objections) or 'no'} objections")
    for objection in report.verdict.objections:
        console.print(f"  {objection}")


if __name__ == "__main__":
    sys.exit(main())
