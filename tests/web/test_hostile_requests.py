"""Requests that want a 500, or memory: each gets the answer that its sender can act on."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from adapter.errors import Busy
from adapter.store.configuration import CatalogCache
from adapter.web import lane, parts
from tests.shop import customer, recorded
from tests.web.conftest import TOKEN
from tests.web.test_receiver import ORDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.catalog import Catalog
    from adapter.commands import Command
    from adapter.outcome import Outcome
    from tests.web.conftest import Web

KEY = {"X-Api-Key": TOKEN}
LISTS = [
    ("members", "email"), ("members", "source"), ("transactions", "member"), ("messages", "type"), ("messages", "member"),
    ("deliveries", "member"), ("events", "source"), ("events", "type"), ("events", "member"), ("events", "order"),
]  # fmt: skip


@pytest.mark.parametrize(("of", "field"), LISTS)
@pytest.mark.parametrize("value", ["%00", "shop:%00", "a@b%00.c"])
def test_a_null_character_in_a_query_is_named(web: Web, of: str, field: str, value: str) -> None:
    answer = web.client.get(f"/v1/{of}?{field}={value}", headers=KEY)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "request_invalid")
    assert answer.get_json()["errors"] == [{"field": field, "message": "Leave the null character out."}]


@pytest.mark.parametrize(
    "path", ["members/shop:%00", "members/a@b%00.c/balance", "events/evt_%00", "members/%00/explain"]
)
def test_nothing_has_a_null_character_in_its_id(web: Web, path: str) -> None:
    answer = web.client.get(f"/v1/{path}", headers=KEY)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")


def test_a_null_character_in_a_body_is_refused(web: Web) -> None:
    body = rb'{"url": "http://127.0.0.1:1/x", "description": "a\u0000b"}'
    answer = web.client.post("/v1/endpoints", data=body, content_type="application/json", headers=KEY)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "json_invalid")


def test_an_escaped_backslash_before_u0000_is_just_text(web: Web) -> None:
    body = rb'{"url": "http://127.0.0.1:1/x", "description": "a\\u0000b"}'
    answer = web.client.post("/v1/endpoints", data=body, content_type="application/json", headers=KEY)
    assert answer.status_code == 201
    assert answer.get_json()["description"] == r"a\u0000b"


@pytest.mark.parametrize(
    "instant", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"]
)
@pytest.mark.parametrize("parameter", ["members?since", "events?until", "members/shop:7000/statement?as_of"])
def test_an_instant_that_nothing_can_write_is_refused(sqlite_web: Web, parameter: str, instant: str) -> None:
    answer = sqlite_web.client.get(f"/v1/{parameter}={instant}", headers=KEY)
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (400, parameter.partition("?")[2])


def test_letters_in_a_query_need_not_be_encoded(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(customer("7000", email="ä@example.com")))
    query, headers = "email=ä@example.com&limit=1".encode(), [(b"x-api-key", TOKEN.encode())]
    sent = asyncio.run(told(sqlite_web, "GET", "/v1/members", query_string=query, headers=headers))
    shown = orjson.loads(b"".join(message.get("body", b"") for message in sent))
    assert [one["email"] for one in shown["data"]] == ["ä@example.com"]


async def told(web: Web, method: str, path: str, **more: Any) -> list[Mapping[str, Any]]:
    """Ask the application itself, with no body; return what it sends."""
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "http_version": "1.1", "query_string": b"", "headers": []}
    await web.lane({**scope, "method": method, "path": path, **more}, receive, send)
    return sent


def test_a_strangers_methods_do_not_grow_the_metrics(sqlite_web: Web) -> None:
    for number in range(20):
        for path in ("/webhooks/shop", "/v1/events", "/nowhere"):
            sqlite_web.client.open(path, method=f"M{number}")
    text = sqlite_web.client.get("/metrics").get_data(as_text=True)
    assert 'method="other"' in text
    assert 'method="M' not in text


def test_beyond_so_many_requests_at_once_the_next_shall_come_back(
    sqlite_web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "AT_ONCE", 1)
    asked = [("GET", "/healthz"), ("POST", "/webhooks/shop"), ("GET", "/nowhere"), ("GET", "/healthz")]
    statuses = [asyncio.run(told(sqlite_web, method, path))[0]["status"] for method, path in asked]
    assert statuses == [200, 401, 404, 200]  # none is counted any more when it is over, however it ended
    begun, over = threading.Event(), threading.Event()

    def hang(_command: Command) -> Outcome:
        begun.set()
        over.wait(120)
        raise Busy

    sqlite_web.use(submit=hang)
    held = threading.Thread(target=sqlite_web.shop, args=("order.created", ORDER))
    held.start()
    assert begun.wait(60)
    for path in ("/webhooks/shop", "/v1/redemptions", "/v1/endpoints"):
        answer = sqlite_web.client.post(path, data=b"")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert answer.get_json()["code"] == "busy"
    over.set()
    held.join()


class Hanging:
    """A database that was asked once and never answers again."""

    fresh = False

    def __init__(self, catalogs: CatalogCache) -> None:
        self.catalogs, self.asked, self.over = catalogs, threading.Event(), threading.Event()

    def get(self, *, fresh: bool = False) -> Catalog:
        if fresh:
            self.asked.set()
            self.over.wait(120)
        return self.catalogs.get()


def test_unknown_names_do_not_pile_up_behind_a_database_that_hangs(
    sqlite_web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "LOOK_FOR_S", 0.05)
    hanging = Hanging(CatalogCache(sqlite_web.engine))
    sqlite_web.use(catalog=parts.LastCatalog(cast("CatalogCache", hanging), sqlite_web.clock))
    assert sqlite_web.client.post("/webhooks/shop", data=b"").status_code == 401
    stuck = threading.Thread(target=sqlite_web.client.post, args=("/webhooks/nobody",))
    stuck.start()
    assert hanging.asked.wait(60)
    answer = sqlite_web.client.post("/webhooks/another", data=b"")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert sqlite_web.client.post("/webhooks/shop", data=b"").status_code == 401
    hanging.over.set()
    stuck.join()
