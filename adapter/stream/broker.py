"""What we ask of a broker: a log that keeps what it acknowledged, forgets repeats, and gives again what nobody finished.

Kafka and RabbitMQ's streams can stand behind the same few methods. All of them block, and may be called from any thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter.clock import Millis


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to publish. A broker that is given the same `name` again soon keeps only the first."""

    name: str
    subject: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """One message from a stream, ours to finish. Header names are lower-case."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    stored_at: Millis  # when the broker took it
    handle: Any = field(repr=False)  # the broker's own


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a consumer has before it: not given out yet, and given out but not finished."""

    pending: int
    unfinished: int


class Broker(Protocol):
    """Every method raises `BrokerUnavailable` where the broker is gone or refuses."""

    def publish(self, stream: str, parcels: Sequence[Parcel]) -> int:
        """Publish to a stream, in this order; return how many, from the first on without a gap, it will keep."""

    def take(self, stream: str, consumer: str, most: int, wait_s: float) -> list[Taken]:
        """Return what comes next for a consumer, at most so many; empty when nothing came within the time."""

    def finish(self, taken: Sequence[Taken]) -> None:
        """Say that these are done with; they do not come again."""

    def put_back(self, taken: Sequence[Taken], after_s: float) -> None:
        """Say that these shall come again, after some seconds."""

    def backlog(self, stream: str, consumer: str) -> Backlog:
        """Return what a consumer has before it."""

    def close(self) -> None:
        """Hang up."""
