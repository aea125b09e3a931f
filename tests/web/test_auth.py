from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapter.store import tables as t
from adapter.web.table import ROUTES
from tests.shop import NOW
from tests.web.conftest import STRANGER, TOKEN, keyed

if TYPE_CHECKING:
    from adapter.web.routing import Route
    from tests.web.conftest import Web

TWIN = TOKEN.replace("sk_test_", "sk_live_")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN} "},
        {"api-key": TOKEN},
        {"X-Api-Key": TOKEN},
        {"X-Api-Key": TOKEN, "Authorization": f"Bearer {TOKEN}"},
    ],
)
def test_a_key_is_taken_from_three_headers(sqlite_web: Web, headers: dict[str, str]) -> None:
    assert sqlite_web.client.get("/v1/members", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "api_key_missing"),
        ({"api-key": " "}, "api_key_missing"),
        ({"Authorization": "Bearer"}, "api_key_malformed"),
        ({"Authorization": ""}, "api_key_malformed"),
        ({"Authorization": f"Basic {TOKEN}"}, "api_key_malformed"),
        ({"Authorization": TOKEN}, "api_key_malformed"),
        ({"api-key": "sk test"}, "api_key_malformed"),
        ({"api-key": "sk_\xff"}, "api_key_malformed"),
        ({"api-key": "k" * 257}, "api_key_malformed"),
        ({"api-key": TOKEN, "X-Api-Key": "another"}, "api_key_malformed"),
        ({"api-key": "sk_test_unknown"}, "api_key_invalid"),
        ({"api-key": "unknown"}, "api_key_invalid"),
        ({"api-key": TWIN}, "api_key_wrong_environment"),
        ({"api-key": STRANGER.replace("live", "test")}, "api_key_wrong_environment"),
    ],
)
def test_each_way_of_being_wrong_has_its_code(sqlite_web: Web, headers: dict[str, str], code: str) -> None:
    answer = sqlite_web.client.get("/v1/members", headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    ("column", "at", "code"),
    [
        ("expires_at", NOW, "api_key_expired"),
        ("expires_at", NOW + 1, None),
        ("revoked_at", NOW, "api_key_revoked"),
        ("revoked_at", NOW + 1, None),
    ],
)
def test_a_key_ends_at_its_instant(web: Web, column: str, at: int, code: str | None) -> None:
    keyed(web.engine, 1, "sk_test_short", **{column: at})
    answer = web.client.get("/v1/members", headers={"api-key": "sk_test_short"})
    assert (answer.status_code, answer.get_json().get("code")) == (200 if code is None else 401, code)


def test_a_key_whose_prefix_belies_its_environment_is_refused(sqlite_web: Web) -> None:
    keyed(sqlite_web.engine, 1, "sk_live_in_test")
    problem = sqlite_web.get("/v1/members", token="sk_live_in_test", status=401)
    assert problem["code"] == "api_key_wrong_environment"
    assert "live mode" in problem["detail"]


def test_a_revoked_key_lives_on_for_a_second_at_most(sqlite_web: Web) -> None:
    sqlite_web.get("/v1/members")
    with sqlite_web.engine.begin() as connection:
        connection.execute(t.api_keys.update().values(revoked_at=0))
    sqlite_web.now += 999
    sqlite_web.get("/v1/members")
    sqlite_web.now += 1
    assert sqlite_web.get("/v1/members", status=401)["code"] == "api_key_revoked"


def test_the_memory_of_keys_is_bounded(sqlite_web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.web.auth.CACHE_MAX", 2)
    for number in range(5):
        sqlite_web.get("/v1/members", token=f"guess{number}", status=401)
    sqlite_web.get("/v1/members")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_asks_for_its_scope(sqlite_web: Web, route: Route) -> None:
    others = {one.scope for one in ROUTES} - {route.scope}
    keyed(sqlite_web.engine, 1, "sk_test_others", *others)
    problem = sqlite_web.ask(route.method, route.path, token="sk_test_others", status=403)
    assert (problem["code"], problem["errors"][0]["message"]) == ("scope_missing", route.scope)


@pytest.mark.parametrize(("scope", "status"), [("members:read", 200), ("members:*", 200), ("members", 403)])
def test_scopes_are_named_whole_or_by_noun(sqlite_web: Web, scope: str, status: int) -> None:
    keyed(sqlite_web.engine, 1, "sk_test_scoped", scope)
    sqlite_web.get("/v1/members", token="sk_test_scoped", status=status)
