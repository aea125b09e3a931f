"""The threads that send, each of them a line of deliveries to one endpoint, one after the other.

A line was claimed whole. It goes on while each answer is a success and comes promptly; else, or when the dispatcher
stops, what is left of it comes back unsent, so that nothing waits behind an endpoint that hangs or fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from adapter.delivery.answer import Answer
from adapter.delivery.record import Attempt

if TYPE_CHECKING:
    from adapter.clock import Clock
    from adapter.delivery.claim import Claimed
    from adapter.delivery.sender import Parcel, Sender

log = structlog.get_logger(__name__)

Line = Sequence[tuple["Claimed", "Parcel"]]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that was made, and what becomes of the rest of its line."""

    attempt: Attempt
    following: Claimed | None = None  # what the same thread sends now
    unsent: tuple[Claimed, ...] = ()  # what it does not send any more


class Crew:
    """Sends lines on threads, and tells of each request as it comes back."""

    def __init__(self, threads: int, sender: Sender, clock: Clock, tell: Callable[[Sent], None]) -> None:
        self._sender = sender
        self._clock = clock
        self._tell = tell
        self._stopping = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="delivery")

    def start(self, line: Line) -> None:
        """Begin to send a line."""
        self._pool.submit(self._go_through, line)

    def finish(self) -> None:
        """Send no further delivery of any line; each request that is under way still tells how it ended."""
        self._stopping = True

    def close(self) -> None:
        """Let go of the threads and of the connections."""
        self._pool.shutdown()
        self._sender.close()

    def _go_through(self, line: Line) -> None:
        for number, (claimed, parcel) in enumerate(line, 1):
            attempt = self._attempt(claimed, parcel)
            if not (number < len(line) and attempt.answer.prompt and self._goes_on(line[number])):
                self._tell(Sent(attempt, unsent=tuple(left for left, _ in line[number:])))
                return
            self._tell(Sent(attempt, following=line[number][0]))

    def _goes_on(self, following: tuple[Claimed, Parcel]) -> bool:
        """Return whether to send another one: unless the crew stops, where that ends before its claim does."""
        claimed, parcel = following
        return not self._stopping and self._clock() + parcel.endpoint.timeout_s * 1000 < claimed.lease_until

    def _attempt(self, claimed: Claimed, parcel: Parcel) -> Attempt:
        now = self._clock()
        try:
            answer = self._sender.send(parcel, now)
        except Exception as error:
            log.exception("a request failed in a way nobody thought of", delivery=claimed.id)
            answer = Answer(None, 0, f"internal: {type(error).__name__}")
        return Attempt(claimed, parcel.endpoint, now, answer)
