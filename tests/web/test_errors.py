from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import BadRequest

from adapter.errors import AdapterError, Conflict, DatabaseUnavailable, Refused
from adapter.web.errors import STATUS, Problem, status_of

if TYPE_CHECKING:
    from tests.web.conftest import Web


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused(), 422),
        (Refused(code="some_rule"), 422),
        (Conflict(code="endpoint_disabled"), 409),
        (Conflict(code="some_conflict"), 409),
        (DatabaseUnavailable(), 503),
        (Problem("too_large", ""), 413),
        (AdapterError(code="nobody_knows"), 500),
    ],
)
def test_a_code_or_its_class_decides_the_status(error: AdapterError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    "path", ["/", "/v2/members", "/v1/member", "//v1/members", "/v1/events/a/b/c", "/%00"]
)
def test_an_unknown_address_is_a_json_404(sqlite_web: Web, path: str) -> None:
    answer = sqlite_web.client.get(path)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "route_unknown")
    assert answer.get_json()["request_id"] == answer.headers["X-Request-ID"]


def test_a_wrong_method_says_which_are_right(sqlite_web: Web) -> None:
    answer = sqlite_web.client.put("/v1/members")
    assert (answer.status_code, answer.get_json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


JSON = "application/json"
BAD_BODIES: list[tuple[bytes, str, int, str, str | None]] = [
    (b"{", JSON, 400, "json_invalid", "body"),
    (b"[]", JSON, 400, "json_invalid", "body"),
    (b"\xff", JSON, 400, "json_invalid", "body"),
    (b'{"url": NaN}', JSON, 400, "json_invalid", "body"),
    (b"[" * 100_000, JSON, 400, "json_invalid", "body"),
    (b"url=x", "application/x-www-form-urlencoded", 415, "media_type_unsupported", None),
    (b"{}", "text/plain; charset=utf-8", 415, "media_type_unsupported", None),
    (b"{}", JSON, 400, "request_invalid", "url"),
    (b"", JSON, 400, "request_invalid", "url"),
    (b'{"url": 5}', JSON, 400, "request_invalid", "url"),
    (b'{"url": "http://a.example", "colour": 1}', JSON, 400, "request_invalid", "colour"),
    (b'{"url": "http://a.example", "schedule": [1, "x"]}', JSON, 400, "request_invalid", "schedule.1"),
    (b'{"url": "not a url"}', JSON, 400, "endpoint_invalid", "url"),
    (b'{"url": "http://a.example", "secrets": ["x"]}', JSON, 400, "request_invalid", "secrets"),
    (b'{"url": "' + b"x" * 2_000_000 + b'"}', JSON, 413, "too_large", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "status", "code", "field"), BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_a_bad_body_names_its_field(
    sqlite_web: Web, body: bytes, kind: str, status: int, code: str, field: str | None
) -> None:
    from tests.web.conftest import TOKEN

    headers = {"api-key": TOKEN}
    answer = sqlite_web.client.post("/v1/endpoints", data=body, content_type=kind, headers=headers)
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert (problem["errors"][0]["field"] if problem["errors"] else None) == field


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=201", "limit", "less than or equal to 200"),
        ("limit=x", "limit", "valid integer"),
        ("limit=1&limit=2", "limit", "once"),
        ("colour=red", "colour", "no such field"),
        ("state=gone", "state", "'applied'"),
        ("since=yesterday", "since", "ISO 8601"),
        ("cursor=!", "cursor", "unchanged"),
        ("cursor=%C3%A9", "cursor", "unchanged"),
        ("cursor=WyJ4Il0", "cursor", "another list"),
        ("cursor=Wy0xXQ", "cursor", "another list"),
        ("cursor=e30", "cursor", "another list"),
        ("fields=id,colour", "fields", "no field 'colour'; there are: id"),
        ("member=nobody", "member", "no member 'nobody'"),
    ],
)
def test_a_bad_parameter_is_named(sqlite_web: Web, query: str, field: str, says: str) -> None:
    from tests.web.conftest import TOKEN

    answer = sqlite_web.client.get(f"/v1/events?{query}", headers={"api-key": TOKEN})
    (error,) = answer.get_json()["errors"]
    assert (answer.status_code, error["field"]) == (404 if field == "member" else 400, field)
    assert says in error["message"]


class Broken:
    """A catalog that fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("select", {}, Exception("gone")), 503, "database_unavailable"),
        (PoolTimeout(), 503, "busy"),
        (ProgrammingError("select", {}, Exception("secret detail")), 500, "internal"),
        (KeyError("secret detail"), 500, "internal"),
        (BadRequest("odd"), 400, "request_invalid"),
    ],
)
def test_nothing_unforeseen_shows_the_inside(
    sqlite_web: Web, error: Exception, status: int, code: str
) -> None:
    sqlite_web.use(catalog=Broken(error))
    problem = sqlite_web.get("/v1/members", status=status)
    assert problem["code"] == code
    assert "secret" not in str(problem)


def test_every_answer_carries_the_headers_that_keep_it_safe(sqlite_web: Web) -> None:
    for path in ("/healthz", "/v1/members", "/nowhere", "/docs", "/metrics"):
        headers = sqlite_web.client.get(path, headers={"X-Request-ID": "mine"}).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Request-ID"].startswith("req_")


def test_every_code_has_a_status_that_http_knows() -> None:
    assert all(400 <= status < 600 for status in STATUS.values())
