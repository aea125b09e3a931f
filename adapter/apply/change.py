"""What applying a file did to one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Action(StrEnum):
    """What was done."""

    CREATED = "created"
    UPDATED = "updated"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    KEPT = "kept"  #: it is no longer in the file, and stays all the same


@dataclass(frozen=True, slots=True)
class Change:
    """One thing of one environment. Only `note` may ever show a secret: one that was just made."""

    action: Action
    where: str  # tenant/mode
    kind: str
    name: str
    note: str = ""

    @property
    def changed(self) -> bool:
        return self.action not in (Action.UNCHANGED, Action.KEPT)

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.action:<9} {self.where}: {self.kind} {self.name}{note}"


def told(changes: Sequence[Change]) -> list[str]:
    """Return the lines that say what changed; what stayed as it was is only counted."""
    lines = [str(change) for change in changes if change.action is not Action.UNCHANGED]
    if not any(change.changed for change in changes):
        return [*lines, "nothing changed"]
    unchanged = sum(change.action is Action.UNCHANGED for change in changes)
    return [*lines, f"{unchanged} unchanged"] if unchanged else lines
