"""Routes on the event loop answer what Flask would, without holding up the loop."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.test import Client

from adapter.errors import Busy
from adapter.store import tables as t
from adapter.web.application import flask_app
from adapter.web.auth import Key
from adapter.web.gate import Gate
from adapter.web.parts import WebSettings
from adapter.web.routing import Call
from adapter.web.table import ROUTES
from tests.shop import customer, recorded
from tests.web.conftest import LOOP, STRANGER, TOKEN, keyed
from tests.web.test_receiver import ORDER

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from adapter.web.parts import LastCatalog
    from tests.web.conftest import Web

URL = "/v1/redemptions"
BODY: dict[str, Any] = {"member": "shop:7000", "reward": "rwd_fivecredit"}
KEY = {"api-key": TOKEN}

ASKED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "no key": (401, URL, {"json": BODY}),
    "no token": (401, URL, {"json": BODY, "headers": {"Authorization": "Basic abc"}}),
    "unknown key": (401, URL, {"json": BODY, "headers": {"api-key": "sk_test_unknown"}}),
    "no scope": (403, URL, {"json": BODY, "headers": {"api-key": "sk_test_reader"}}),
    "no body": (400, URL, {"headers": KEY}),
    "no JSON": (400, URL, {"data": b"{", "content_type": "application/json", "headers": KEY}),
    "a list": (400, URL, {"json": [1], "headers": KEY}),
    "a form": (415, URL, {"data": {"member": "a"}, "headers": KEY}),
    "a null character": (400, URL, {"json": BODY | {"reason": "a\0b"}, "headers": KEY}),
    "too large": (413, URL, {"json": BODY | {"reason": "x" * 3000}, "headers": KEY}),
    "an unknown field": (400, URL, {"json": BODY | {"colour": 1}, "headers": KEY}),
    "an unknown parameter": (400, f"{URL}?colour=1", {"json": BODY, "headers": KEY}),
    "a parameter twice": (400, f"{URL}?a=1&a=2", {"json": BODY, "headers": KEY}),
    "a letter in the query": (400, f"{URL}?%C3%A4=1", {"json": BODY, "headers": KEY}),
    "an unknown member": (404, URL, {"json": BODY | {"member": "shop:1"}, "headers": KEY}),
    "an unknown reward": (404, URL, {"json": BODY | {"reward": "rwd_none"}, "headers": KEY}),
    "another environment": (404, URL, {"json": BODY, "headers": {"api-key": STRANGER}}),
    "too few points": (422, URL, {"json": {"member": "shop:7000", "points": 10**6}, "headers": KEY}),
    "an empty key": (400, URL, {"json": BODY, "headers": KEY | {"Idempotency-Key": " "}}),
    "no such redemption": (404, f"{URL}/rdm_00000000000000000000000000/apply", {"json": {}, "headers": KEY}),
    "no such id": (404, f"{URL}/1/release", {"json": {}, "headers": KEY}),
    "a null character in the path": (404, f"{URL}/a%00b/apply", {"json": {}, "headers": KEY}),
    "a longer path": (404, f"{URL}/a/b/apply", {"json": {}, "headers": KEY}),
    "a slash at the end": (404, f"{URL}/1/apply/", {"json": {}, "headers": KEY}),
}


@pytest.fixture
def till(sqlite_web: Web) -> Web:
    """Somebody with 20 points."""
    keyed(sqlite_web.engine, 1, "sk_test_reader", "members:read")
    sqlite_web.play(recorded(customer("7000")))
    credit = {"member": "shop:7000", "type": "credit", "amount": 20, "complete": True}
    sqlite_web.post("/v1/transactions", credit, status=201)
    return sqlite_web


def told(answer: TestResponse) -> tuple[int, dict[str, str], Any]:
    """Return what an answer says, but for what is drawn for each request."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    number = headers.pop("x-request-id")
    assert headers.pop("content-length") == str(len(answer.data))
    return answer.status_code, headers, answer.get_data(as_text=True).replace(number, "req")


def by_flask(web: Web, gate: Gate | None = None) -> Client:
    return Client(flask_app(web.parts, gate or Gate(web.parts)))


