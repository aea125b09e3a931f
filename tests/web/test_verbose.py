"""The switch that logs requests and answers: everything that one needs at night, and no secret."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from adapter.web.parts import WebSettings
from adapter.web.verbose import shown_body
from tests.web.conftest import SECRET, TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web


def test_nothing_is_logged_unless_it_is_asked_for(sqlite_web: Web) -> None:
    with capture_logs() as logs:
        sqlite_web.get("/v1/members")
    assert logs == []


def test_requests_and_answers_are_logged_but_no_secret(sqlite_web: Web) -> None:
    sqlite_web.use(settings=replace(WebSettings(), log_requests=True))
    with capture_logs() as logs:
        made = sqlite_web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/logged"}, status=201)
        sqlite_web.client.post("/webhooks/shop", data=b"{", headers={"x-wc-webhook-signature": "forged"})
    received = [one for one in logs if one["event"] == "request.received"]
    answered = [one for one in logs if one["event"] == "request.answered"]
    assert [one["request_id"] for one in received] == [one["request_id"] for one in answered]
    assert [one["address"] for one in received] == ["POST /v1/endpoints", "POST /webhooks/shop"]
    assert [one["status"] for one in answered] == [201, 401]
    assert json.loads(received[0]["body"]) == {"url": "http://127.0.0.1:9/logged"}
    everything = repr(logs)
    assert made["secret"] not in everything
    assert TOKEN not in everything
    assert SECRET not in everything
    assert "forged" not in everything


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", ""),
        (b"a=1", "3 bytes, not JSON"),
        (b'{"a":{"client_secret":"x"}}', '{"a":{"client_secret":"(hidden)"}}'),
        (b'[{"Token":["y"],"b":1}]', '[{"Token":"(hidden)","b":1}]'),
        (b'{"secrets":{"a":1},"token":true}', '{"secrets":"(hidden)","token":true}'),
        (json.dumps({"a": "x" * 5000}).encode(), '{"a":"' + "x" * 4090 + "… (5009 bytes)"),
    ],
)
def test_a_body_is_shown_without_its_secrets(body: bytes, shown: str) -> None:
    assert shown_body(body) == shown
