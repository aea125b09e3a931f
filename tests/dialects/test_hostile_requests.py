"""Whatever a client sends to ES Loyalty or LoyalPro is its own mistake: each field, query and id with what fits nowhere."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import Client

from adapter.web.application import flask_app
from adapter.web.gate import Gate
from tests.dialects.es_loyalty import conftest as es_loyalty
from tests.dialects.loyalpro import conftest as loyalpro
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from flask import Flask

    from tests.web.conftest import Web

HOSTILE: tuple[Any, ...] = (
    None, True, -1, 1.5, 10**30, "", "x" * 500, "\0", "1e400", "NaN", [], [None], [{"amount": 1}], {}, {"a": 1},
    {"LOYALTY": [{"amount": 1}]}, {"mode": "CART"}, "2026-13-01", "9999-12-31T23:59:59Z", "txn_0000000000000",
)  # fmt: skip
SEGMENTS = ("%00", "%20", "..", "%FF", "a%2Fb", "x" * 3000, "cus_", "mem_0000000000000", "rdm_0000000000000")
USER = f"/client/users/{es_loyalty.SESSION}"
PURCHASE = {"tender": {"CASH": "100"}}
AWARD = {"customer_id": "u-1", "points": 1}

BODIES: dict[str, list[tuple[str, dict[str, Any], tuple[str, ...]]]] = {
    # path, a body that is right, its fields
    "es_loyalty": [
        ("/client/users/7000/sessions", {"correlationId": "s"}, ("correlationId", "channel", "externalAgentSessionId")),
        (f"{USER}/reservations", {}, ("reservationAmount", "catalogueItems", "contributions", "businessUnit")),
        (f"{USER}/adhoc-redemption", {"businessUnit": "b"}, ("reservationToken", "businessUnit")),
        (f"{USER}/activity/finalize/v2", PURCHASE, ("callId", "transactionDate", "tender", "saleLineItems", "confirmation")),
        (f"{USER}/sessions/x/confirmations", {}, ("mode",)),
    ],
    "loyalpro": [
        ("/loyalpro/v1/customers", {}, ("external_id", "email", "name", "birthday", "metadata", "tenant_id")),
        ("/loyalpro/v1/customers/bulk", {}, ("customers",)),
        ("/loyalpro/v1/points/award", AWARD, ("customer_id", "points", "type", "reason", "metadata", "expires_at")),
        ("/loyalpro/v1/points/award/bulk", {}, ("awards",)),
        ("/loyalpro/v1/points/redeem", AWARD, ("customer_id", "reward_id", "points", "metadata")),
    ],
}  # fmt: skip
QUERIES: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "es_loyalty": [(f"{USER}/transactions/history/v2", ("limit", "transactionId", "from", "to"))],
    "loyalpro": [
        ("/loyalpro/v1/customers", ("limit", "cursor", "fields", "email", "external_id", "include_deleted")),
        ("/loyalpro/v1/points", ("customer_id", "type", "cursor", "limit")),
        ("/loyalpro/v1/redemptions", ("status", "code", "customer_id", "cursor")),
    ],
}
PATHS: dict[str, list[tuple[str, str]]] = {
    "es_loyalty": [
        ("GET", "/client/users/{}/balance"),
        ("POST", "/client/users/{}/sessions"),
        ("DELETE", f"{USER}/reservations/{{}}"),
        ("POST", f"{USER}/sessions/{{}}/confirmations"),
    ],
    "loyalpro": [
        ("GET", "/loyalpro/v1/customers/{}"),
        ("PATCH", "/loyalpro/v1/customers/{}"),
        ("DELETE", "/loyalpro/v1/customers/{}"),
        ("GET", "/loyalpro/v1/redemptions/{}"),
        ("POST", "/loyalpro/v1/redemptions/{}/cancel"),
    ],
}


@pytest.fixture(params=["es_loyalty", "loyalpro"])
def dialect(request: pytest.FixtureRequest, sqlite_web: Web) -> str:
    """The dialect that is asked, by a customer whom it knows."""
    if request.param == "es_loyalty":
        till = es_loyalty.furnished(sqlite_web)
        till.member(5500)
        till.start()
    else:
        loyalpro.furnished(sqlite_web).customer(500, external_id="u-1")
    return str(request.param)


def refuses(app: Flask, method: str, path: str, **more: Any) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = Client(app).open(path, method=method, headers=headers, **more)
    assert answer.status_code < 500, (method, path, more, answer.get_data(as_text=True))


def test_no_field_is_our_mistake(dialect: str, sqlite_web: Web) -> None:
    app = flask_app(sqlite_web.parts, Gate(sqlite_web.parts))
    for path, right, fields in BODIES[dialect]:
        for field, value in product(fields, HOSTILE):
            refuses(app, "POST", path, json={**right, field: value})


def test_no_query_is_our_mistake(dialect: str, sqlite_web: Web) -> None:
    app = flask_app(sqlite_web.parts, Gate(sqlite_web.parts))
    written = [value for value in HOSTILE if isinstance(value, (str, int, float))]
    for path, fields in QUERIES[dialect]:
        for field, value in product(fields, written):
            refuses(app, "GET", path, query_string={field: value})


def test_no_address_is_our_mistake(dialect: str, sqlite_web: Web) -> None:
    app = flask_app(sqlite_web.parts, Gate(sqlite_web.parts))
    for (method, path), segment in product(PATHS[dialect], SEGMENTS):
        refuses(app, method, path.format(segment), json={} if method in ("POST", "PATCH") else None)
