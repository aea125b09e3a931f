"""What threads tell is taken together and in order, and whoever waits for enough of it is woken."""

from __future__ import annotations

import threading

import pytest

from adapter.delivery.inbox import Inbox

LONG_S = 60.0
"""Nobody waits as long as this: whoever is not woken fails by it."""


def test_what_is_there_is_taken_in_order_and_once() -> None:
    inbox: Inbox[int] = Inbox()
    for number in range(3):
        inbox.put(number)
    assert inbox.take() == [0, 1, 2]
    assert inbox.take() == []


@pytest.mark.parametrize("timeout_s", [0.0, LONG_S, None])
def test_nobody_waits_for_what_is_there(timeout_s: float | None) -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(1)
    inbox.put(2)
    inbox.wait(2, timeout_s)
    assert inbox.take() == [1, 2]


def test_a_wait_ends_without_enough() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(1)
    inbox.wait(2, 0.001)
    assert inbox.take() == [1]


def test_whoever_waits_is_woken_by_the_last_of_so_many() -> None:
    inbox: Inbox[int] = Inbox()
    waiting = threading.Thread(target=inbox.wait, args=(20, None), daemon=True)
    waiting.start()
    for number in range(20):
        inbox.put(number)
    waiting.join(LONG_S)
    assert not waiting.is_alive()
    assert inbox.take() == list(range(20))
    inbox.put(1)
    inbox.wait(2, 0.0)  # what woke it before wakes nobody again
    assert inbox.take() == [1]
