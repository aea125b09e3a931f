"""The servers that tests break: what was committed on them survives the loss of either."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg

from tests.service.test_killed import wait_for

if TYPE_CHECKING:
    from tests.clusters import Cluster


def test_what_is_committed_survives_each_way_of_losing_the_primary(servers: Cluster) -> None:
    servers.create("loyalty")
    servers.primary.ask("CREATE TABLE kept (number integer)", "loyalty")
    for number, how in enumerate(("kill", "immediate", "fast"), 1):
        with psycopg.connect(servers.url("loyalty"), autocommit=True) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", (number,))
        servers.fail_over(how)
        assert servers.primary.ask("SELECT count(*) FROM kept", "loyalty") == number
        servers.rejoin()
        servers.restart("immediate")
        assert servers.standby.running


def test_without_its_standby_a_primary_answers_no_commit(servers: Cluster) -> None:
    servers.create("loyalty")
    servers.primary.ask("CREATE TABLE kept (number integer)", "loyalty")
    servers.standby.freeze()
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = 'loyalty'"
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(servers.primary.ask, "INSERT INTO kept VALUES (1)", "loyalty")
        wait_for(lambda: servers.primary.ask(waits) is not None, 60)
        assert not writing.done()
        servers.standby.thaw()
        writing.result(60)


def test_what_no_standby_was_waited_for_is_lost_with_the_primary(servers: Cluster) -> None:
    """This is what a synchronous standby is for, and a loss that a test would see."""
    servers.create("loyalty")
    servers.primary.ask("CREATE TABLE kept (number integer)", "loyalty")
    servers.primary.require_standby("")
    servers.standby.stop()
    servers.primary.ask("INSERT INTO kept VALUES (1)", "loyalty")
    servers.primary.kill()
    servers.standby.start()
    servers.promote()
    assert servers.primary.ask("SELECT count(*) FROM kept", "loyalty") == 0
