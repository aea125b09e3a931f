"""What every dialect keeps to, whatever vendor's words it speaks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from werkzeug.test import Client

from adapter.messages import MessageType
from adapter.web.application import flask_app
from adapter.web.dialects import NATIVE
from adapter.web.gate import Gate
from connectors.dialects import DIALECTS
from connectors.vendors import VENDORS

if TYPE_CHECKING:
    from adapter.web.dialects import Dialect
    from tests.web.conftest import Web

each = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.name)


def test_the_tables_name_the_same_vendors() -> None:
    assert [one.name for one in DIALECTS] == list(VENDORS)
    assert all(one.vendor is VENDORS[one.name] for one in DIALECTS)


def test_no_address_is_in_two_dialects() -> None:
    served = [
        (route.method, re.sub(r"{\w+}", "{}", dialect.at(route)))
        for dialect in (NATIVE, *DIALECTS)
        for route in dialect.routes
    ]
    assert len(served) == len(set(served))


@each
def test_its_routes_are_its_own_paths(dialect: Dialect) -> None:
    for route in dialect.routes:
        assert dialect.owns(dialect.at(route)), route.path
        others = [one.name for one in DIALECTS if one is not dialect and one.owns(dialect.at(route))]
        assert others == []
        assert route.summary, route.path


@each
def test_its_page_has_what_is_served_and_nothing_else(dialect: Dialect, sqlite_web: Web) -> None:
    page = Client(flask_app(sqlite_web.parts, Gate(sqlite_web.parts))).get(f"/docs/{dialect.name}").text
    shown = set(re.findall(r'<span class="method \w+">(\w+)</span>([^<]+)</td>', page))
    rules = sqlite_web.routes.iter_rules()
    real = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if dialect.owns(rule.rule) and not rule.rule.startswith("/docs")
    }
    assert shown == real
    assert dialect.text.strip()
    assert "$URL" in dialect.example
    assert all(reason.endswith(".") for reason in dialect.left_out.values())
    assert (
        f'href="/docs/{dialect.name}"'
        in Client(flask_app(sqlite_web.parts, Gate(sqlite_web.parts))).get("/docs").text
    )


@each
def test_it_refuses_in_its_own_words(dialect: Dialect, sqlite_web: Web) -> None:
    """Whoever comes without a key, or to an address that is not there, reads an error of the vendor's shape."""
    client = Client(sqlite_web.app)
    route = dialect.routes[0]
    path = re.sub(r"{\w+}", "1", dialect.at(route))
    without = client.open(path, method=route.method)
    assert without.status_code == 401
    lost = client.get(f"{dialect.prefix}{dialect.beginnings[0]}is/nothing/at/all")
    assert lost.status_code == 404
    for answer in (without, lost):
        body: Any = orjson.loads(answer.data)
        assert body
        for one in body if isinstance(body, list) else [body]:
            assert not {"type", "title", "detail"} <= set(one), "our own problem document"
        assert answer.headers["X-Request-ID"].startswith("req_")


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda one: one.name)
def test_its_events_are_told_of_messages_of_ours(vendor: Any) -> None:
    assert set(vendor.events) <= set(MessageType)
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", event) for event in vendor.event_types())
