"""What must be true after every run, whatever went wrong in it. Each judge counts what it looked at, and objects by name."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from adapter import ids
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.intake import command_of
from adapter.store import tables as t
from connectors import CONNECTORS
from tests.breaking.story import BANK, DEPOSIT
from tests.breaking.undisturbed import read_book

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Engine

    from tests.breaking.clients import Clients
    from tests.breaking.subscribers import Subscriber

SHOWN_MOST = 5  # objections of one kind


@dataclass
class Verdict:
    """How much was looked at, and what is wrong."""

    checked: Counter[str] = field(default_factory=Counter)
    objections: list[str] = field(default_factory=list)

    def look(self, what: str, number: int, wrong: Iterable[str]) -> None:
        """Note that so many things were looked at, and what is wrong with them."""
        self.checked[what] += number
        found = list(wrong)
        self.objections += [f"{what}: {one}" for one in found[:SHOWN_MOST]]
        if len(found) > SHOWN_MOST:
            self.objections.append(f"{what}: and {len(found) - SHOWN_MOST} more like these")


def judge_book(verdict: Verdict, engine: Engine, expected: dict[str, Any]) -> None:
    """Compare the book with that of an undisturbed run, and let it prove itself."""
    found = read_book(engine)
    for name, right in expected.items():
        there = found[name]
        wrong = [
            f"{key} is {there.get(key)}, undisturbed {right.get(key)}"
            for key in {**right, **there}
            if there.get(key) != right.get(key)
        ]
        verdict.look(f"{name} as undisturbed", len(right), wrong)
    verdict.look("audit", 1, audit(engine))
    read = rebuild(engine, lambda source, raw: command_of(source, CONNECTORS[source.connector], raw))
    verdict.look("rebuild", 1, read)


def judge_answers(verdict: Verdict, engine: Engine, clients: Clients) -> None:
    """Find what was answered, and is not there, or not as it was answered."""
    with engine.connect() as connection:
        rows = connection.execute(select(t.events.c.id, t.events.c.body, t.events.c.source)).all()
        begun = set(connection.execute(select(t.transactions.c.id)).scalars())
        spent = set(connection.execute(select(t.redemptions.c.id)).scalars())
        placed = set(connection.execute(select(t.balance_orders.c.id)).scalars())
        kept = {
            row.member: row.available
            for row in connection.execute(select(t.balances.c.member, t.balances.c.available))
        }
    bodies = {ids.show("evt", row.id): bytes(row.body) for row in rows}
    lost = [event for (body, _), event in clients.hooks if bodies.get(event) != body]
    verdict.look("answered webhooks are there", len(clients.hooks), lost)
    told = {body for (body, _), _ in clients.hooks}
    twice = [body for body, times in Counter(bodies.values()).items() if body in told and times > 1]
    verdict.look("events are there once", len(bodies), [str(body[:80]) for body in twice])
    verdict.look("answers are kept", len(clients.answers), _unkept(clients, begun | spent | placed))
    right = Counter(dict.fromkeys(BANK, DEPOSIT))
    for step, status, _ in clients.answers.values():
        if step.path == "/v1/transfers" and status == 201 and step.body is not None:
            for name, sign in (("from", -1), ("to", 1)):
                right[ids.read("mem", step.body[name]) or 0] += sign * step.body["amount"]
    wrong = [f"{one} has {kept.get(one)}, not {right[one]}" for one in BANK if kept.get(one, 0) != right[one]]
    verdict.look("the bank is what was answered", len(BANK), wrong)


def _unkept(clients: Clients, known: set[int]) -> list[str]:
    """Return the Idempotency-Keys whose answer names something that is not there."""
    lost = []
    for key, (_, status, content) in clients.answers.items():
        shown = orjson.loads(content)
        name = str(shown.get("id", shown.get("debit")))
        if status < 400 and ids.read(name.partition("_")[0], name) not in known:
            lost.append(f"{key}, {name}")
    return lost


def judge_deliveries(verdict: Verdict, engine: Engine, subscribers: list[Subscriber]) -> None:
    """Compare what was to be told with what every subscriber heard."""
    with engine.connect() as connection:
        told = {ids.show("msg", row.id): row for row in connection.execute(select(t.messages))}
        rows = connection.execute(
            select(t.deliveries.c.endpoint, t.deliveries.c.message, t.deliveries.c.state)
        )
        states = {(row.endpoint, ids.show("msg", row.message)): row.state for row in rows}
    for number, one in enumerate(subscribers, 1):
        asked = {name for name, row in told.items() if one.events != '["balance.updated"]' or row.sequence}
        verdict.look(
            f"messages reached the {one.name} one",
            len(asked),
            (f"{name} {told[name].type} ({states.get((number, name))})" for name in asked - one.taken.keys()),
        )
        verdict.look("nothing was heard that is not kept", len(one.bodies), one.bodies.keys() - asked)
        different = [
            name
            for name, bodies in one.bodies.items()
            if name in told and set(bodies) != {bytes(told[name].body)}
        ]
        verdict.look("one id has one body", sum(map(len, one.bodies.values())), different)
        verdict.look("deliveries ended", len(asked), _unended(states, number, asked))
        verdict.look("signatures", 1, ["some could not be verified"] * (one.forged > 0))
        verdict.look("nobody follows redirections", 1, ["a receiver's redirection"] * (one.trapped > 0))


def _unended(states: dict[tuple[int, str], str], endpoint: int, asked: set[str]) -> list[str]:
    found = [(name, states.get((endpoint, name))) for name in asked]
    return [f"{name} is {state}" for name, state in found if state != "delivered"]


def judge_witnesses(verdict: Verdict, engine: Engine, subscribers: list[Subscriber]) -> None:
    """Let every subscriber check by what it heard alone, then hold its chain heads against the ledger's."""
    with engine.connect() as connection:
        heads = _heads(connection)
        last = {
            ids.show("mem", row.member): row.sequence for row in connection.execute(select(t.balances)).all()
        }
    for one in subscribers:
        heard: dict[str, dict[int, Any]] = defaultdict(dict)
        for name in sorted(one.taken, key=one.taken.__getitem__):
            message = orjson.loads(one.bodies[name][0])
            if message["type"] == "balance.updated":
                heard[message["data"]["member"]].setdefault(message["data"]["sequence"], message["data"])
        gaps = [
            f"{member} {max(changes)} of {last[member]}, {len(changes)} in all"
            for member, changes in heard.items()
            if sorted(changes) != list(range(1, last[member] + 1))
        ]
        verdict.look("sequences have no gap", sum(map(len, heard.values())), gaps)
        wrong = [
            f"{member} {sequence}"
            for member, changes in heard.items()
            for sequence, data in changes.items()
            if heads.get((member, sequence)) != data["chain_head"]
        ]
        verdict.look("chain heads are the ledger's", sum(map(len, heard.values())), wrong)
        verdict.look("sums follow from changes", sum(map(len, heard.values())), _unsummed(heard))
        if one.ordered:
            jumbled = [member for member, changes in heard.items() if list(changes) != sorted(changes)]
            verdict.look("they came in order", len(heard), jumbled)


