"""How often a key may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import Busy
from adapter.web import buckets
from adapter.web.buckets import Buckets
from adapter.web.parts import WebSettings
from tests.shop import NOW
from tests.web.conftest import STRANGER, TOKEN, keyed
from tests.web.test_receiver import ORDER
from tests.web.test_service import figure

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.web.conftest import Web

KEY = (1, 7)


@pytest.mark.parametrize(
    ("per_s", "burst", "steps"),  # a step: milliseconds since the one before, granted, left, full in, next in
    [
        (2, 3, [(0, True, 2, 1, 0), (0, True, 1, 1, 0), (0, True, 0, 2, 1), (0, False, 0, 2, 1)]),
        (2, 1, [(0, True, 0, 1, 1), (499, False, 0, 1, 1), (1, True, 0, 1, 1)]),  # half a second a token
        (1, 2, [(0, True, 1, 1, 0), (0, True, 0, 2, 1), (9000, True, 1, 1, 0)]),  # never fuller than full
        (1, 1, [(0, True, 0, 1, 1), (-5000, False, 0, 1, 1), (999, False, 0, 1, 1), (1, True, 0, 1, 1)]),
        (1000, 1, [(0, True, 0, 1, 1), (1, True, 0, 1, 1)]),
    ],
)
def test_a_bucket_fills_steadily(
    per_s: int, burst: int, steps: list[tuple[int, bool, int, int, int]]
) -> None:
    filled, now = Buckets(per_s, burst), NOW
    for wait, granted, left, full_in_s, next_in_s in steps:
        now += wait
        taken = filled.take(KEY, now)
        assert (taken.granted, taken.left, taken.full_in_s, taken.next_in_s) == (
            granted,
            left,
            full_in_s,
            next_in_s,
        )


@given(
    per_s=st.integers(1, 50),
    burst=st.integers(1, 20),
    waits=st.lists(st.integers(0, 400), max_size=60),
)
def test_never_more_than_a_burst_and_the_rate(per_s: int, burst: int, waits: list[int]) -> None:
    filled, now, granted = Buckets(per_s, burst), NOW, 0
    for wait in waits:
        now += wait
        taken = filled.take(KEY, now)
        granted += taken.granted
        assert 0 <= taken.left < burst
        if not taken.granted:  # who waits as long as told is let in
            assert Buckets.take(copied(filled, per_s, burst), KEY, now + taken.next_in_s * 1000).granted
    assert granted <= burst + per_s * sum(waits) / 1000


def copied(of: Buckets, per_s: int, burst: int) -> Buckets:
    fresh = Buckets(per_s, burst)
    fresh._levels = dict(of._levels)
    return fresh


def test_the_memory_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "BUCKETS_MAX", 3)
    filled = Buckets(1, 1)
    for number in range(10):
        filled.take((1, number), NOW + number * 600)
        assert len(filled._levels) <= 3
    assert not filled.take((1, 9), NOW + 5400).granted  # the newest is never forgotten while others may be
    crowded = Buckets(1, 1)
    for number in range(10):
        crowded.take((1, number), NOW)
        assert len(crowded._levels) <= 3


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
def limited(sqlite_web: Web) -> Web:
    """Two requests at once, and one more each second."""
    sqlite_web.use(settings=WebSettings(rate_per_s=1, rate_burst=2))
    return sqlite_web


def ask(web: Web, path: str = "/v1/members", token: str = TOKEN) -> TestResponse:
    return web.client.get(path, headers={"api-key": token})


def told(answer: TestResponse) -> list[int]:
    return [int(answer.headers[f"RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset")]


def test_who_asks_too_often_is_told_when_to_come_back(limited: Web) -> None:
    assert [told(ask(limited)) for _ in range(2)] == [[2, 1, 1], [2, 0, 2]]
    answer = ask(limited)
    assert (answer.status_code, answer.get_json()["code"]) == (429, "rate_limited")
    assert answer.mimetype == "application/problem+json"
    assert (answer.headers["Retry-After"], told(answer)) == ("1", [2, 0, 2])
    limited.now += 999
    assert ask(limited).status_code == 429
    limited.now += 1
    assert ask(limited).status_code == 200
    labels = {"tenant": "acme", "mode": "test"}
    assert figure(limited, "loyalty_requests_limited_total", **labels) == 2


def test_an_error_carries_the_limits_as_well(limited: Web) -> None:
    answer = ask(limited, "/v1/members/nobody:1")
    assert (answer.status_code, told(answer)) == (404, [2, 1, 1])


def test_each_key_has_a_bucket_of_its_own(limited: Web) -> None:
    keyed(limited.engine, 1, "sk_test_another")
    assert [ask(limited).status_code for _ in range(3)] == [200, 200, 429]
    assert ask(limited, token="sk_test_another").status_code == 200
    assert ask(limited, token=STRANGER).status_code == 200


def test_what_has_no_key_has_no_limit(limited: Web) -> None:
    for _ in range(5):
        assert limited.client.get("/healthz").status_code == 200
        assert ask(limited, token="sk_test_guess").status_code == 401
        assert limited.shop("order.created", ORDER).status_code == 200


def test_a_full_door_is_still_a_503(limited: Web) -> None:
    limited.shop("order.created", ORDER)
    event = ask(limited, "/v1/events").get_json()["data"][0]["id"]
    limited.submit_error = Busy()
    answer = limited.client.post(f"/v1/events/{event}/replay", headers={"api-key": TOKEN})
    assert (answer.status_code, answer.headers["Retry-After"], answer.get_json()["code"]) == (
        503,
        "2",
        "busy",
    )


def test_without_a_rate_nothing_is_said_of_one(sqlite_web: Web) -> None:
    answers = [ask(sqlite_web) for _ in range(150)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit-Limit" not in answers[-1].headers
