"""Stored events over HTTP: looked at, and taken in again."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from adapter.clock import iso
from adapter.errors import Busy
from adapter.outcome import Outcome
from adapter.program.reasons import SENTENCES, Reason
from adapter.store import tables as t
from tests.shop import NOW, placed, recorded, shipped
from tests.web.test_receiver import ORDER, Tripping

if TYPE_CHECKING:
    from tests.web.conftest import Web


def test_an_event_shows_its_bytes_and_what_became_of_it(web: Web) -> None:
    event = web.shop("order.created", ORDER).get_json()["event"]
    (listed,) = web.get("/v1/events")["data"]
    shown = web.get(f"/v1/events/{event}")
    assert shown["body"] == json.dumps(ORDER)
    assert base64.b64decode(shown["body_base64"]) == shown["body"].encode()
    assert shown["headers"]["x-wc-webhook-topic"] == "order.created"
    assert {name: value for name, value in shown.items() if name in listed} == listed
    assert (listed["source"], listed["order"], listed["state"]) == ("shop", "1001", "applied")


def test_bytes_that_are_no_text_are_shown_as_base64(web: Web) -> None:
    event = web.shop("order.created", b"\xff").get_json()["event"]
    shown = web.get(f"/v1/events/{event}")
    assert (shown["body"], base64.b64decode(shown["body_base64"])) == (None, b"\xff")


def test_a_parked_event_says_why_in_words(web: Web) -> None:
    web.play(recorded(shipped()))
    (event,) = web.get("/v1/events", state="parked")["data"]
    assert (event["reason"], event["explanation"]) == ("totals_unknown", SENTENCES[Reason.TOTALS_UNKNOWN])


def test_events_are_filtered_and_paged(web: Web) -> None:
    web.play(recorded(placed()), recorded(placed("1002"), received_at=NOW + 1000), recorded(shipped("1003")))
    everything = web.get("/v1/events")["data"]
    for query, found in (
        ({"source": "shop"}, 3), ({"source": "x"}, 0), ({"order": "1002"}, 1), ({"member": "shop:7000"}, 2),
        ({"type": "test"}, 3), ({"state": "applied"}, 2), ({"since": iso(NOW + 1)}, 1),
        ({"until": iso(NOW + 1)}, 2),
    ):  # fmt: skip
        assert len(web.ask("GET", "/v1/events", query=query)["data"]) == found, query
    first = web.get("/v1/events", limit=2)
    assert web.get("/v1/events", limit=2, cursor=first["next_cursor"])["data"] == everything[2:]


def test_a_rejected_event_is_taken_in_again_after_a_fix(web: Web) -> None:
    good = web.parts.connectors
    web.use(connectors={"woocommerce": Tripping("normalize")})
    event = web.shop("order.created", ORDER).get_json()["event"]
    assert web.get(f"/v1/events/{event}")["state"] == "rejected"
    web.use(connectors=good)
    assert web.post(f"/v1/events/{event}/replay") == {"event": event, "status": "applied", "duplicate": False}
    assert web.get(f"/v1/events/{event}")["state"] == "applied"
    assert web.get("/v1/members/shop:7000/balance")["total"] == 89


def test_a_replay_of_what_is_in_the_book_has_no_second_effect(web: Web) -> None:
    event = web.shop("order.created", ORDER).get_json()["event"]
    for _ in range(2):
        assert web.post(f"/v1/events/{event}/replay")["status"] == "applied"
    assert web.get("/v1/members/shop:7000/balance")["sequence"] == 1
    assert len(web.get("/v1/events")["data"]) == 1


def test_a_replay_needs_the_source_that_told(sqlite_web: Web) -> None:
    event = sqlite_web.shop("order.created", ORDER).get_json()["event"]
    with sqlite_web.engine.begin() as connection:
        connection.execute(t.sources.delete())
        connection.execute(t.configuration.update().values(version=2))
    problem = sqlite_web.post(f"/v1/events/{event}/replay", status=409)
    assert "'shop'" in problem["detail"]
    assert sqlite_web.post("/v1/events/evt_0000000000000/replay", status=404)["code"] == "not_found"


def test_a_replay_is_refused_while_the_door_is_busy(sqlite_web: Web) -> None:
    event = sqlite_web.shop("order.created", ORDER).get_json()["event"]
    sqlite_web.submit_error = Busy()
    assert sqlite_web.post(f"/v1/events/{event}/replay", status=503)["code"] == "busy"
    sqlite_web.use(submit=lambda _command: Outcome(error="refused"))
    assert sqlite_web.post(f"/v1/events/{event}/replay", status=422)["code"] == "refused"


@pytest.mark.parametrize("event", ["evt_0000000000000", "x", "mem_0000000000000"])
def test_an_unknown_event_is_404(sqlite_web: Web, event: str) -> None:
    assert sqlite_web.get(f"/v1/events/{event}", status=404)["code"] == "not_found"
