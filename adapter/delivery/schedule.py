"""When a delivery is tried again: pure arithmetic over the endpoint's schedule and its answer.

Never earlier than the schedule says, never earlier than the receiver asked for (`Retry-After`, up to a cap),
and with jitter only upward, so that the receivers of one outage are not all called again in the same second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, wait_chain, wait_fixed

from adapter.clock import EPOCH, Millis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapter.delivery.answer import Answer

JITTER = 0.1  # of the wait, at most
JITTER_CAP_S = 900.0
_LONGEST_DIGITS = 12  # seconds with more digits than this are nonsense, and costly to read


@dataclass(frozen=True, slots=True)
class Delivered:
    """It arrived."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """It is tried again at an instant; `step` is its position in the schedule from then on."""

    at: Millis
    step: int


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter: the schedule is used up, or trying again would not help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver wants nothing any more: its endpoint is disabled and the delivery is held."""


Decision = Delivered | RetryAt | Dead | Gone


def decide(
    now: Millis,
    step: int,
    schedule: Sequence[int],
    answer: Answer,
    *,
    random: Callable[[], float],
    retry_after_cap_s: int = 86_400,
) -> Decision:
    """Return what follows from an answer. `random` gives a number in [0, 1) for the jitter."""
    if answer.delivered:
        return Delivered()
    if answer.gone:
        return Gone()
    if answer.hopeless or step >= len(schedule):
        return Dead(answer.reason)
    asked_s = min(asked_wait_s(answer.retry_after, now), float(retry_after_cap_s))
    wait_s = with_jitter(max(scheduled_wait_s(schedule, step), asked_s), random())
    return RetryAt(now + math.ceil(wait_s * 1000), step + 1)


def scheduled_wait_s(schedule: Sequence[int], step: int) -> float:
    """Return the wait before retry number `step` (from 0); past the end the last one stays."""
    state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = step + 1
    return wait_chain(*(wait_fixed(seconds) for seconds in schedule))(state)


def with_jitter(wait_s: float, random: float) -> float:
    """Lengthen a wait by at most a tenth and at most a quarter of an hour."""
    return wait_s + min(wait_s * JITTER, JITTER_CAP_S) * random


def asked_wait_s(retry_after: str | None, now: Millis) -> float:
    """Read a `Retry-After` header, seconds or an HTTP date; 0 where nothing can be understood."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:_LONGEST_DIGITS])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return 0.0
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
    return max(at // timedelta(milliseconds=1) - now, 0) / 1000
