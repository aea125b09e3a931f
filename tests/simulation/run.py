"""One run of the simulation: everything in it follows from its seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError

from adapter.delivery import replay
from adapter.store.database import unit_of_work
from tests.shop import DAY
from tests.simulation.lives import CODES, Caller, draw_life, draw_webhooks
from tests.simulation.oracles import book_objections, delivery_objections
from tests.simulation.sending import Network, Worker
from tests.simulation.shelf import Crash
from tests.simulation.stage import PLAIN, Stage, determined, stage
from tests.simulation.standing import standing_objections
from tests.simulation.taking import Intake

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.commands import Command

STEPS = 80
MINUTE, HOUR = 60_000, 3_600_000
RARE = 4  # of so many seeds one has the caller do what is rare, and another one has tiers and vouchers
ROUNDS_MAX = 300  # of the quiet end of a run: it must come to rest before


@dataclass
class Run:
    """What acts on the stage: a shop, a caller of the API, a door, two dispatchers, operators, and bad luck."""

    random: Random
    stage: Stage
    wide: bool = False
    busy: bool = False  # a request is under way: whoever acts meanwhile sends nothing that takes time
    replays: list[tuple[int, Any]] = field(
        default_factory=list
    )  # how many requests there were before, and of what

    def __post_init__(self) -> None:
        codes = CODES if self.stage.has_standing else ()
        self.lives = [draw_life(self.random, number, codes) for number in range(1, self.random.randint(2, 5))]
        self.arriving: list[Command] = [*draw_webhooks(self.random, self.lives)]
        self.caller = Caller(self.random, self.wide, self.stage.has_standing)
        self.intake = Intake(self.stage)
        self.network = Network(self.stage, self.random, self._meanwhile)
        self.workers = [Worker(self.stage, self.network) for _ in range(2)]

    def live(self) -> list[str]:
        """Let things happen, then let everything come to rest; return what the oracles object to."""
        steps: dict[Callable[[], None], int] = {
            self._arrive: 6,
            self._ask: 8,
            self._take: 6,
            self._sweep: 1,
            self._turn: 7,
            self._send: 9,
            self._jump: 5,
            self._die: 1,
            self._replay: 2,
        }
        for step in self.random.choices(tuple(steps), tuple(steps.values()), k=STEPS):
            step()
        self._rest()
        book = [*book_objections(self.stage, self.intake, self.lives), *standing_objections(self.stage)]
        sent = delivery_objections(self.stage, self.network, self.replays)
        return [*self.intake.objections, *self.network.objections, *book, *sent]

    # --- steps ----------------------------------------------------------------------------------------------------

    def _arrive(self) -> None:
        for _ in range(min(self.random.randint(1, 4), len(self.arriving))):
            self.intake.waiting.append(self.arriving.pop())

    def _ask(self) -> None:
        command = self.caller.ask(self.stage.now)
        self.intake.waiting += [command] * self.random.choice((1, 1, 1, 2))

    def _take(self, *, also: tuple[Command, ...] = ()) -> None:
        waiting = self.intake.waiting
        batch = self.random.sample(waiting, min(self.random.randint(1, 9), len(waiting)))
        if batch or also:
            self._tempt_fate()
            self.intake.take([*batch, *also])

    def _sweep(self) -> None:
        self._take(also=tuple(self.intake.due()))

    def _turn(self) -> None:
        self._tempt_fate()
        self.random.choice(self.workers).turn()

    def _send(self) -> None:
        self.busy = True
        self.random.choice(self.workers).send(self.random.randrange(9))
        self.busy = False

    def _jump(self) -> None:
        step = (-HOUR, -MINUTE, 3_000, 10_000, MINUTE, HOUR, DAY // 2, DAY, 3 * DAY)
        self.stage.pass_time(self.random.choice(step))

    def _die(self) -> None:
        self.random.choice(self.workers).restart()

    def _replay(self) -> None:
        if not (found := self.stage.world.deliveries()):
            return
        row = self.random.choice(found[:2])
        self.replays.append((len(self.network.received), row))
        with unit_of_work(self.stage.engine) as connection:
            replay.create(connection, 1, replay.Selection(delivery=row.id), now=self.stage.now)
        self.workers[0].feed()

    def _meanwhile(self) -> None:
        """Let others act while a request is under way; nothing of it lasts longer than the request."""
        if self.busy and self.random.random() < 0.7:
            self.busy = False
            for worker in self.workers:
                if worker.turn() and self.random.random() < 0.5:
                    before = self.stage.world.now, self.stage.elapsed_ms
                    worker.send(-1)
                    self.stage.world.now, self.stage.elapsed_ms = before
            self.busy = True

    def _tempt_fate(self) -> None:
        if self.random.random() < 0.25:
            where = self.random.choice(("statement", "before commit", "after commit"))
            self.stage.faults.arm(
                where, self.random.randrange(25), self.random.choice((Crash, OperationalError))
            )

    # --- the end --------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Everybody sends again until they are answered, the sweep catches up, and receivers answer."""
        self.stage.faults.disarm()
        self.network.calm = True
        self.intake.waiting += self.arriving
        for _ in range(ROUNDS_MAX):
            if self.intake.waiting:
                self.intake.take(self.intake.waiting[: self.random.randint(1, 9)])
            elif due := self.intake.due():
                self.intake.take(due)
            elif not self._deliver():
                return
        self.intake.objections.append("it does not come to rest")

    def _deliver(self) -> bool:
        """Send all that is due now, or wait for what is due later; return whether something was left."""
        for worker in self.workers:
            worker.feed()
            while worker.turn() or worker.hands.jobs:
                while worker.send():
                    pass
        with self.stage.engine.connect() as connection:
            asked = replay.unfinished(connection)
        if not asked and all(row.state in ("delivered", "dead") for row in self.stage.world.deliveries()):
            return False
        self.stage.pass_time(
            10 * MINUTE
        )  # the clock may have gone back by hours, and leases end by the clock
        return True


def live(seed: int) -> list[str]:
    """Live through one seed; return what the oracles object to."""
    with determined(), stage(program_of(seed)) as made:
        return Run(Random(seed), made, wide=is_wide(seed)).live()


def program_of(seed: int) -> int:
    """Return the program that a seed is lived through with."""
    return seed % PLAIN + PLAIN * (seed // PLAIN % RARE == RARE - 2)


def is_wide(seed: int) -> bool:
    """Return whether the caller does what is rare; where there are tiers and vouchers half of the time."""
    turn, again = seed // PLAIN % RARE, seed // PLAIN // RARE % 2
    return turn == RARE - 1 or (turn == RARE - 2 and again == 1)
