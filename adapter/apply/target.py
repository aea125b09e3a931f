"""The environment that a part of the file is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.apply.change import Action, Change

if TYPE_CHECKING:
    from adapter.catalog import Catalog
    from adapter.clock import Millis


@dataclass(frozen=True, slots=True)
class Target:
    """One environment, what was configured there before, and the instant of the change."""

    env: int
    where: str  # tenant/mode
    place: str  # where the file speaks of it: tenants[0]
    catalog: Catalog
    now: Millis

    def change(self, action: Action, kind: str, name: str, note: str = "") -> Change:
        """Return what was done to one of its things."""
        return Change(action, self.where, kind, name, note)