def _heads(connection: Connection) -> dict[tuple[str, int], str]:
    """Return the chain's head after each change of a member."""
    c = t.transfers.c
    rows = connection.execute(select(c.member, c.sequence, c.hash).order_by(c.member, c.sequence, c.n))
    return {(ids.show("mem", row.member), row.sequence): bytes(row.hash).hex() for row in rows}


def _unsummed(heard: dict[str, dict[int, Any]]) -> list[str]:
    """Return the changes after which the balances are not those before with the changes added."""
    wrong = []
    for member, changes in heard.items():
        sums: Counter[str] = Counter()
        for sequence, data in sorted(changes.items()):
            sums.update(data["changes"])
            told = {name: data["balances"][name] for name in ("pending", "available", "reserved", "owed")}
            if {name: sums[name] for name in told} != told:
                wrong.append(f"{member} {sequence}: {told}, by its changes {dict(sums)}")
                break
    return wrong


def judge_logs(verdict: Verdict, lines: list[str]) -> None:
    """Find errors that no fault explains."""
    wrong = []
    for line in lines:
        if line.startswith("{"):
            said = orjson.loads(line)
            if said.get("event") not in EXPECTED:
                wrong.append(f"{said.get('event')}: {str(said.get('exception'))[-400:]}")
    verdict.look("lines of the logs", len(lines), wrong)


EXPECTED = {"died and is started again"}
"""What a service may complain of while it is broken."""
