"""What a connector offers to the tests that hold every connector to the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.clock import Millis, parse
from connectors.base import Connector, RawEvent, SourceSettings

if TYPE_CHECKING:
    from pathlib import Path

NOW = parse("2026-10-20T12:00:00Z")

Sign = Callable[[str, bytes, str, Millis], dict[str, str]]
"""(topic, body, secret, now) to the headers that the platform would send."""


@dataclass(frozen=True)
class Case:
    """A connector with two secrets that it accepts, its platform's way to sign, and payloads."""

    connector: Connector
    secrets: tuple[str, str]
    sign: Sign
    signature: str  # the header that carries the signature
    samples: Mapping[str, bytes]  # by topic
    unknown: tuple[str, bytes]  # a topic that nobody has heard of, with a body

    def raw(self, topic: str, body: bytes, *, secret: str | None = None, now: Millis = NOW) -> RawEvent:
        """Return a webhook as the platform would send it."""
        return RawEvent(self.sign(topic, body, secret or self.secrets[0], NOW), body, now)

    def settings(self, *secrets: str) -> SourceSettings:
        return SourceSettings("shop", secrets or self.secrets)

    @property
    def sample(self) -> tuple[str, bytes]:
        """The smallest of the samples."""
        return min(self.samples.items(), key=lambda item: len(item[1]))


def read_samples(folder: Path, separator: str = ".") -> dict[str, bytes]:
    """Read the payloads of a folder, by topic: the file's name with its first dot as the separator."""
    return {path.stem.replace(".", separator, 1): path.read_bytes() for path in sorted(folder.glob("*.json"))}
