"""What a seed draws: what shops tell, what callers of the API ask for, and in which order it comes.

Everybody has so many points from the beginning that no debit is ever refused: so what everybody has in the end does not
depend on what came first. But for the bank: its members have few, some of what they want to give is refused, and what
counts is what was answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.web.auth import digest
from tests.bench.hooks import SOURCE
from tests.bench.service import configure_engine
from tests.service.test_killed import MEMBERS, webhook
from tests.shop import begin, enrol, play

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from sqlalchemy import Engine

Hook = tuple[bytes, str]
"""A webhook's body and its signature."""

TOKEN = "sk_test_0123456789abcdef0123456789abcdef"
FUNDS = 1_000_000
BANK = range(901, 907)
DEPOSIT = 20
FADING = range(951, 955)
"""Members whose points end within seconds; nobody debits them, so that in the end they have none."""

CALLERS = 4
HOOKS_PER_S = 40
STEPS_PER_S = 5  # of each caller
ENDS_S = 2
"""How long what nobody completes is held, and how long points last that fade."""
CUTS = ("half", "unread", "beginning")
"""How a client's connection ends: in the middle of its body, before its answer, after the beginning of its answer."""

PROGRAM = Program.model_validate(
    {
        "name": "main",
        "earning": {"rate": "1"},
        "expiry": {"months": 12},
        "redeeming": {"currency": "EUR", "hold_minutes": 10_080},
        "rewards": [
            {"id": "rwd_money", "kind": "discount", "cost": 50, "value": "5.00", "currency": "EUR"},
            {"id": "rwd_bag", "kind": "item", "cost": 40, "title": "A bag"},
        ],
    }
)


@dataclass(frozen=True)
class Step:
    """One request of the API: `{0}` in its path is the id that the caller's first step was answered, and so on."""

    method: str
    path: str
    key: str = ""
    body: dict[str, Any] | None = None
    cut: str | None = None  # a first attempt is cut off like this
    again: bool = False  # it is asked once more although it was answered


@dataclass(frozen=True)
class Posting:
    """A webhook to post, and how a first attempt is cut off."""

    hook: Hook
    cut: str | None = None


@dataclass
class Story:
    """The whole input: webhooks in the order in which they come, and a script for each caller."""

    postings: list[Posting]
    scripts: list[list[Step]]
    orders: int


