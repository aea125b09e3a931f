"""When a delivery is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.delivery.answer import Answer
from adapter.delivery.schedule import (
    Dead,
    Decision,
    Delivered,
    Gone,
    RetryAt,
    asked_wait_s,
    decide,
    scheduled_wait_s,
)
from adapter.delivery.settings import DEFAULT_SCHEDULE_S

NOW = 1_800_000_000_000  # Fri, 15 Jan 2027 08:00:00 GMT
FAILED = Answer(500, 10)


@pytest.mark.parametrize(
    ("answer", "step", "decision"),
    [
        (Answer(200, 1), 0, Delivered()),
        (Answer(299, 1), 9, Delivered()),
        (Answer(204, 1, error="the body broke off"), 0, Delivered()),
        (Answer(410, 1), 0, Gone()),
        (Answer(301, 1), 0, RetryAt(NOW + 5_000, 1)),
        (Answer(404, 1), 1, RetryAt(NOW + 60_000, 2)),
        (Answer(None, 1, "no answer within 5 s"), 8, RetryAt(NOW + 86_400_000, 9)),
        (FAILED, 9, Dead("answered 500")),
        (Answer(None, 0, "no secret", hopeless=True), 0, Dead("no secret")),
        (Answer(429, 1, retry_after="120"), 0, RetryAt(NOW + 120_000, 1)),
        (Answer(503, 1, retry_after="1"), 1, RetryAt(NOW + 60_000, 2)),  # the schedule asks for more
        (Answer(500, 1, retry_after="Fri, 15 Jan 2027 08:10:00 GMT"), 0, RetryAt(NOW + 600_000, 1)),
        (Answer(503, 1, retry_after="999999"), 0, RetryAt(NOW + 86_400_000, 1)),  # capped at a day
        (Answer(200, 1, retry_after="60"), 0, Delivered()),
    ],
)
def test_what_follows_from_an_answer(answer: Answer, step: int, decision: Decision) -> None:
    assert decide(NOW, step, DEFAULT_SCHEDULE_S, answer, random=lambda: 0.0) == decision


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, 0), ("", 0), ("soon", 0), ("-5", 0), ("1.5", 0), ("٣", 0), ("7", 7), (" 7 ", 7),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),  # in the past
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ("Fri, 15 Jan 2027 08:00:30 -0000", 30),
        ("Fri, 15 Jan 2027 09:00:30 +0100", 30),
        ("Fri, 99 Jan 2027 08:00:30 GMT", 0),
        ("9" * 5000, 10**12 - 1),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(header: str | None, wait_s: float) -> None:
    assert asked_wait_s(header, NOW) == wait_s


def test_the_default_schedule_lasts_for_almost_three_days() -> None:
    assert [scheduled_wait_s(DEFAULT_SCHEDULE_S, step) for step in range(9)] == list(DEFAULT_SCHEDULE_S)
    assert sum(DEFAULT_SCHEDULE_S) == 246_965  # 2 days, 20 hours, 36 minutes


@pytest.mark.parametrize(
    ("random", "step", "wait_ms"),
    [
        (0.5, 1, 63_000),
        (1.0, 0, 5_500),
        (1.0, 8, 86_400_000 + 900_000),
    ],  # a tenth, at most a quarter of an hour
)
def test_jitter_goes_up_only(random: float, step: int, wait_ms: int) -> None:
    decision = decide(NOW, step, DEFAULT_SCHEDULE_S, FAILED, random=lambda: random)
    assert decision == RetryAt(NOW + wait_ms, step + 1)


@given(
    schedule=st.lists(st.integers(0, 10**6), min_size=1, max_size=10),
    step=st.integers(0, 9),
    asked=st.integers(0, 10**7),
    random=st.floats(0, 1),
    status=st.sampled_from([None, 301, 404, 429, 500, 503]),
    now=st.integers(0, 4 * 10**12),
)
def test_never_before_the_schedule_and_never_earlier_than_asked(
    schedule: list[int], step: int, asked: int, random: float, status: int | None, now: int
) -> None:
    answer = Answer(status, 1, "x", retry_after=str(asked))
    decision = decide(now, step, schedule, answer, random=lambda: random)
    if step >= len(schedule):
        assert isinstance(decision, Dead)
        return
    assert isinstance(decision, RetryAt)
    assert decision.at >= now + schedule[step] * 1000
    assert decision.at >= now + min(asked, 86_400) * 1000
    assert decision.at <= now + max(schedule[step], min(asked, 86_400)) * 1100 + 1


@given(header=st.text(max_size=60), now=st.integers(0, 4 * 10**12))
def test_no_header_is_too_strange_to_be_read(header: str, now: int) -> None:
    assert asked_wait_s(header, now) >= 0
