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
from typing import TYPE_CHECKING, Any

import psutil
import requests
from sqlalchemy import insert, select

from adapter import ids
from adapter.engine.audit import audit
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.web.auth import digest
from tests.bench.service import configure, running
from tests.service.test_bad_nights import part

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "sk_test_0123456789abcdef0123456789abcdef"
ACCOUNTS = range(1, 9)
TOTAL = 100
MOST = 5
CLIENTS = 8
STEPS = 25  # of each client
KILLS = 3
PATIENCE_S = 60


@dataclass
class Bank:
    """The service as its clients see it, and what they were answered."""

    url: str
    answered: list[tuple[int, int, int]] = field(default_factory=list)  # transfers: from, to, amount
    refused: int = 0
    reads: list[dict[str, int]] = field(default_factory=list)

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """Ask until there is an answer; what was asked with a key has its effect once."""
        headers = {"Authorization": f"Bearer {TOKEN}", **more.pop("headers", {})}
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = requests.request(method, f"{self.url}{path}", headers=headers, timeout=20, **more)
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
    for step in range(STEPS):
        if draw.random() < 0.4:
            bank.read()
        else:
            giver, taker = draw.sample(ACCOUNTS, 2)
            bank.give(giver, taker, draw.randint(1, MOST), f"bank-{seed}-{step}")


def kill_the_book(bank: Bank, process: psutil.Process, over: threading.Event) -> int:
    """Kill the book whenever another part of the work is done; return how often that was."""
    killed = 0
    steps = CLIENTS * STEPS
    while killed < KILLS and not over.wait(0.005):
        done = len(bank.answered) + bank.refused + len(bank.reads)
        if done > steps * (killed + 1) / (KILLS + 1):
            with suppress(StopIteration, psutil.Error):  # the last one killed is not back yet
                part(process, "book").kill()
                killed += 1
    return killed


def test_the_bank_neither_makes_nor_loses_points(service_url: str, tmp_path: Path) -> None:
    configure(service_url)
    engine = open_database(service_url)
    key = {"env": 1, "id": 1, "hash": digest(TOKEN), "hint": "sk_test_01", "scopes": '["*"]', "created_at": 0}
    members = [{"env": 1, "id": one, "state": "active", "created_at": 0, "updated_at": 0} for one in ACCOUNTS]
    with engine.begin() as connection:
        connection.execute(insert(t.api_keys).values(**key))
        connection.execute(insert(t.members), members)
    with running(service_url, tmp_path) as (port, process):
        bank = Bank(f"http://127.0.0.1:{port}")
        credit = {"member": ids.show("mem", 1), "type": "credit", "amount": TOTAL, "complete": True}
        assert bank.ask("POST", "/v1/transactions", json=credit).status_code == 201
        over = threading.Event()
        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            nemesis = pool.submit(kill_the_book, bank, process, over)
            clients = [pool.submit(client, bank, seed) for seed in range(CLIENTS)]
            for one in clients:
                one.result()
            over.set()
            assert nemesis.result() == KILLS
    for read in bank.reads:
        assert len(read) == len(ACCOUNTS)
        assert sum(read.values()) == TOTAL, "wrong total"
        assert min(read.values()) >= 0, "negative value"
    expected = Counter({1: TOTAL})
    for giver, taker, amount in bank.answered:
        expected.update({giver: -amount, taker: amount})
    with engine.connect() as connection:
        rows = connection.execute(select(t.balances.c.member, t.balances.c.available))
        kept = {row.member: row.available for row in rows}
    assert {one: kept.get(one, 0) for one in ACCOUNTS} == {one: expected[one] for one in ACCOUNTS}
    assert bank.answered
    assert audit(engine) == []
    engine.dispose()
