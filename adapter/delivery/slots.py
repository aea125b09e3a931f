"""Who may send how much at once, so that an endpoint that hangs never takes the threads of the others.

Five rules, each with its reason:

- turns: free places are dealt out one by one, first to the endpoint that was served longest ago;
- fair shares: of `workers` requests in flight, an endpoint gets at most its part among those that are busy
  now, and never more than its own `concurrency`. However many endpoints begin to hang in one moment, they
  hold only the share that they had;
- a window: an endpoint has two requests in flight until it answered in time, then twice as many. One that
  never answers never holds more than two;
- lines: to an endpoint that answers promptly each place sends several deliveries one after the other, which
  were claimed together, so that the database is asked once for all of them;
- slow endpoints: one that lets a request wait longer than `slow_after_s` no longer counts against `workers`
  but against `slow_workers`, threads of their own. It gets one request at a time until it answers sooner, and
  all such endpoints together use half of those threads, so that the other half takes in those that begin to
  hang.

The rate limit counts the requests begun within the last second. All of it is this process's own knowledge.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from adapter.catalog import Endpoint

FIRST_WINDOW = 2
RATE_SPAN_S = 1.0
LINE_S = 0.2
"""About how long a line takes: so long that a turn of the database hides behind it."""

Key = tuple[int, int]
"""An endpoint: (env, id)."""

Ticket = tuple[int, int]
"""One request in flight: (delivery, fence)."""


@dataclass(slots=True)
class _Lane:
    """What is known of one endpoint. Instants are of a monotonic clock, in seconds."""

    flying: dict[Ticket, float] = field(default_factory=dict)  # → begun at
    window: int = FIRST_WINDOW
    slow: bool = False
    line: int = 1
    served: int = 0  # the turn in which it was served last
    begun: deque[float] = field(
        default_factory=deque
    )  # within the last second; only where there is a rate limit


class Slots:
    """Keeps count of the requests in flight. Used by one thread."""

    def __init__(self, *, workers: int, slow_workers: int, slow_after_s: float, line: int = 1) -> None:
        self._workers = workers
        self._slow_workers = slow_workers
        self._slow_after_s = slow_after_s
        self._line = line
        self._lanes: dict[Key, _Lane] = {}
        self._busy: dict[Key, _Lane] = {}  # of them those that have something in flight
        self._turns = count(1)

    @property
    def in_flight(self) -> int:
        """Return how many requests are under way."""
        return sum(len(lane.flying) for lane in self._busy.values())

    def free(self, now_s: float) -> int:
        """Return how many further requests to endpoints that answer may begin."""
        slow = self._slow_flying(now_s)
        spilt = max(slow - self._slow_workers, 0)
        return max(self._workers - (self.in_flight - slow) - spilt, 0)

    def any_free(self, now_s: float) -> bool:
        """Return whether any request may begin, whatever its endpoint."""
        return self.free(now_s) > 0 or self._slow_workers // 2 > self._slow_flying(now_s)

    def open_to(self, endpoints: Iterable[Endpoint], now_s: float) -> list[Endpoint]:
        """Return the endpoints that may begin a request now, the one served longest ago first."""
        slow_free = self._slow_workers // 2 - self._slow_flying(now_s)
        free = self.free(now_s)
        able = [
            endpoint
            for endpoint in endpoints
            if self._cap(endpoint, now_s) > 0 and (slow_free if self._is_slow(endpoint, now_s) else free) > 0
        ]
        return sorted(able, key=lambda endpoint: self._lane(endpoint).served)

    def deal(self, waiting: Sequence[Endpoint], now_s: float) -> dict[Key, int]:
        """Deal out the free places among endpoints that have something due, in their order."""
        left = {False: self.free(now_s), True: self._slow_workers // 2 - self._slow_flying(now_s)}
        share = self._share(waiting)
        caps = {
            _key(each): min(self._cap(each, now_s), max(share - len(self._lane(each).flying), 0))
            for each in waiting
        }
        dealt: dict[Key, int] = {}
        slows = {_key(each): self._is_slow(each, now_s) for each in waiting}
        hungry = [_key(each) for each in waiting if caps[_key(each)] > 0]
        while hungry:
            for key in hungry:
                if left[slows[key]] > 0:
                    left[slows[key]] -= 1
                    dealt[key] = dealt.get(key, 0) + 1
            hungry = [key for key in hungry if dealt.get(key, 0) < caps[key] and left[slows[key]] > 0]
        return dealt

    def line(self, endpoint: Endpoint) -> int:
        """Return how many deliveries each of an endpoint's places may send one after the other."""
        return self._lane(endpoint).line if endpoint.rate_per_s is None else 1

    def begin(self, endpoint: Endpoint, ticket: Ticket, now_s: float) -> None:
        """Note that a request goes out."""
        lane = self._lanes.setdefault(_key(endpoint), _Lane())
        lane.flying[ticket] = now_s
        self._busy[_key(endpoint)] = lane
        lane.served = next(self._turns)
        if endpoint.rate_per_s is not None:
            lane.begun.append(now_s)

    def end(
        self, key: Key, ticket: Ticket, *, answered: bool, now_s: float, taken_s: float | None = None
    ) -> None:
        """Note that a request came back, with any status (`answered`) or with none; with success after `taken_s`."""
        lane = self._lanes[key]
        waited_s = now_s - lane.flying.pop(ticket)
        if not lane.flying:
            self._busy.pop(key, None)
        lane.slow = waited_s > self._slow_after_s
        lane.window = min(lane.window * 2, self._workers) if answered and not lane.slow else FIRST_WINDOW
        lane.line = 1 if taken_s is None else max(min(int(LINE_S / max(taken_s, 0.001)), self._line), 1)

    def flying(self) -> Mapping[Key, int]:
        """Return how many requests each endpoint has under way, for the metrics."""
        return {key: len(lane.flying) for key, lane in self._busy.items()}

    def _share(self, waiting: Iterable[Endpoint]) -> int:
        busy = {_key(each) for each in waiting} | set(self.flying())
        return max(self._workers // max(len(busy), 1), 1)

    def _cap(self, endpoint: Endpoint, now_s: float) -> int:
        """Return how many requests an endpoint may begin now as far as it alone is concerned."""
        lane = self._lane(endpoint)
        most = 1 if self._is_slow(endpoint, now_s) else min(endpoint.concurrency, lane.window)
        if endpoint.rate_per_s is None:
            return most - len(lane.flying)
        while lane.begun and lane.begun[0] <= now_s - RATE_SPAN_S:
            lane.begun.popleft()
        return min(most - len(lane.flying), endpoint.rate_per_s - len(lane.begun))

    def _is_slow(self, endpoint: Endpoint, now_s: float) -> bool:
        return self._waits(self._lane(endpoint), now_s)

    def _waits(self, lane: _Lane, now_s: float) -> bool:
        return lane.slow or any(now_s - begun > self._slow_after_s for begun in lane.flying.values())

    def _slow_flying(self, now_s: float) -> int:
        return sum(len(lane.flying) for lane in self._busy.values() if self._waits(lane, now_s))

    def _lane(self, endpoint: Endpoint) -> _Lane:
        return self._lanes.get(_key(endpoint)) or _Lane()


def _key(endpoint: Endpoint) -> Key:
    return endpoint.env, endpoint.id
