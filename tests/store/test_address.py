"""Where a database is: how several servers are listed, what is shown of it, and which of them is asked."""

from __future__ import annotations

import os
import socket
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text

from adapter.errors import ConfigurationError
from adapter.store import database as db
from adapter.store.address import address_of, for_programs, patience_with, shown
from adapter.store.backup import back_up, restore

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from tests.clusters import Cluster

SEVERAL = "postgresql+psycopg://ada:***@one:5432,two:5433/book"


ADA = "postgresql://ada:key@"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (f"{ADA}one:5432,two:5433/book", f"{SEVERAL}?target_session_attrs=read-write"),
        (f"{ADA}/book?host=one:5432&host=two:5433", f"{SEVERAL}?target_session_attrs=read-write"),
        (f"{ADA}/book?host=one,two&port=5432,5433", f"{SEVERAL}?target_session_attrs=read-write"),
        ("postgres://ada:key@one:5432,two:5433/book?target_session_attrs=any", f"{SEVERAL}?target_session_attrs=any"),
        ("postgresql://one,two/book", "postgresql+psycopg://one,two/book?target_session_attrs=read-write"),
        ("postgresql://[::1]:1,two/book", "postgresql+psycopg://[::1]:1,two/book?target_session_attrs=read-write"),
        (f"{ADA}one/book", "postgresql+psycopg://ada:***@one/book"),
        ("postgresql://ada@one/book?password=key", "postgresql+psycopg://ada@one/book?password=%2A%2A%2A"),
        ("sqlite:////var/lib/loyalty.db", "sqlite:////var/lib/loyalty.db"),
    ],
)  # fmt: skip
def test_what_is_shown_of_a_url(url: str, seen: str) -> None:
    assert shown(address_of(url)) == seen
    assert "key" not in shown(address_of(url))


def test_what_programs_connect_by_has_all_servers_and_no_password() -> None:
    where, password = for_programs(address_of("postgresql://ada:k%40y@one:5432,two/book"))
    assert sorted(where.split()) == [
        "dbname=book", "host=one,two", "port=5432,", "target_session_attrs=read-write", "user=ada",
    ]  # fmt: skip
    assert password == "k@y"


@pytest.mark.parametrize(
    "url", ["postgresql://ada:k@key:or@one/book", "postgresql://ada:key@one:key/book", "key"]
)
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a database's URL") as refused:
        address_of(url)
    assert "key" not in refused.value.message


def test_a_silent_server_among_several_is_given_up_sooner_than_the_only_one() -> None:
    only = patience_with(address_of("postgresql://one/book"))
    among = patience_with(address_of("postgresql://one,two/book"))
    assert among["connect_timeout"] < only["connect_timeout"]
    assert among | {"connect_timeout": 0} == only | {"connect_timeout": 0}
    assert "connect_timeout" not in patience_with(address_of("postgresql://one,two/book?connect_timeout=9"))


def asked(connection: Connection) -> int:
    return int(connection.execute(text("SELECT inet_server_port()")).scalar_one())


def test_a_connection_finds_the_server_that_takes_writes(servers: Cluster) -> None:
    servers.create("loyalty")
    for order in (1, -1):
        listed = ",".join(f"127.0.0.1:{one.port}" for one in (servers.primary, servers.standby)[::order])
        engine = db.open_database(f"postgresql://postgres@{listed}/loyalty")
        with engine.connect() as connection:
            assert asked(connection) == servers.primary.port
        engine.dispose()


def test_a_server_that_says_nothing_is_asked_once_and_then_last(postgres_server: str) -> None:
    """A machine that is gone stays in the URL: whoever asked it first each time would wait for it each time."""
    address = make_url(postgres_server)
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(0)
        listed = f"127.0.0.1:{silent.getsockname()[1]},{address.host}:{address.port}"
        user = "" if address.password is None else f":{address.password}"
        engine = db.open_database(f"postgresql://{address.username}{user}@{listed}/{address.database}")
        with engine.connect(), engine.connect(), engine.connect():
            assert accepted(silent) == 1
        engine.dispose()


def accepted(listening: socket.socket) -> int:
    """Return how many connections were made to a socket."""
    number = 0
    with suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            number += 1
    return number


def test_connections_to_what_takes_no_writes_are_thrown_away_and_the_work_is_done_again(
    postgres_database: Engine,
) -> None:
    tries: list[int] = []

    def process(connection: Connection) -> int:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())

    def work(connection: Connection) -> int:
        tries.append(process(connection))
        if len(tries) == 1:
            connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(text("INSERT INTO configuration (id, version) VALUES (1, 1)"))
        return tries[-1]

    with postgres_database.connect() as first, postgres_database.connect() as second:
        before = {process(first), process(second)}  # two that are in the pool afterwards
    assert db.in_unit_of_work(postgres_database, work, sleep=lambda _: None) not in before
    assert len(tries) == 2
    assert tries[0] in before


def test_a_copy_is_made_of_whichever_server_takes_writes(
    servers: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{servers.primary.programs}{os.pathsep}{os.environ['PATH']}")
    servers.create("loyalty")
    servers.create("again")
    engine = db.open_database(servers.url("loyalty"))
    with db.unit_of_work(engine) as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS number"))
    servers.fail_over("kill")
    back_up(engine, tmp_path / "copy")
    restore(servers.url("again"), tmp_path / "copy")
    assert servers.primary.ask("SELECT number FROM kept", "again") == 7
    with pytest.raises(
        ConfigurationError, match=r"127\.0\.0\.1:\d+,127\.0\.0\.1:\d+/again.* has tables already"
    ):
        restore(servers.url("again"), tmp_path / "copy")
    engine.dispose()
