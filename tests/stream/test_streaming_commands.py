"""`stream status` and `stream stop`, and the settings that they and the service read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from adapter.cli import main
from adapter.errors import ConfigurationError
from adapter.settings import load_settings
from tests.stream.test_consuming import life
from tests.stream.test_publishing import begun, book, drain, publisher

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.stream.nats import NatsBroker
    from tests.stream.conftest import Streams


def told(*arguments: str) -> Any:
    result = CliRunner().invoke(main, ["stream", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def settings(sqlite_url: str, streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOYALTY_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("LOYALTY_STREAM__URL", streams.url)
    monkeypatch.setenv("LOYALTY_STREAM__PUBLISH", streams.out)
    monkeypatch.setenv("LOYALTY_STREAM__CONSUME", f"till={streams.shop}")


@pytest.mark.usefixtures("settings")
def test_status_tells_what_waits_on_both_sides(
    sqlite_database: Engine, streams: Streams, broker: NatsBroker
) -> None:
    begun(sqlite_database)
    book(sqlite_database, 1)
    streams.send(life(1))
    before = json.loads(told("status", "--json"))
    assert (before["publishing"], before["last_published_at"]) == (True, None)
    assert before["unpublished"] > 0
    assert "error" in before["from till"]  # nobody has consumed from it yet
    broker.take(streams.shop, "loyalty-till", 1, 60)
    drain(publisher(sqlite_database, broker, streams))
    after = json.loads(told("status", "--json"))
    assert (after["unpublished"], after["behind_s"]) == (0, 0)
    assert after["last_published_at"] is not None
    assert after["from till"] == {"stream": streams.shop, "pending": 2, "unfinished": 1}


@pytest.mark.usefixtures("settings")
def test_stop_turns_it_off(sqlite_database: Engine) -> None:
    begun(sqlite_database)
    book(sqlite_database, 1)
    assert "nothing is published any more" in told("stop")
    found = json.loads(told("status", "--json"))
    assert (found["publishing"], found["unpublished"]) == (False, 0)


@pytest.mark.parametrize("wrong", ["shop", "shop=", "=SHOP", "shop=A.B"])
def test_a_source_and_its_stream_are_written_as_a_pair(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"stream\.consume: it must be like"):
        load_settings(environ={"LOYALTY_STREAM__CONSUME": wrong})


def test_the_stream_is_off_until_there_is_a_url() -> None:
    assert not load_settings(environ={"LOYALTY_STREAM__PUBLISH": "LOYALTY"}).stream.stream().used
    given = {"LOYALTY_STREAM__URL": "nats://one:4222, nats://two:4222", "LOYALTY_STREAM__CONSUME": "a=A b=B"}
    found = load_settings(environ=given).stream.stream()
    assert found.used
    assert found.servers == ("nats://one:4222", "nats://two:4222")
    assert found.consume == (("a", "A"), ("b", "B"))
    assert not found.trusted
