"""LoyalPro's table of errors, row by row, and the tenants and keys behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from adapter.clock import iso
from adapter.errors import Busy
from tests.dialects.loyalpro.conftest import V1
from tests.web.conftest import STRANGER, TOKEN, keyed

if TYPE_CHECKING:
    from tests.dialects.loyalpro.conftest import Shop

LIVE = TOKEN.replace("sk_test_", "sk_live_")
KEYS: list[tuple[str, dict[str, str], str]] = [
    # why, headers, code
    ("no key", {}, "api_key_missing"),
    ("no bearer", {"Authorization": TOKEN}, "api_key_malformed"),
    ("unknown", {"Authorization": "Bearer sk_test_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"}, "api_key_invalid"),
    ("of the other mode", {"Authorization": f"Bearer {LIVE}"}, "api_key_wrong_environment"),
    ("expired", {"Authorization": "Bearer sk_test_expired"}, "api_key_expired"),
    ("revoked", {"Authorization": "Bearer sk_test_revoked"}, "api_key_revoked"),
]


@pytest.mark.parametrize(("why", "headers", "code"), KEYS, ids=[one[0] for one in KEYS])
def test_each_way_of_being_nobody_is_401(shop: Shop, why: str, headers: dict[str, str], code: str) -> None:
    keyed(shop.web.engine, 1, "sk_test_expired", expires_at=shop.web.now)
    keyed(shop.web.engine, 1, "sk_test_revoked", revoked_at=shop.web.now)
    answer = shop.web.client.get(f"{V1}/customers", headers=headers)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (401, "unauthorized", code), why
    assert error["request_id"] == answer.headers["X-Request-ID"]


def test_a_feature_that_the_plan_lacks_is_named(shop: Shop) -> None:
    reader = "sk_test_reader"
    keyed(shop.web.engine, 1, reader, "members:read")
    shop.ask("GET", "/customers", token=reader)
    error = shop.refused("POST", "/points/award", {}, status=403, token=reader)
    assert (error["type"], error["code"]) == ("forbidden", "feature_not_available")
    assert error["feature"] == "transactions:write"
    assert "`transactions:write`" in error["message"]


def test_another_tenant_is_403_where_it_is_named_and_404_where_only_an_id_is(shop: Shop) -> None:
    customer = shop.customer()
    for more in ({"X_Tenant_ID": "umbrella"}, {"query": {"tenant_id": "umbrella"}}):
        error = shop.refused("GET", f"/customers/{customer}", status=403, **more)
        assert error["code"] == "tenant_foreign"
    error = shop.refused("POST", "/customers", {"tenant_id": "umbrella"}, status=403)
    assert error["code"] == "tenant_foreign"
    shop.ask("GET", f"/customers/{customer}", X_Tenant_ID="acme", query={"tenant_id": "acme"})
    theirs = shop.refused("GET", f"/customers/{customer}", status=404, token=STRANGER)
    nobodys = shop.refused("GET", "/customers/cus_0000000000000", status=404, token=STRANGER)
    assert theirs["message"] == nobodys["message"].replace("cus_0000000000000", customer, 1)


LOST = [
    ("GET", "/customers/cus_abc123", "member_unknown"),
    ("GET", "/customers/nobody", "member_unknown"),
    ("GET", "/customer", "route_unknown"),
    ("PUT", "/customers/1", "method_not_allowed"),
    ("GET", "/redemptions/rdm_1", "not_found"),
]


@pytest.mark.parametrize(("method", "path", "code"), LOST)
def test_what_is_not_there_is_404(shop: Shop, method: str, path: str, code: str) -> None:
    error = shop.refused(method, path, status=404)
    assert (error["type"], error["code"]) == ("not_found", code)


BAD = [
    (b"{", "application/json", "json_invalid"),
    (b"[]", "application/json", "json_invalid"),
    (b"a=b", "application/x-www-form-urlencoded", "media_type_unsupported"),
    (b'{"email": 7}', "application/json", "request_invalid"),
    (b'{"metadata": {"a": 1}}', "application/json", "request_invalid"),
]


@pytest.mark.parametrize(("raw", "media_type", "code"), BAD)
def test_a_body_that_cannot_be_used_is_400(shop: Shop, raw: bytes, media_type: str, code: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = shop.web.client.post(f"{V1}/customers", data=raw, content_type=media_type, headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, code)


def test_who_asks_too_often_is_told_when_to_come_back(shop: Shop) -> None:
    shop.web.use(settings=replace(shop.web.parts.settings, rate_per_s=1, rate_burst=2))
    for _ in range(2):
        shop.ask("GET", "/customers")
    answer = shop.ask("GET", "/customers", status=429)
    assert answer.get_json()["error"]["type"] == "rate_limited"
    assert answer.headers["Retry-After"] == "1"


def test_a_temporary_trouble_is_500_and_says_when_to_come_back(shop: Shop) -> None:
    shop.web.submit_error = Busy()
    answer = shop.ask("POST", "/customers", {}, status=500)
    assert answer.get_json()["error"]["type"] == "internal_error"
    assert answer.headers["Retry-After"] == "2"


def test_nothing_of_the_inside_is_told(shop: Shop) -> None:
    shop.web.submit_error = RuntimeError("secret")
    error = shop.refused("POST", "/customers", {}, status=500)
    assert error["code"] == "internal"
    assert "secret" not in str(error)


def test_the_documents_own_request(shop: Shop, served: str) -> None:
    """curl -X GET …/v1/customers/cus_abc123 with a key, over HTTP: found by its external id, else 404."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    url = f"{served}{V1}/customers"
    lost = requests.get(f"{url}/cus_abc123", headers=headers, timeout=30)
    assert (lost.status_code, lost.json()["error"]["type"]) == (404, "not_found")
    assert lost.json()["error"]["request_id"] == lost.headers["X-Request-ID"]
    customer = requests.post(url, json={"email": "jo@example.com"}, headers=headers, timeout=30).json()["id"]
    found: Any = requests.get(f"{url}/{customer}", headers=headers, timeout=30)
    assert (found.status_code, found.json()["email"]) == (200, "jo@example.com")
    assert found.headers["X-Request-ID"].startswith("req_")
    assert found.json()["created_at"] == iso(shop.web.now)


def test_a_host_of_its_own_has_the_paths_at_v1(shop: Shop) -> None:
    hosts = {"loyalpro.example.com": "/loyalpro"}
    shop.web.use(settings=replace(shop.web.parts.settings, dialect_hosts=hosts))
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "loyalpro.example.com"}
    assert shop.web.client.get("/v1/customers", headers=headers).get_json()["data"] == []
    error = shop.web.client.get("/v1/nothing", headers=headers).get_json()["error"]
    assert error["code"] == "route_unknown"
