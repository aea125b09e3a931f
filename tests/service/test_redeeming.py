"""Ten who redeem from one balance at once, over HTTP, against the running service."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import requests
from sqlalchemy import insert, select

from adapter import ids
from adapter.engine.audit import audit
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.web.auth import digest
from tests.bench.service import configure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import Product

TOKEN = "sk_test_0123456789abcdef0123456789abcdef"
REWARD = {"id": "rwd_one", "kind": "discount", "cost": 100, "value": "1.00", "currency": "EUR"}
TABS = 10


def test_ten_at_once_never_redeem_a_point_twice(product: Product, tmp_path: Path) -> None:
    """10 redemptions of 100 on 450 points: 4 succeed, 6 are refused, 50 points stay."""
    configure(product.url)
    engine = open_database(product.url)
    with engine.begin() as connection:
        key = {
            "env": 1,
            "id": 1,
            "hash": digest(TOKEN),
            "hint": "sk_test_01",
            "scopes": '["*"]',
            "created_at": 0,
        }
        connection.execute(insert(t.api_keys).values(**key))
        connection.execute(insert(t.members).values(env=1, id=7, state="active", created_at=0, updated_at=0))
        row = connection.execute(select(t.programs)).one()
        body = Program.model_validate_json(row.body).model_dump() | {"rewards": [REWARD]}
        connection.execute(t.programs.update().values(body=Program.model_validate(body).model_dump_json()))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    member = ids.show("mem", 7)
    with product.running(tmp_path, door__answer_timeout_s=60) as service:
        start = threading.Barrier(TABS)

        def ask(path: str, body: dict[str, object], **more: str) -> requests.Response:
            url, headers = f"{service.url}{path}", {"Authorization": f"Bearer {TOKEN}", **more}
            return requests.post(url, json={"member": member, **body}, headers=headers, timeout=120)

        def redeem(number: int) -> tuple[int, str | None]:
            """Each twice under one key, as a tab does that heard no answer; both answers must be one."""
            start.wait(120)
            body: dict[str, object] = {"reward": "rwd_one"}
            key = {"Idempotency-Key": f"redeem-{number}"}
            first, again = (ask("/v1/redemptions", body, **key) for _ in range(2))
            if first.status_code == 201:
                assert first.content == again.content
                return 201, first.json()["discount"]["code"]
            assert first.json()["code"] == "insufficient_balance"
            return first.status_code, None

        given = {"type": "credit", "amount": 450, "complete": True}
        assert ask("/v1/transactions", dict(given)).status_code == 201
        with ThreadPoolExecutor(TABS) as pool:
            answers = list(pool.map(redeem, range(TABS)))
    assert Counter(status for status, _ in answers) == {201: 4, 422: 6}
    assert len({code for _, code in answers if code is not None}) == 4
    with engine.connect() as connection:
        balance = connection.execute(select(t.balances)).one()
    assert (balance.available, balance.reserved) == (50, 400)
    assert audit(engine) == []
    engine.dispose()
