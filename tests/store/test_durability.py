"""What an answer outlives, as far as a server's settings tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapter.store.database import open_database
from adapter.store.durability import gaps, gaps_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.clusters import Cluster

SAFE = {"fsync": "on", "synchronous_commit": "on", "synchronous_standby_names": "standby"}


@pytest.mark.parametrize(
    ("changed", "several", "said"),
    [
        ({}, True, []),
        ({"synchronous_commit": "remote_apply"}, True, []),
        ({"synchronous_standby_names": ""}, False, []),
        ({"synchronous_commit": "local"}, False, []),
        ({"synchronous_standby_names": ""}, True, ["synchronous_standby_names"]),
        ({"synchronous_commit": "local"}, True, ["synchronous_commit is local"]),
        ({"synchronous_commit": "remote_write"}, True, ["synchronous_commit is remote_write"]),
        ({"synchronous_commit": "off"}, False, ["set synchronous_commit = on"]),
        ({"fsync": "off"}, False, ["set fsync = on"]),
    ],
)
def test_what_may_lose_an_answer(changed: dict[str, str], several: bool, said: list[str]) -> None:
    found = gaps_of(SAFE | changed, several=several)
    assert len(found) == len(said)
    assert all(part in gap for part, gap in zip(said, found, strict=True))


def test_a_standby_that_nobody_waits_for_is_told(servers: Cluster) -> None:
    engine = open_database(servers.url("postgres"))
    fsync = gaps(engine)  # tests' servers wait for no disk
    assert len(fsync) == 1
    servers.primary.require_standby("")
    assert [gap for gap in gaps(engine) if gap not in fsync] == [
        "a failover may lose what was answered last: no standby is waited for; set synchronous_standby_names"
    ]
    engine.dispose()


def test_an_embedded_database_is_as_it_has_to_be(sqlite_database: Engine) -> None:
    assert gaps(sqlite_database) == []
