"""A newer version's migrations under load: services of this version go on, and no request fails."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect, text

from adapter.engine.audit import audit
from adapter.store.migrate import migrate
from tests.bench.service import apart, configure
from tests.migrations import make_newer
from tests.service.test_bad_nights import Shop, opened, story
from tests.service.test_killed import drained, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import Heard

CLIENTS = 4
PATIENT: dict[str, Any] = {"door__answer_timeout_s": 20, "delivery__poll_s": 0.05}


@pytest.mark.parametrize("service_url", ["postgresql"], indirect=True)
def test_migrating_makes_no_request_fail(
    service_url: str, tmp_path: Path, subscriber: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody dumps the database meanwhile, so that no step gets its lock for a while."""
    configure(service_url, subscriber.url)
    make_newer(tmp_path, monkeypatch)
    answers: Counter[int] = Counter()
    tries: list[float] = []
    stop = threading.Event()

    def client(number: int) -> None:
        orders = iter(range(number, 1_000_000, CLIENTS))
        while not stop.is_set():
            for hook in random.Random(number).sample(story(next(orders) + 1), 3):
                answers[shop.post(hook).status_code] += 1

    def waited(seconds: float) -> None:
        tries.append(sum(answers.values()))
        time.sleep(seconds)  # its own pause: who waits behind it has a turn

    with (
        apart(service_url, tmp_path, **PATIENT) as service,
        opened(service_url) as engine,
        ThreadPoolExecutor(CLIENTS + 1) as pool,
        ExitStack() as stack,
    ):
        stack.callback(stop.set)
        shop = Shop.of(service)
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        with engine.connect() as dump:
            dump.execute(text("LOCK TABLE events IN ACCESS SHARE MODE"))
            migrating = pool.submit(migrate, engine, sleep=waited)
            wait_for(lambda: len(tries) > 2 or migrating.done(), 120)
            assert not migrating.done()
        assert migrating.result(120)
        after = sum(answers.values())
        wait_for(
            lambda: sum(answers.values()) > after + CLIENTS, 120
        )  # and on the tables of the newer version
        stop.set()
        for one in clients:
            one.result()
        assert set(answers) == {200}
        assert tries[0] < tries[-1], "everybody waited behind a step that waited"
        assert "newer" in {column["name"] for column in inspect(engine).get_columns("events")}
        wait_for(lambda: drained(engine), 120)
        assert audit(engine) == []
        assert subscriber.forged == 0
