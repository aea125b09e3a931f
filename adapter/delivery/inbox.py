"""What threads tell the dispatcher's loop. It is woken once for many of them rather than for each."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Told = TypeVar("Told")

_NEVER = float("inf")


class Inbox(Generic[Told]):
    """Any thread puts; one thread waits and takes."""

    def __init__(self) -> None:
        self._told: deque[Told] = deque()
        self._enough: float = _NEVER  # so many are waited for
        self._there = threading.Event()

    def put(self, told: Told) -> None:
        """Add something. Waits for nothing."""
        self._told.append(told)
        if len(self._told) >= self._enough:
            self._there.set()

    def wait(self, count: int, timeout_s: float | None) -> None:
        """Wait until so many are there, at most as long as that; None is for ever."""
        self._there.clear()
        self._enough = count  # and only then is looked: whoever puts does it the other way round
        if len(self._told) < count:
            self._there.wait(timeout_s)
        self._enough = _NEVER

    def take(self) -> list[Told]:
        """Return all that is there, in the order in which it came."""
        return [self._told.popleft() for _ in range(len(self._told))]