def draw_story(random: Random, seconds: float) -> Story:
    """Draw an input that keeps a service busy for so long."""
    orders = max(int(seconds * HOOKS_PER_S / 3.5), 4)
    hooks = told(orders)
    late = random.sample(hooks, len(hooks) // 6)  # duplicates, anywhere
    arriving = _nearly_in_order(random, hooks, late)
    postings = [Posting(hook, _cut(random)) for hook in arriving]
    scripts = [Script(random, name).draw(int(seconds * STEPS_PER_S)) for name in range(CALLERS)]
    return Story(postings, scripts, orders)


def told(orders: int) -> list[Hook]:
    """Return what the shop tells of so many orders: placed, shipped and, of two in three, refunded in part."""
    return [hook for order in range(1, orders + 1) for hook in _life(order)]


def _life(order: int) -> list[Hook]:
    life = [webhook(order, "processing"), webhook(order, "completed")]
    return [*life, webhook(order, "completed", "30.00")] if order % 3 else life


def _nearly_in_order(random: Random, hooks: list[Hook], again: list[Hook]) -> list[Hook]:
    """Return webhooks as they come: most of them soon after their own time, one in ten at any."""
    spread = 30
    places = [
        (place + random.uniform(0, spread) if random.random() < 0.9 else random.uniform(0, len(hooks)), hook)
        for place, hook in enumerate(hooks)
    ]
    places += [(random.uniform(0, len(hooks)), hook) for hook in again]
    return [hook for _, hook in sorted(places)]


def _cut(random: Random) -> str | None:
    return random.choice(CUTS) if random.random() < 0.06 else None


@dataclass
class Script:
    """Draws what one caller asks for, step by step."""

    random: Random
    name: int
    steps: list[Step] = field(default_factory=list)

    def draw(self, length: int) -> list[Step]:
        ways: dict[Callable[[], None], int] = {
            self._credit: 3,
            self._debit: 3,
            self._hold: 4,
            self._redeem: 4,
            self._order: 2,
            self._give: 3,
            self._look: 2,
            self._fade: 1,
            self._forget: 1,
        }
        while len(self.steps) < length:
            self.random.choices(list(ways), list(ways.values()))[0]()
        return self.steps

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> int:
        """Add a step, and return its number."""
        key = f"{self.name}-{len(self.steps)}"
        again = self.random.random() < 0.15
        self.steps.append(Step("POST", path, key, body or {}, _cut(self.random), again))
        return len(self.steps) - 1

    def _transaction(self, kind: str, member: int, **more: Any) -> int:
        body = {"member": ids.show("mem", member), "type": kind, "amount": self.random.randint(1, 90), **more}
        return self._ask("/v1/transactions", body)

    def _somebody(self) -> int:
        return self.random.choice(
            (1, self.random.randint(1, MEMBERS))
        )  # one of them is everybody's favourite

    def _credit(self) -> None:
        number = self._transaction("credit", self._somebody(), complete=True)
        if self.random.random() < 0.2:
            self._ask(f"/v1/transactions/{{{number}}}/reverse")

    def _debit(self) -> None:
        self._transaction("debit", self._somebody(), complete=True)

    def _hold(self) -> None:
        number = self._transaction(self.random.choice(("debit", "credit")), self._somebody())
        self._ask(f"/v1/transactions/{{{number}}}/{self.random.choice(('complete', 'cancel'))}")

    def _redeem(self) -> None:
        reward, verbs = self.random.choice(
            (("rwd_money", ("apply", "release", "reverse")), ("rwd_bag", ("fulfil", "reverse")))
        )
        member = ids.show("mem", self._somebody())
        number = self._ask("/v1/redemptions", {"member": member, "reward": reward})
        verb = self.random.choice(verbs)
        self._ask(f"/v1/redemptions/{{{number}}}/{verb}", {"force": True} if verb == "reverse" else None)

    def _order(self) -> None:
        amount = self.random.choice((-1, 1)) * self.random.randint(1, 90)
        order = {"member": ids.show("mem", self._somebody()), "amount": amount, "source": "engine"}
        number = self._ask("/v1/orders", {**order, "due_at": "2027-01-01T00:00:00Z"})
        self._ask(f"/v1/orders/{{{number}}}/{self.random.choice(('complete', 'cancel'))}")

    def _give(self) -> None:
        giver, taker = (ids.show("mem", number) for number in self.random.sample(BANK, 2))
        self._ask("/v1/transfers", {"from": giver, "to": taker, "amount": self.random.randint(1, DEPOSIT)})

    def _look(self) -> None:
        names = ",".join(ids.show("mem", number) for number in BANK)
        self.steps.append(Step("GET", f"/v1/balances?members={names}"))

    def _fade(self) -> None:
        self._transaction("credit", self.random.choice(FADING), complete=True, points_ttl=ENDS_S)

    def _forget(self) -> None:
        self._transaction("debit", self._somebody(), ttl=ENDS_S)  # nobody completes it


def furnish(engine: Engine) -> None:
    """Set up an empty database: the shop, the program and a key."""
    configure_engine(engine)
    with engine.begin() as connection:
        connection.execute(t.programs.update().values(body=PROGRAM.model_dump_json()))
        key = {"env": 1, "id": 1, "hash": digest(TOKEN), "hint": "sk_test_01", "scopes": '["*"]'}
        connection.execute(t.api_keys.insert().values(**key, created_at=0))


def enrol_everybody(engine: Engine, now: int) -> None:
    """Make everybody a member, and give them their first points."""
    everybody = (*range(1, MEMBERS + 1), *BANK, *FADING)
    first = {"received_at": now, "joined_at": now}
    enrolled = [enrol(one, customer=(SOURCE, str(one)), **first) for one in everybody]
    given = dict.fromkeys(range(1, MEMBERS + 1), FUNDS) | dict.fromkeys(BANK, DEPOSIT)
    times = {"occurred_at": now, "received_at": now}
    funded = [begin(one, 1000 + one, "credit", most, complete=True, **times) for one, most in given.items()]
    play(engine, [*enrolled, *funded], now=now, sizes=[200])
