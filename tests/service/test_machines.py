"""Several machines on one PostgreSQL: they wake one another, nobody leads, and no two wait for each other."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
import requests
from sqlalchemy import insert, make_url, select

from adapter import ids
from adapter.engine.audit import audit
from adapter.store import tables as t
from adapter.store.bell import CHANNEL
from adapter.web.auth import digest
from tests.bench.service import apart, configure
from tests.service.test_bad_nights import IMPATIENT, Shop, check, opened, story
from tests.service.test_killed import MEMBERS, drained, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import Heard

TOKEN = "sk_test_0123456789abcdef0123456789abcdef"
KEY = {"env": 1, "id": 1, "hash": digest(TOKEN), "hint": "sk_test_01", "scopes": '["*"]', "created_at": 0}
MEMBER = {"env": 1, "state": "active", "created_at": 0, "updated_at": 0}
HOLDERS = range(1, 41)

only_postgresql = pytest.mark.parametrize("service_url", ["postgresql"], indirect=True)


@only_postgresql
def test_a_receiver_rings_and_every_worker_listens(
    service_url: str, tmp_path: Path, subscriber: Heard
) -> None:
    configure(service_url, subscriber.url)
    plain = make_url(service_url).set(drivername="postgresql").render_as_string(hide_password=False)
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND datname = current_database()"
    with (
        apart(service_url, tmp_path, **IMPATIENT) as service,
        psycopg.connect(plain, autocommit=True) as line,
    ):

        def listeners() -> bool:
            row = line.execute(listening, (f"LISTEN {CHANNEL}",)).fetchone()
            return row == (2,)

        wait_for(listeners, 120)
        line.execute(f"LISTEN {CHANNEL}")
        Shop(service.ports[1]).insist(story(1)[0])
        heard = list(line.notifies(timeout=120, stop_after=1))
        assert [one.channel for one in heard] == [CHANNEL]
        wait_for(lambda: len(subscriber.bodies) == 1, 120)


@only_postgresql
def test_hot_members_at_two_doors_have_nobody_wait_in_a_circle(
    service_url: str, tmp_path: Path, subscriber: Heard
) -> None:
    """All orders are of three members, and each one's webhooks arrive at both doors; deadlocks fail every such test."""
    configure(service_url, subscriber.url)
    orders = [order for order in range(1, 401) if order % MEMBERS < 3]
    hooks = [hook for order in orders for hook in story(order)]
    random.Random(4).shuffle(hooks)
    with apart(service_url, tmp_path, delivery__poll_s=0.05, door__answer_timeout_s=30) as service:
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(Shop.of(service).insist, hooks))
        check(service_url, len(orders), subscriber)
    repeated = [number for number, bodies in subscriber.bodies.items() if len(bodies) > 1]
    assert repeated == [], "two dispatchers had the same delivery"


@only_postgresql
def test_what_time_causes_is_booked_once_whichever_sweep_comes_by(
    service_url: str, tmp_path: Path, subscriber: Heard
) -> None:
    configure(service_url, subscriber.url)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with opened(service_url) as engine, engine.begin() as connection:
        connection.execute(insert(t.api_keys).values(**KEY))
        connection.execute(insert(t.members), [MEMBER | {"id": number} for number in HOLDERS])
    with (
        apart(
            service_url, tmp_path, sweep__interval_s=0.05, sweep__batch=3, door__answer_timeout_s=60
        ) as service,
        opened(service_url) as engine,
    ):

        def hold(number: int) -> None:
            body = {"member": ids.show("mem", number), "type": "credit", "amount": 5, "ttl": 1}
            answer = requests.post(f"{service.url}/v1/transactions", json=body, headers=headers, timeout=60)
            assert answer.status_code == 201

        def expired() -> bool:
            with engine.connect() as connection:
                states = connection.execute(select(t.transactions.c.state)).scalars().all()
            return states == ["expired"] * len(HOLDERS)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(hold, HOLDERS))
        wait_for(expired, 120)
        with engine.connect() as connection:
            kept = connection.execute(select(t.balances.c.pending, t.balances.c.sequence)).all()
        assert [tuple(row) for row in kept] == [(0, 2)] * len(HOLDERS)
        assert audit(engine) == []
        wait_for(lambda: drained(engine), 120)
    assert list(subscriber.sequences().values()) == [[1, 2]] * len(HOLDERS)
