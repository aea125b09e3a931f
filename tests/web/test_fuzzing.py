"""Requests made up from the documentation itself: whatever comes, no 500, and every answer as documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks

from adapter.web.openapi import document
from adapter.web.parts import WebSettings
from adapter.web.table import ROUTES
from tests.shop import placed, recorded, shipped
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

load_all_checks()
CHECKED = [
    CHECKS.get_one(name)
    for name in ("not_a_server_error", "status_code_conformance", "content_type_conformance",
                 "response_schema_conformance", "response_headers_conformance")
]  # fmt: skip
OPERATIONS = [
    (path, method)
    for path, methods in document(ROUTES, "http://localhost")["paths"].items()
    for method in methods
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_are_as_documented(sqlite_web: Web, path: str, method: str) -> None:
    sqlite_web.play(recorded(placed()), recorded(shipped()))
    fuzz(sqlite_web, path, method)


@pytest.mark.parametrize(
    ("path", "method"), [("/v1/members", "get"), ("/v1/balances", "get"), ("/v1/endpoints", "post")]
)
def test_too_many_requests_are_answered_as_documented(sqlite_web: Web, path: str, method: str) -> None:
    sqlite_web.use(settings=WebSettings(rate_per_s=1, rate_burst=3))
    assert 429 in fuzz(sqlite_web, path, method)


def test_an_unchanged_balance_is_answered_as_documented(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(placed()), recorded(shipped()))
    path = "/v1/members/{member}/balance"
    operation = schemathesis.openapi.from_wsgi("/openapi.json", sqlite_web.app)[path]["GET"]
    case = operation.Case(path_parameters={"member": "shop:7000"}, headers={"If-None-Match": "*"})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = case.call_and_validate(headers=headers, checks=cast("list[Any]", CHECKED))
    assert answer.status_code == 304


def fuzz(web: Web, path: str, method: str) -> set[int]:
    """Make requests up for an operation, check every answer, and return the statuses that came."""
    operation = schemathesis.openapi.from_wsgi("/openapi.json", web.app)[path][method.upper()]
    statuses: set[int] = set()

    @given(case=operation.as_strategy())
    @settings(
        max_examples=10,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def asked(case: schemathesis.Case[Any]) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = case.call_and_validate(headers=headers, checks=cast("list[Any]", CHECKED))
        statuses.add(answer.status_code)

    asked()
    return statuses
