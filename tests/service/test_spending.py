"""Fifty who spend one balance at once, over HTTP, against the running service."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import orjson
import requests
from sqlalchemy import insert, select

from adapter import ids
from adapter.engine.audit import audit
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.web.auth import digest
from tests.bench.service import configure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import Product

TOKEN = "sk_test_0123456789abcdef0123456789abcdef"
SPENDERS = 50


def test_fifty_at_once_never_overspend(product: Product, tmp_path: Path) -> None:
    configure(product.url)
    engine = open_database(product.url)
    with engine.begin() as connection:
        connection.execute(
            insert(t.api_keys).values(
                env=1, id=1, hash=digest(TOKEN), hint="sk_test_01", scopes='["*"]', created_at=0
            )
        )
        connection.execute(insert(t.members).values(env=1, id=7, state="active", created_at=0, updated_at=0))
    member = ids.show("mem", 7)
    with product.running(tmp_path, door__answer_timeout_s=60) as service:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        start = threading.Barrier(SPENDERS)

        def ask(body: dict[str, object], **more: str) -> requests.Response:
            url = f"{service.url}/v1/transactions"
            return requests.post(
                url, json={"member": member, **body}, headers={**headers, **more}, timeout=120
            )

        def spend(number: int) -> int:
            """Each twice under one key, as a client does that heard no answer; both answers must be one."""
            start.wait(120)
            body = {"type": "debit", "amount": 7, "complete": number % 2 == 0}
            answers = [ask(body, **{"Idempotency-Key": f"spend-{number}"}) for _ in range(2)]
            if answers[0].status_code == 201:
                assert answers[0].content == answers[1].content
                assert answers[1].headers["Idempotency-Replayed"] == "true"
            return answers[0].status_code

        assert ask({"type": "credit", "amount": 100, "complete": True}).status_code == 201
        with ThreadPoolExecutor(SPENDERS) as pool:
            statuses = Counter(pool.map(spend, range(SPENDERS)))
        assert statuses == {201: 14, 422: 36}  # 14 times 7 are 98 of 100
        refused = orjson.loads(ask({"type": "debit", "amount": 3}).content)
        assert (refused["code"], refused["figures"]["available"]) == ("insufficient_balance", 2)
    with engine.connect() as connection:
        balance = connection.execute(select(t.balances)).one()
    assert (balance.available, balance.available + balance.reserved <= 100) == (2, True)
    assert audit(engine) == []
    engine.dispose()
