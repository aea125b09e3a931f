"""What the API, the console and the metrics say of what is not kept any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from adapter import ids
from adapter.clock import iso
from adapter.engine.retention import prune
from adapter.store import tables as t
from adapter.store.retention import RetentionSettings
from tests.shop import DAY, placed, recorded, shipped

if TYPE_CHECKING:
    from tests.web.conftest import Web

HOOK = "http://127.0.0.1:9/hook"
KEPT = RetentionSettings(events_days=30)


@pytest.fixture
def pruned(web: Web) -> tuple[Web, dict[str, Any]]:
    """A book of which everything was taken and removed, and what it had shown before; a month later."""
    web.post("/v1/endpoints", {"url": HOOK, "events": ["balance.updated"]}, status=201)
    web.play(recorded(placed()), recorded(shipped()))
    shown = {noun: web.get(f"/v1/{noun}")["data"][-1] for noun in ("messages", "deliveries", "events")}
    with web.engine.begin() as connection:
        connection.execute(update(t.deliveries).values(state="delivered"))
    web.now += 31 * DAY
    prune(web.engine, KEPT, web.now, pause=lambda _seconds: None)
    return web, shown


def test_what_was_removed_is_said_to_be_gone(pruned: tuple[Web, dict[str, Any]]) -> None:
    web, shown = pruned
    for noun in ("messages", "deliveries"):
        assert web.get(f"/v1/{noun}")["data"] == []
        gone = web.get(f"/v1/{noun}/{shown[noun]['id']}", status=410)
        assert (gone["code"], "is not kept any more" in gone["detail"]) == ("gone", True)
        never = ids.show(shown[noun]["id"].partition("_")[0], ids.new_id(web.now))
        assert web.get(f"/v1/{noun}/{never}", status=404)["code"] == "not_found"
    assert web.post(f"/v1/deliveries/{shown['deliveries']['id']}/replay", status=410)["code"] == "gone"
    assert web.post("/v1/replays", {"state": "delivered"}, status=202)["selected"] == 0


def test_an_event_says_that_its_bytes_are_gone(pruned: tuple[Web, dict[str, Any]]) -> None:
    web, shown = pruned
    path = f"/v1/events/{shown['events']['id']}"
    event = web.get(path)
    assert event["emptied_at"] == iso(web.now)
    assert (event["headers"], event["body"], event["body_base64"]) == (None, None, None)
    assert {name: event[name] for name in ("state", "order", "topic")} == {
        name: shown["events"][name] for name in ("state", "order", "topic")
    }
    assert "cannot be read again" in web.post(f"{path}/replay", status=410)["detail"]


def test_removed_rows_are_counted_for_good(pruned: tuple[Web, dict[str, Any]]) -> None:
    web, _shown = pruned
    metrics = web.client.get("/metrics").get_data(as_text=True)
    for table in ("messages", "deliveries", "events"):
        line = f'loyalty_rows_removed_total{{mode="test",table="{table}",tenant="acme"}} 2.0'
        assert line in metrics
