"""Jepsen's bank, on members who give points to each other while the book is killed: nothing is made and nothing is lost.

Eight members have a hundred points together. Eight clients give up to five of them away or read all balances at once,
and repeat under one Idempotency-Key what was not answered. Each read adds up to a hundred and shows nobody below zero;
and in the end everybody has what the answered transfers, each counted once, come to.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import psutil
import requests
from sqlalchemy import insert, select

from adapter import ids
from adapter.engine.audit import audit
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.web.auth import digest
from tests.bench.service import Running, configure
from tests.service.test_bad_nights import part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.service.conftest import Product

TOKEN = "sk_test_0123456789abcdef0123456789abcdef"
ACCOUNTS = range(1, 9)
TOTAL = 100
MOST = 5
CLIENTS = 8
STEPS = 25  # of each client, at least
KILLS = 3
PATIENCE_S = 120


@dataclass
class Bank:
    """The service as its clients see it, and what they were answered."""

    service: Running
    answered: list[tuple[int, int, int]] = field(default_factory=list)  # transfers: from, to, amount
    refused: int = 0
    reads: list[dict[str, int]] = field(default_factory=list)
    calm: threading.Event = field(default_factory=threading.Event)  # there will be no more faults

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """Ask until there is an answer; what was asked with a key has its effect once."""
        headers = {"Authorization": f"Bearer {TOKEN}", **more.pop("headers", {})}
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = requests.request(
                    method, f"{self.service.url}{path}", headers=headers, timeout=60, **more
                )
                if answer.status_code != 503:
                    return answer
            except requests.ConnectionError:
                pass
            assert time.monotonic() < until, "the service did not come back"
            time.sleep(0.05)  # a client's own pause before it asks again

    def give(self, giver: int, taker: int, amount: int, key: str) -> None:
        body = {"from": ids.show("mem", giver), "to": ids.show("mem", taker), "amount": amount}
        answer = self.ask("POST", "/v1/transfers", json=body, headers={"Idempotency-Key": key})
        if answer.status_code == 201:
            self.answered.append((giver, taker, amount))
            return
        assert (answer.status_code, answer.json()["code"]) == (422, "insufficient_balance")
        self.refused += 1

    def read(self) -> None:
        names = ",".join(ids.show("mem", number) for number in ACCOUNTS)
        told = self.ask("GET", "/v1/balances", params={"members": names}).json()["data"]
        self.reads.append({one["result"]["member"]: one["result"]["available"] for one in told})


def client(bank: Bank, seed: int) -> None:
    draw = random.Random(seed)
    for step in count():
        if step >= STEPS and bank.calm.is_set():
            return
        if draw.random() < 0.4:
            bank.read()
        else:
            giver, taker = draw.sample(ACCOUNTS, 2)
            bank.give(giver, taker, draw.randint(1, MOST), f"bank-{seed}-{step}")


def trouble(bank: Bank, faults: Sequence[Callable[[], bool]]) -> None:
    """Have a fault whenever another part of the work is done; the clients go on until all were had."""
    left = list(faults)
    steps = CLIENTS * STEPS
    try:
        while left:
            bank.calm.wait(0.005)
            done = len(bank.answered) + bank.refused + len(bank.reads)
            if done > steps * (len(faults) - len(left) + 1) / (len(faults) + 1) and left[0]():
                del left[0]
    finally:
        bank.calm.set()


def found(url: str) -> None:
    """Make the bank: its clients' key, and members without points."""
    configure(url)
    engine = open_database(url)
    key = {"env": 1, "id": 1, "hash": digest(TOKEN), "hint": "sk_test_01", "scopes": '["*"]', "created_at": 0}
    members = [{"env": 1, "id": one, "state": "active", "created_at": 0, "updated_at": 0} for one in ACCOUNTS]
    with engine.begin() as connection:
        connection.execute(insert(t.api_keys).values(**key))
        connection.execute(insert(t.members), members)
    engine.dispose()


def live(service: Running, *faults: Callable[[], bool]) -> Bank:
    """Have all clients do their work while there is trouble; return what they were answered."""
    bank = Bank(service)
    credit = {"member": ids.show("mem", 1), "type": "credit", "amount": TOTAL, "complete": True}
    assert bank.ask("POST", "/v1/transactions", json=credit).status_code == 201
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        nemesis = pool.submit(trouble, bank, faults)
        for one in [pool.submit(client, bank, seed) for seed in range(CLIENTS)]:
            one.result()
        nemesis.result()
    return bank


def judge(bank: Bank, url: str) -> None:
    """Check that nothing was made and nothing was lost, at any moment and in the end."""
    for read in bank.reads:
        assert len(read) == len(ACCOUNTS)
        assert sum(read.values()) == TOTAL, "wrong total"
        assert min(read.values()) >= 0, "negative value"
    expected = Counter({1: TOTAL})
    for giver, taker, amount in bank.answered:
        expected.update({giver: -amount, taker: amount})
    engine = open_database(url)
    with engine.connect() as connection:
        rows = connection.execute(select(t.balances.c.member, t.balances.c.available))
        kept = {row.member: row.available for row in rows}
    assert {one: kept.get(one, 0) for one in ACCOUNTS} == {one: expected[one] for one in ACCOUNTS}
    assert bank.answered
    assert audit(engine) == []
    engine.dispose()


def test_the_bank_neither_makes_nor_loses_points(product: Product, tmp_path: Path) -> None:
    found(product.url)
    with product.running(tmp_path) as service:

        def kill_a_book() -> bool:
            with suppress(StopIteration, psutil.Error):  # the last one killed is not back yet
                part(random.choice(service.machines[: len(service.ports)]), "book").kill()
                return True
            return False

        bank = live(service, *[kill_a_book] * KILLS)
    judge(bank, product.url)
