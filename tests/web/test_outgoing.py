"""Endpoints, messages, deliveries, replays and Idempotency-Keys, over HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import func, select

from adapter.clock import iso
from adapter.store import tables as t
from tests.shop import DAY, NOW, placed, recorded, shipped
from tests.web.conftest import STRANGER

if TYPE_CHECKING:
    from tests.web.conftest import Web

HOOK = "http://127.0.0.1:9/hook"
ENDPOINT = "/v1/endpoints"


@pytest.fixture
def subscribed(web: Web) -> Web:
    """One endpoint, and the messages of an order that was placed and shipped."""
    web.post(ENDPOINT, {"url": HOOK, "events": ["balance.updated"]}, status=201)
    web.play(recorded(placed()), recorded(shipped()))
    return web


def only(web: Web, path: str, **query: Any) -> dict[str, Any]:
    (one,) = web.get(path, **query)["data"]
    return dict(one)


def count(web: Web, table: Any) -> int:
    with web.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


# --- endpoints ------------------------------------------------------------------------------------


def test_an_endpoint_shows_its_secret_once(web: Web) -> None:
    made = web.post(ENDPOINT, {"url": HOOK, "headers": {"X-Team": "mail"}}, status=201)
    assert made["secret"].startswith("whsec_")
    shown = only(web, ENDPOINT)
    assert "secret" not in shown
    assert made["secret"] not in str(shown)
    assert shown["headers"] == {"X-Team": "hidden"}
    assert web.get(f"{ENDPOINT}/{made['id']}") == shown


def test_an_endpoint_is_changed_disabled_enabled_and_removed(web: Web) -> None:
    path = f"{ENDPOINT}/{web.post(ENDPOINT, {'url': HOOK}, status=201)['id']}"
    changed = web.ask("PATCH", path, body={"timeout": 3, "description": "x"})
    assert (changed["timeout"], changed["description"], changed["url"]) == (3, "x", HOOK)
    assert web.post(f"{path}/disable")["state"] == "disabled"
    assert web.post(f"{path}/test", status=409)["code"] == "endpoint_disabled"
    assert web.post(f"{path}/enable")["state"] == "enabled"
    assert web.post(f"{path}/enable", {"release_held": False})["state"] == "enabled"
    assert web.ask("DELETE", path, status=204) is None
    assert web.get(path, status=404)["code"] == "not_found"


def test_a_rotation_overlaps_as_long_as_asked(web: Web) -> None:
    path = f"{ENDPOINT}/{web.post(ENDPOINT, {'url': HOOK}, status=201)['id']}/rotate"
    rotated = web.post(path, {"overlap": 60})
    assert [one["expires_at"] for one in rotated["secrets"]] == [None, iso(NOW + 60_000)]
    assert rotated["secret"][:10] in rotated["secrets"][0]["hint"]
    assert web.post(path, {"overlap": 8 * 86_400}, status=400)["errors"][0]["field"] == "overlap"
    assert web.post(path, {"secret": "weak"}, status=400)["code"] == "secret_invalid"


def test_live_endpoints_are_https_and_public(web: Web) -> None:
    for url in ("http://example.com/hook", "https://127.0.0.1/hook", "https://localhost/hook"):
        problem = web.post(ENDPOINT, {"url": url}, token=STRANGER, status=400)
        assert problem["errors"][0]["field"] == "url"
    web.post(ENDPOINT, {"url": "https://example.com/hook"}, token=STRANGER, status=201)


def test_endpoints_are_paged(sqlite_web: Web) -> None:
    made = [sqlite_web.post(ENDPOINT, {"url": HOOK}, status=201)["id"] for _ in range(3)]
    first = sqlite_web.get(ENDPOINT, limit=2)
    rest = sqlite_web.get(ENDPOINT, limit=2, cursor=first["next_cursor"])
    assert [one["id"] for one in first["data"] + rest["data"]] == made
    assert rest["next_cursor"] is None


# --- messages, deliveries, replays ----------------------------------------------------------------


def test_a_message_shows_its_frozen_text_and_its_deliveries(subscribed: Web) -> None:
    newest = subscribed.get("/v1/messages", type="balance.updated")["data"][0]
    assert (newest["sequence"], newest["program"], newest["balance_definition"]) == (2, "main", "points")
    whole = subscribed.get(f"/v1/messages/{newest['id']}")
    assert orjson.loads(whole["body"])["data"]["balances"]["available"] == 89
    (delivery,) = whole["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("due", 0)
    assert subscribed.get(f"/v1/deliveries/{delivery['id']}")["message"] == newest["id"]


def test_messages_are_filtered_and_paged(subscribed: Web) -> None:
    everything = subscribed.get("/v1/messages")["data"]
    for query, found in (
        ({"member": "shop:7000"}, len(everything)), ({"type": "balance.updated"}, 2), ({"type": "x"}, 0),
        ({"since": iso(NOW)}, len(everything)), ({"until": iso(NOW)}, 0),
    ):  # fmt: skip
        assert len(subscribed.ask("GET", "/v1/messages", query=query)["data"]) == found, query
    first = subscribed.get("/v1/messages", limit=1)
    assert subscribed.get("/v1/messages", limit=1, cursor=first["next_cursor"])["data"] == everything[1:2]
    assert subscribed.get("/v1/messages/msg_0000000000000", status=404)["code"] == "not_found"
    assert subscribed.get("/v1/messages/evt_0000000000000", status=404)["code"] == "not_found"


def test_deliveries_are_filtered_and_paged(subscribed: Web) -> None:
    newest, oldest = subscribed.get("/v1/deliveries")["data"]
    endpoint = only(subscribed, ENDPOINT)["id"]
    for query, found in (
        ({"endpoint": endpoint}, 2), ({"state": "due"}, 2), ({"state": "dead"}, 0),
        ({"member": "shop:7000"}, 2), ({"type": "balance.updated"}, 2), ({"type": "tier.updated"}, 0),
        ({"message": newest["message"]}, 1), ({"since": iso(NOW + 1)}, 0), ({"until": iso(NOW + 1)}, 2),
    ):  # fmt: skip
        assert len(subscribed.ask("GET", "/v1/deliveries", query=query)["data"]) == found, query
    first = subscribed.get("/v1/deliveries", limit=1)
    assert subscribed.get("/v1/deliveries", limit=1, cursor=first["next_cursor"])["data"] == [oldest]
    assert subscribed.get("/v1/deliveries", endpoint="mem_1", status=400)["errors"][0]["field"] == "endpoint"


def dead(web: Web) -> list[dict[str, Any]]:
    """Let all deliveries be dead letters with one attempt each."""
    with web.engine.begin() as connection:
        connection.execute(t.deliveries.update().values(state="dead", attempts=1, last_status=500))
        for row in connection.execute(select(t.deliveries)).all():
            connection.execute(
                t.attempts.insert().values(
                    env=1, delivery=row.id, number=1, started_at=NOW, duration_ms=5, status=500, response="no"
                )
            )
    return list(web.get("/v1/deliveries", state="dead")["data"])


def test_a_delivery_shows_its_attempts(subscribed: Web) -> None:
    one = dead(subscribed)[0]
    attempts = subscribed.get(f"/v1/deliveries/{one['id']}/attempts")["data"]
    assert [(attempt["number"], attempt["status"], attempt["response"]) for attempt in attempts] == [
        (1, 500, "no")
    ]
    assert subscribed.get(f"/v1/deliveries/{one['id']}")["attempts"] == attempts
    assert subscribed.get("/v1/deliveries/dlv_0000000000000/attempts", status=404)["code"] == "not_found"


def test_a_dead_letter_is_replayed_alone_or_with_others(subscribed: Web) -> None:
    one, _ = dead(subscribed)
    alone = subscribed.post(f"/v1/deliveries/{one['id']}/replay", status=202)
    assert (alone["selected"], alone["waiting"]) == (1, 1)
    every = subscribed.post(
        "/v1/replays", {"state": "dead", "member": "shop:7000", "since": iso(NOW - DAY)}, status=202
    )
    assert every["selected"] == 2
    assert subscribed.get(f"/v1/replays/{every['id']}") == every
    assert [one["id"] for one in subscribed.get("/v1/replays")["data"]] == [every["id"], alone["id"]]
    first = subscribed.get("/v1/replays", limit=1)
    assert only(subscribed, "/v1/replays", limit=1, cursor=first["next_cursor"])["id"] == alone["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filter"),
        ({"state": "gone"}, "state"),
        ({"missing": True}, "endpoint"),
        ({"since": 5}, "since"),
        ({"endpoint": "mem_1"}, "endpoint"),
        ({"until": "tomorrow"}, "until"),
    ],
)
def test_a_replay_of_nothing_says_what_to_name(sqlite_web: Web, body: dict[str, Any], field: str) -> None:
    assert sqlite_web.post("/v1/replays", body, status=400)["errors"][0]["field"] == field


# --- Idempotency-Key ------------------------------------------------------------------------------


def test_a_repeat_under_its_key_gets_the_first_answer(web: Web) -> None:
    first = web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="one")
    again = web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="one")
    assert again == first
    assert count(web, t.endpoints) == 1
    assert web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="two") != first


def test_a_repeat_says_that_it_is_one(sqlite_web: Web) -> None:
    from tests.web.conftest import TOKEN

    headers = {"api-key": TOKEN, "Idempotency-Key": "one"}
    first, again = (sqlite_web.client.post(ENDPOINT, json={"url": HOOK}, headers=headers) for _ in range(2))
    assert (first.headers["Idempotency-Key"], first.headers.get("Idempotency-Replayed")) == ("one", None)
    assert (again.headers["Idempotency-Key"], again.headers["Idempotency-Replayed"]) == ("one", "true")
    assert again.status_code == 201


def test_a_key_belongs_to_one_request(web: Web) -> None:
    made = web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="one")
    problem = web.post(ENDPOINT, {"url": HOOK, "timeout": 3}, status=422, Idempotency_Key="one")
    assert problem["code"] == "idempotency_key_reused"
    web.post(f"{ENDPOINT}/{made['id']}/test", status=202, Idempotency_Key="one")  # another route, another key
    other = web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="two")
    problem = web.post(f"{ENDPOINT}/{other['id']}/test", status=422, Idempotency_Key="one")
    assert problem["code"] == "idempotency_key_reused"


def test_a_refusal_does_not_burn_a_key(web: Web) -> None:
    path = f"{ENDPOINT}/{web.post(ENDPOINT, {'url': HOOK}, status=201)['id']}"
    web.post(f"{path}/disable")
    web.post(f"{path}/test", status=409, Idempotency_Key="one")
    web.post(f"{path}/enable")
    web.post(f"{path}/test", status=202, Idempotency_Key="one")


def test_a_key_is_forgotten_after_a_day(web: Web) -> None:
    first = web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="one")
    web.now = NOW + DAY - 1
    assert web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="one") == first
    web.now = NOW + DAY
    assert web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="one") != first
    assert count(web, t.idempotency_keys) == 1


@pytest.mark.parametrize("key", ["", "  ", "k" * 256])
def test_a_key_has_a_length(sqlite_web: Web, key: str) -> None:
    problem = sqlite_web.post(ENDPOINT, {"url": HOOK}, status=400, Idempotency_Key=key)
    assert problem["errors"][0]["field"] == "Idempotency-Key"


def test_the_same_key_in_another_environment_is_another_key(web: Web) -> None:
    url = "https://example.com/hook"
    mine = web.post(ENDPOINT, {"url": url}, status=201, Idempotency_Key="one")
    theirs = web.post(ENDPOINT, {"url": url}, status=201, token=STRANGER, Idempotency_Key="one")
    assert mine["id"] != theirs["id"]


def test_two_that_race_under_one_key_do_it_once(web: Web) -> None:
    web.get("/v1/members")
    answers: list[Any] = []
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait()
        answers.append(web.post(ENDPOINT, {"url": HOOK}, status=201, Idempotency_Key="one"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert len({answer["id"] for answer in answers}) == 1
    assert count(web, t.endpoints) == 1
