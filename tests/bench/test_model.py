"""The arithmetic of many machines: what is used up first, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.model import Costs, Site, plan

COSTS = Costs(
    web_ms=0.5,
    book_ms=0.5,
    event_db_ms=0.25,
    work_ms=1.0,
    delivery_db_ms=0.25,
    event_wal=6000,
    delivery_wal=2000,
    batch=10,
    receive_connections=5,
    work_connections=4,
)
SITE = Site(cores=2, primary_cores=10, primary_use=0.5, wal_mb_s=64, members=10_000)


@pytest.mark.parametrize(
    ("machines", "receivers", "able", "first"),
    [
        (1, 1, 1000, "machines"),  # two cores over 0.5 + 0.5 + 1.0 ms
        (2, 1, 1000, "machines"),  # the one dispatcher, at 1.0 ms
        (6, 2, 4000, "machines"),  # two doors at 0.5 ms, four dispatchers
        (30, 10, 20_000, "primary's log"),  # 64 MB over 8 kB: 8,000
    ],
)
def test_machines_are_shared_out_until_something_else_is_used_up(
    machines: int, receivers: int, able: float, first: str
) -> None:
    made = plan(COSTS, SITE, machines)
    assert (made.receivers, made.able, made.first) == (receivers, able, first)
    assert made.primary == pytest.approx(10_000)
    assert made.rate == pytest.approx(min(able, 8_000))


def test_more_deliveries_an_event_use_up_more_of_everything_behind_the_door() -> None:
    one, two = (plan(COSTS, replace(SITE, deliveries=number), 30) for number in (1, 2))
    assert two.able < one.able
    assert two.primary == pytest.approx(one.primary * 2 / 3)
    assert two.wal == pytest.approx(one.wal * 0.8)


def test_batches_meet_where_members_are_few() -> None:
    assert plan(COSTS, SITE, 2).waiting == 0
    assert plan(COSTS, SITE, 30).waiting == pytest.approx(
        0.086, abs=0.001
    )  # nine others, each once in a hundred
