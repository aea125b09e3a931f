"""The last audit's result, beside the database: `audit` leaves it, `/metrics` tells it.

A file, not a row: an audit only reads the database, and what it proves about it should not depend on it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from adapter.clock import Millis


class Verdict(msgspec.Struct, frozen=True):
    """When an audit ended, how long it took in milliseconds, and how many violations it found."""

    ended_at: int
    took_ms: int
    violations: int


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """Where the verdict is kept."""

    path: Path

    def write(self, ended_at: Millis, took_ms: int, violations: int) -> None:
        """Keep a verdict; a reader sees the old one or the new one, whole. Raises `OSError`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        fresh.write_bytes(msgspec.json.encode(Verdict(ended_at, took_ms, violations)))
        fresh.replace(self.path)

    def read(self) -> Verdict | None:
        """Return the last verdict, None where there is none that can be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Verdict)
        except (OSError, msgspec.DecodeError):
            return None
