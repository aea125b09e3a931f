"""The documentation is the table that is served: complete, valid, with examples that work when pasted."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.serving import make_server

from adapter.store import tables as t
from adapter.web.console.site import owns
from adapter.web.docs import curl, type_of
from adapter.web.openapi import document
from adapter.web.table import ROUTES
from connectors import CONNECTORS
from connectors.dialects import DIALECTS
from tests.shop import customer, placed, recorded, shipped
from tests.web.conftest import TOKEN
from tests.web.test_receiver import ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.web.conftest import Web

TOLD = document(ROUTES, "http://127.0.0.1:8000")
OPERATIONS = [
    (path, method, operation)
    for path, methods in TOLD["paths"].items()
    for method, operation in methods.items()
]


def test_every_address_that_is_served_is_documented_and_the_reverse(sqlite_web: Web) -> None:
    served = {("/webhooks/{source}", "post")}  # by its own lane; see the receiver's tests
    served |= {
        (re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in sqlite_web.routes.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not any(dialect.owns(rule.rule) for dialect in DIALECTS)  # their pages: see those tests
        and not owns(rule.rule)  # for people: see the console's tests
    }
    served -= {(f"/docs/{dialect.name}", "get") for dialect in DIALECTS}
    assert served == {(path, method) for path, method, _ in OPERATIONS}


def test_the_document_is_served_and_whole(sqlite_web: Web) -> None:
    told = sqlite_web.client.get("/openapi.json").get_json()
    assert told["openapi"] == "3.1.0"
    text = orjson.dumps(told).decode()
    for reference in set(re.findall(r'"\$ref":"#/([^"]+)"', text)):
        place: Any = told
        for part in reference.split("/"):
            place = place[part]
        assert place, reference


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))
    for path, _, operation in OPERATIONS:
        named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        assert operation["summary"]


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(orjson.loads(orjson.dumps(TOLD))).validate()


def test_the_page_needs_nothing_from_elsewhere(sqlite_web: Web) -> None:
    answer = sqlite_web.client.get("/docs")
    page = answer.get_data(as_text=True)
    assert answer.mimetype == "text/html"
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#|/(?!/))', page)
    for _, _, operation in OPERATIONS:
        assert f'id="{operation["operationId"]}"' in page


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text or nothing"),
        ({"type": "string", "format": "date-time"}, "instant"),
        ({"type": "array", "items": {"type": "integer"}}, "list of whole number"),
        ({"enum": ["a", "b"]}, "a · b"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "true or false or nothing"),
        ({"$ref": "#/components/schemas/Balances"}, "Balances"),
        ({}, "anything"),
    ],
)
def test_types_are_said_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_of(schema, {}) == words


@pytest.fixture
def served(sqlite_web: Web) -> Iterator[str]:
    """The application behind a real port, with something in every list."""
    sqlite_web.play(*(recorded(customer(number)) for number in ("7001", "7002", "7003", "7004")))
    sqlite_web.ask("DELETE", "/v1/members/shop:7003")
    sqlite_web.shop("order.created", ORDER)
    sqlite_web.play(recorded(placed()), recorded(shipped()))
    for reward in ("rwd_fivecredit", "rwd_fivecredit", "rwd_fivecredit", "rwd_totebag"):
        sqlite_web.post("/v1/redemptions", {"member": "shop:7000", "reward": reward}, status=201)
    granted = {"member": "shop:7000", "reward": "rwd_totebag", "last_known": {"available": 5}}
    sqlite_web.post("/v1/redemptions", granted, status=201)
    sqlite_web.post("/v1/vouchers", {"member": "shop:7000", "percent": "10"}, status=201)
    for amount in (3, 4):
        sqlite_web.post(
            "/v1/transactions", {"member": "shop:7000", "type": "credit", "amount": amount}, status=201
        )
        due = {"source": "engine", "due_at": "2036-01-01T00:00:00Z"}
        sqlite_web.post("/v1/orders", {"member": "shop:7000", "amount": amount} | due, status=201)
    endpoint = sqlite_web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/hook"}, status=201)["id"]
    sqlite_web.post(f"/v1/endpoints/{endpoint}/test", status=202)
    sqlite_web.post("/v1/replays", {"endpoint": endpoint}, status=202)
    with sqlite_web.engine.begin() as connection:
        connection.execute(t.sources.update().values(connector="shopify"))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    sqlite_web.use(connectors=CONNECTORS)
    server = make_server("127.0.0.1", 0, sqlite_web.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="curl or bash is not here")
def test_every_example_works_when_it_is_pasted(served: str) -> None:
    last = [one for one in OPERATIONS if one[1] == "delete"]
    for path, method, operation in [*(one for one in OPERATIONS if one not in last), *last]:
        command = curl(path, method.upper()).replace("curl -s", "curl -s -w '\\n%{http_code}'")
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=True,
            env={"PATH": "/usr/bin:/bin", "LOYALTY_URL": served, "LOYALTY_KEY": TOKEN, "SHOP_SECRET": "hush"},
        )  # fmt: skip
        status = done.stdout.rsplit("\n", 1)[-1]
        expected = next(iter(operation["responses"]))
        assert status == expected, (command, done.stdout)
        if path.startswith("/webhooks"):
            assert '"status":"applied"' in done.stdout


def test_the_page_says_where_things_are_and_where_webhooks_come_from(sqlite_web: Web) -> None:
    """Who looks for the reference, the status, test and live, the changes or the firewall's list finds it here."""
    page = sqlite_web.client.get("/docs").get_data(as_text=True)
    for place in ("/openapi.json", "/readyz", "/healthz", "/metrics", "sk_test_", "sk_live_", "CHANGELOG.md"):
        assert place in page
    assert "delivery.egress" in page
    assert "kept\n    for 30 seconds" in page, "what may be cached, and for how long"
    sqlite_web.use(settings=replace(sqlite_web.settings, egress=("192.0.2.7", "192.0.2.8")))
    page = sqlite_web.client.get("/docs").get_data(as_text=True)
    assert "<code>192.0.2.7</code>, <code>192.0.2.8</code>" in page
