"""The disk of the database's server is full: shops are told to come back, and nobody has to restart the service after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.service import apart, configure, fresh, together
from tests.clusters import MISSING_SERVER, binaries, cluster
from tests.disks import MISSING_DISK
from tests.service.test_bad_nights import IMPATIENT, Shop, check, story
from tests.service.test_killed import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.bench.service import Running
    from tests.clusters import Cluster
    from tests.service.conftest import Heard

ORDERS = 30


@pytest.fixture
def small_servers() -> Iterator[Cluster]:
    """A primary and its standby, each with a small disk of its own."""
    if binaries() is None:
        pytest.skip(MISSING_SERVER)
    with cluster(on_small_disks=True) as made:
        if made.primary.disk is None:
            pytest.skip(MISSING_DISK)
        yield made


@pytest.mark.parametrize("which", ["primary", "log", "standby"])
@pytest.mark.parametrize("run", [together, apart])
def test_a_server_without_room_is_a_503_until_there_is_some(
    run: Callable[..., AbstractContextManager[Running]],
    which: str,
    small_servers: Cluster,
    tmp_path: Path,
    subscriber: Heard,
) -> None:
    small_servers.create("loyalty")
    url = small_servers.url("loyalty")
    fresh(url)
    configure(url, subscriber.url, timeout_s=1)
    hooks = [hook for order in range(1, ORDERS + 1) for hook in story(order)]
    with run(url, tmp_path, **IMPATIENT) as service:
        shop, family = Shop.of(service), service.family
        for hook in hooks[:10]:
            shop.insist(hook)
        with small_servers.without_room(which):
            left = iter(hooks[10:])
            wait_for(lambda: shop.refused(next(left)), 120)
        for hook in hooks:
            shop.insist(hook)
        check(url, ORDERS, subscriber)
        assert service.family == family, "something had to be started again"
