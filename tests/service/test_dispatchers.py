"""Several processes that send on one machine: each endpoint is one's, and no endpoint is nobody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from adapter.store import tables as t
from adapter.store.configuration import raise_version
from adapter.store.database import open_database, unit_of_work
from tests.bench.service import configure, running
from tests.service.test_bad_nights import Shop, story
from tests.service.test_killed import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import Heard


def test_the_endpoints_of_every_dispatcher_hear(service_url: str, tmp_path: Path, subscriber: Heard) -> None:
    configure(service_url, subscriber.url)
    engine = open_database(service_url)
    with unit_of_work(engine) as connection:
        row = connection.execute(select(t.endpoints)).one()
        assert row.id == 1
        connection.execute(insert(t.endpoints).values(**{**row._mapping, "id": 2}))
        raise_version(connection)
    with running(service_url, tmp_path, delivery__processes=2) as (port, _):
        Shop(port).insist(story(1)[0])
        wait_for(lambda: [len(bodies) for bodies in subscriber.bodies.values()] == [2], 120)
    with engine.connect() as connection:
        assert sorted(connection.execute(select(t.deliveries.c.endpoint)).scalars()) == [1, 2]
    engine.dispose()
