"""The database's primary is lost under load, its standby takes over, and nobody has to restart or set anything.

What was answered before is there after it, because the standby had it before it was answered; what was not answered is
sent again by its shop, and has its effect once.
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.bench.service import Running, apart, configure, fresh, together
from tests.service.test_bad_nights import IMPATIENT, Shop, check, story
from tests.service.test_bank import found, judge, live

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.clusters import Cluster
    from tests.service.conftest import Heard

ORDERS = 40


def lost(how: str) -> Callable[[Cluster], None]:
    """Return a fault: the primary is lost, the standby is promoted, and the other one becomes its standby."""

    def fault(servers: Cluster) -> None:
        servers.fail_over(how)
        servers.rejoin()

    return fault


def frozen(servers: Cluster) -> None:
    """The primary says nothing more; the standby is promoted before the other is ended."""
    servers.primary.freeze()
    servers.promote()
    servers.rejoin()


def restarted(servers: Cluster) -> None:
    """The primary is restarted for an update, and the standby too."""
    servers.restart("fast")
    servers.restart("immediate")


FAULTS: dict[str, Callable[[Cluster], None]] = {
    "killed": lost("kill"),
    "stopped at once": lost("immediate"),
    "stopped in order": lost("fast"),
    "frozen": frozen,
    "restarted": restarted,
}


@pytest.fixture
def address(servers: Cluster) -> str:
    """The URL of a migrated, empty database that both servers of a cluster hold."""
    servers.create("loyalty")
    url = servers.url("loyalty")
    fresh(url)
    return url


@pytest.mark.parametrize(
    ("run", "night"),
    [
        (together, "killed"),
        (together, "stopped in order"),
        (together, "frozen"),
        (apart, "killed"),
        (apart, "stopped at once"),
        (apart, "restarted"),
    ],
)
def test_a_primary_that_is_lost_under_load_costs_nothing(
    run: Callable[..., AbstractContextManager[Running]],
    night: str,
    servers: Cluster,
    address: str,
    tmp_path: Path,
    subscriber: Heard,
) -> None:
    configure(address, subscriber.url, timeout_s=1)
    hooks = [hook for order in range(1, ORDERS + 1) for hook in story(order)]
    random.Random(night).shuffle(hooks)
    done: list[int] = []
    third = threading.Event()
    with run(address, tmp_path, **IMPATIENT) as service:
        shop, family = Shop.of(service), service.family

        def insist(number: int) -> None:
            shop.insist(hooks[number])
            done.append(number)
            if len(done) >= len(hooks) // 3:
                third.set()

        with ThreadPoolExecutor(8) as pool:
            sent = [pool.submit(insist, number) for number in range(len(hooks))]
            assert third.wait(120)
            FAULTS[night](servers)
            for one in sent:
                one.result()
        check(address, ORDERS, subscriber)
        assert service.family == family, "something had to be started again"


@pytest.mark.parametrize("run", [together, apart])
def test_the_bank_neither_makes_nor_loses_points_when_its_primary_is_lost_twice(
    run: Callable[..., AbstractContextManager[Running]], servers: Cluster, address: str, tmp_path: Path
) -> None:
    """Whoever's commit was under way repeats it under the same key: it has its effect once, whether it was there or not."""
    found(address)

    def struck(night: str) -> bool:
        FAULTS[night](servers)
        return True

    with run(address, tmp_path) as service:
        bank = live(service, partial(struck, "killed"), partial(struck, "stopped at once"))
    judge(bank, address)