@pytest.mark.parametrize("asked", ASKED)
def test_what_cannot_be_served_is_answered_as_flask_does(till: Web, asked: str) -> None:
    status, path, sent = ASKED[asked]
    till.use(settings=WebSettings(max_body=2000, rate_per_s=1000))
    answer = told(till.client.post(path, **sent))
    assert answer == told(by_flask(till).post(path, **sent))
    assert answer[0] == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("select", {}, Exception("gone")), 503),
        (PoolTimeout(), 503),
        (ProgrammingError("select", {}, Exception("secret detail")), 500),
        (Busy(), 503),
        (KeyError("secret detail"), 500),
    ],
)
def test_what_fails_is_answered_as_flask_does(till: Web, error: Exception, status: int) -> None:
    till.submit_error = error
    answer = told(till.client.post(URL, json=BODY, headers=KEY))
    assert answer == told(by_flask(till).post(URL, json=BODY, headers=KEY))
    assert (answer[0], "secret" in answer[2]) == (status, False)


def test_what_is_served_is_answered_as_flask_does(till: Web) -> None:
    sent = KEY | {"Idempotency-Key": "k"}
    begun = till.client.post(URL, json=BODY, headers=sent)
    path = f"{URL}/{begun.get_json()['id']}/apply"
    applied = till.client.post(path, json={}, headers=KEY | {"Idempotency-Key": "l"})
    again = told(till.client.post(URL, json=BODY, headers=sent))
    assert (begun.status_code, applied.status_code, again[0]) == (201, 200, 201)
    assert (again[2], again[1]["idempotency-replayed"]) == (begun.get_data(as_text=True), "true")
    assert again == told(by_flask(till).post(URL, json=BODY, headers=sent))


def test_both_ways_share_one_gate(till: Web) -> None:
    """A key's limit counts what it asks of either."""
    till.use(settings=WebSettings(rate_per_s=1, rate_burst=2))
    statuses = [
        till.client.post(URL, json=BODY, headers=KEY).status_code,
        till.client.get("/v1/members", headers=KEY).status_code,
        till.client.post(URL, json=BODY, headers=KEY).status_code,
        till.client.get("/v1/members", headers=KEY).status_code,
    ]
    assert statuses == [201, 200, 429, 429]


def test_a_revoked_key_is_found_out(till: Web) -> None:
    """It is remembered for no longer here than elsewhere."""
    assert till.client.post(URL, json=BODY, headers=KEY).status_code == 201
    with till.engine.begin() as connection:
        connection.execute(t.api_keys.update().values(revoked_at=till.now))
    till.now += till.parts.settings.key_cache_ms
    answer = till.client.post(URL, json=BODY, headers=KEY)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "api_key_revoked")


def test_whoever_waits_holds_up_nobody(till: Web) -> None:
    """A redemption waits for the door, on the loop: webhooks and other redemptions are answered meanwhile."""
    wait_on, waiting = threading.Event(), threading.Semaphore(0)

    def submit(command: Any) -> Any:
        if type(command).__name__ == "BeginRedemption":
            waiting.release()
            assert wait_on.wait(60)
        return till._submit(command)

    till.use(submit=submit)
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(till.client.post(URL, json=BODY, headers=KEY).status_code)
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert waiting.acquire(timeout=60)
    assert till.shop("order.created", ORDER).status_code == 200
    assert not answers
    wait_on.set()
    for thread in threads:
        thread.join(60)
    assert answers == [201] * 3


def test_a_definition_of_a_moment_ago_is_known(till: Web) -> None:
    """A reward may credit a balance that is newer than the catalog of this process: it is looked for once more."""
    call = till.parts
    stale = replace(call.catalog.get(), definitions={})

    class Stale:
        """Has a catalog at hand in which a definition is missing that the next look finds."""

        looked = 0

        def at_hand(self) -> Any:
            return stale

        def renewed(self) -> Any:
            assert threading.current_thread().name != "loop", "the loop must not wait for the database"
            self.looked += 1
            return call.catalog.get()

    catalog = Stale()
    parts = replace(call, catalog=cast("LastCatalog", catalog))
    asked = Call(parts, Key(1, 1, frozenset()), stale, till.now, {}, None, None, "req")
    found = asyncio.run_coroutine_threadsafe(asked.knowing(1), LOOP).result(60)
    assert (found.definition(1).name, catalog.looked) == ("points", 1)
    assert asyncio.run_coroutine_threadsafe(found.knowing(1), LOOP).result(60) is found


def test_they_are_what_somebody_waits_for() -> None:
    assert {route.name for route in ROUTES if route.on_loop} == {
        "begin_transaction",
        "complete_transaction",
        "cancel_transaction",
        "reverse_transaction",
        "place_order",
        "complete_order",
        "cancel_order",
        "begin_redemption",
        "apply_redemption",
        "release_redemption",
        "fulfil_redemption",
        "reverse_redemption",
        "clear_redemption",
    }
