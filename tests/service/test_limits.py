"""Fifty who redeem of one balance at once, over HTTP, against the running service: no limit and no lock gives way."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
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
SPENDERS = 50
REDEEMING = {"currency": "EUR", "increment": "10.00", "minimum": "10.00"}


@pytest.mark.parametrize(
    ("rules", "lock_s", "expected"),
    [
        # 10.00 each: ten make the 100.00 of a day
        ({"per_day": "100.00", "day": "rolling"}, None, {(201, None): 10, (422, "over_limit_per_day"): 40}),
        # the first locks the balance for an hour
        ({}, 3600, {(201, None): 1, (409, "balance_locked"): 49}),
    ],
    ids=["a limit of the day", "a lock"],
)
def test_fifty_at_once_never_pass_a_limit(
    product: Product,
    tmp_path: Path,
    rules: dict[str, str],
    lock_s: int | None,
    expected: dict[tuple[int, str | None], int],
) -> None:
    configure(product.url)
    engine = open_database(product.url)
    program = Program.model_validate({"name": "main", "redeeming": {**REDEEMING, **rules}})
    key = {"env": 1, "id": 1, "hash": digest(TOKEN), "hint": "sk_test_01", "scopes": '["*"]', "created_at": 0}
    with engine.begin() as connection:
        connection.execute(t.programs.update().values(body=program.model_dump_json()))
        connection.execute(insert(t.api_keys).values(**key))
        connection.execute(insert(t.members).values(env=1, id=7, state="active", created_at=0, updated_at=0))
    member = ids.show("mem", 7)
    with product.running(tmp_path, door__answer_timeout_s=60) as service:
        start = threading.Barrier(SPENDERS)

        def ask(path: str, body: dict[str, Any]) -> requests.Response:
            url = f"{service.url}/v1/{path}"
            headers = {"Authorization": f"Bearer {TOKEN}"}
            return requests.post(url, json={"member": member, **body}, headers=headers, timeout=120)

        def redeem(_number: int) -> tuple[int, str | None]:
            start.wait(120)
            answer = ask("redemptions", {"points": 1000} | ({} if lock_s is None else {"lock_s": lock_s}))
            return answer.status_code, answer.json().get("code")

        assert ask("transactions", {"type": "credit", "amount": 60_000, "complete": True}).status_code == 201
        with ThreadPoolExecutor(SPENDERS) as pool:
            assert Counter(pool.map(redeem, range(SPENDERS))) == expected
    with engine.connect() as connection:
        held = connection.execute(select(t.balances.c.reserved)).scalar_one()
    assert held == 1000 * expected[201, None]
    assert audit(engine) == []
    engine.dispose()
