"""One run: the input and the plan of faults that a seed draws, against a service of real processes, judged in the end."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import requests
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from adapter import clock
from adapter.store import tables as t
from adapter.store.database import open_database
from tests.bench.service import fresh
from tests.breaking import judges
from tests.breaking.clients import SENDERS, Clients, feed
from tests.breaking.faults import draw_plan, known
from tests.breaking.judges import Verdict
from tests.breaking.machines import READY_S, Keeper, Machine, wait_until
from tests.breaking.nemesis import CLOCK_IN_THE_END_MS, Nemesis
from tests.breaking.story import ENDS_S, HOOKS_PER_S, STEPS_PER_S, draw_story, enrol_everybody, furnish
from tests.breaking.subscribers import listening, subscribe
from tests.breaking.undisturbed import undisturbed
from tests.service.test_killed import drained

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.breaking.faults import Fault
    from tests.breaking.story import Story
    from tests.breaking.subscribers import Subscriber
    from tests.clusters import Cluster

ONE = ("serve",)
MANY = ("receive", "receive", "work", "work")
REST_S = 240.0  # how long a healed service has to come to rest
GONE_S = 60.0  # how long its processes have to end


@dataclass(frozen=True)
class Wanted:
    """What to run: how long, with which seed, on what, and what goes wrong."""

    seconds: float
    seed: int
    url: str
    machines: tuple[str, ...] = ONE
    kinds: tuple[str, ...] | None = None  # None: all that this database can have
    plan: tuple[Fault, ...] | None = None  # instead of one that the seed draws
    plant: str | None = None
    cluster: Cluster | None = None  # the servers behind the URL, where they may be broken too

    @property
    def database(self) -> str:
        if self.cluster is not None:
            return "cluster"
        return "sqlite" if self.url.startswith("sqlite") else "postgresql"


@dataclass
class Report:
    """What was done in a run, what went wrong by plan, and what was found."""

    verdict: Verdict = field(default_factory=Verdict)
    done: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)


def run(wanted: Wanted, tell: Callable[[str], None] = lambda _line: None) -> Report:
    """Break a service for so many seconds, let it come to rest, and judge it."""
    began = time.monotonic()

    def say(line: str) -> None:
        tell(f"{time.monotonic() - began:6.1f} s  {line}")

    story = draw_story(Random(f"story {wanted.seed}"), wanted.seconds)
    kinds = known(wanted.database) if wanted.kinds is None else wanted.kinds
    drawn = draw_plan(Random(f"faults {wanted.seed}"), wanted.seconds, wanted.machines, kinds)
    plan = drawn if wanted.plan is None else list(wanted.plan)
    report = Report()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="breaking-")))
        fresh(wanted.url)
        engine = open_database(wanted.url)
        stack.callback(engine.dispose)
        subscribers = stack.enter_context(listening(wanted.seed))
        furnish(engine)
        subscribe(engine, subscribers)
        enrol_everybody(engine, clock.now())
        machines = [
            Machine(number, kind, wanted.url, folder / f"machine-{number}", wanted.plant)
            for number, kind in enumerate(wanted.machines)
        ]
        stack.enter_context(Keeper(machines))
        _start(machines)
        say("started")
        clients = Clients([one.port for one in machines if one.kind != "work"])
        nemesis = Nemesis(wanted.url, wanted.cluster, machines, say)
        for each in (clients, nemesis):  # whatever ends the run early: nobody goes on by themselves
            stack.callback(each.over.set)
        threads = _set_going(clients, story)
        nemesis.carry_out(plan, wanted.seconds)
        say("healed: now everybody is answered")
        for thread in threads:
            thread.join()
        say("answered: now everything is told")
        for subscriber in subscribers:
            subscriber.over.set()
        _come_to_rest(report.verdict, engine, machines)
        say("at rest: now it is judged")
        _judge(report.verdict, engine, clients, subscribers, undisturbed(story, folder))
        judges.judge_logs(report.verdict, [line for machine in machines for line in machine.logged()])
        _sum_up(report, clients, subscribers, nemesis)
        say("judged")
        report.done["starts of machines"] = sum(machine.starts for machine in machines)
    return report


def _start(machines: list[Machine]) -> None:
    for machine in machines:
        machine.start()
    for machine in machines:
        ready = partial(_answers if machine.kind != "work" else _works, machine)
        assert wait_until(ready, READY_S), machine.logged()[-20:]


def _answers(machine: Machine) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{machine.port}/readyz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _works(machine: Machine) -> bool:
    return machine.process("work") is not None


def _set_going(clients: Clients, story: Story) -> list[threading.Thread]:
    todo: queue.SimpleQueue[object] = queue.SimpleQueue()
    threads = [threading.Thread(target=feed, args=(todo, story.postings, HOOKS_PER_S))]
    threads += [threading.Thread(target=clients.shop, args=(todo,)) for _ in range(SENDERS)]
    threads += [
        threading.Thread(target=clients.caller, args=(script, STEPS_PER_S)) for script in story.scripts
    ]
    for thread in threads:
        thread.start()
    return threads


def _come_to_rest(verdict: Verdict, engine: Engine, machines: list[Machine]) -> None:
    """Wait until nothing is due any more, and stop everything."""
    rested = wait_until(partial(_rests, engine), REST_S)
    verdict.look("it comes to rest", 1, [] if rested else [f"not within {REST_S:.0f} s"])
    codes = [(machine, machine.stop()) for machine in machines]
    wrong = [f"machine {one.number} ended with {code}" for one, code in codes if code != 0]
    verdict.look("machines stop when told to", len(machines), wrong)
    for machine in machines:
        wait_until(partial(_is_gone, machine), GONE_S)
        left = [f"{role} of machine {machine.number}" for role in machine.alive().values()]
        verdict.look("nothing outlives its parent", 1, left)


def _rests(engine: Engine) -> bool:
    with suppress(DBAPIError):  # it may still be on its way back
        return drained(engine) and _swept(engine)
    return False


def _is_gone(machine: Machine) -> bool:
    return not machine.alive()


def _swept(engine: Engine) -> bool:
    """Return whether nothing is due by the machines' clocks, nor will be soon: what was asked for last ends a bit later."""
    b = t.balances.c
    soon = clock.now() + CLOCK_IN_THE_END_MS + 2 * ENDS_S * 1000
    with engine.connect() as connection:
        due = select(func.count()).where(b.next_due_at <= soon)
        return connection.execute(due).scalar_one() == 0


def _judge(
    verdict: Verdict,
    engine: Engine,
    clients: Clients,
    subscribers: list[Subscriber],
    expected: dict[str, object],
) -> None:
    verdict.look("answers to clients", clients.answered, clients.objections)
    judges.judge_answers(verdict, engine, clients)
    judges.judge_book(verdict, engine, expected)
    judges.judge_deliveries(verdict, engine, subscribers)
    judges.judge_witnesses(verdict, engine, subscribers)


def _sum_up(report: Report, clients: Clients, subscribers: list[Subscriber], nemesis: Nemesis) -> None:
    report.done["webhooks answered"] = len(clients.hooks)
    report.done["API requests answered"] = len(clients.answers) + clients.reads
    report.done["attempts of clients"] = clients.attempts
    report.done["connections cut by clients"] = clients.cut
    report.done["deliveries heard"] = sum(len(one) for each in subscribers for one in each.bodies.values())
    report.done["lies of the receiver"] = sum(
        number for each in subscribers for mood, number in each.moods.items() if mood != "honest"
    )
    report.hits, report.points, report.missed = nemesis.hits, nemesis.points, nemesis.missed
