"""Which changes of the latest instants are this process's own.

Ids of one process sort even within a millisecond; those of two processes do not, because each counts for itself. So where
a row was changed in the very millisecond in which a batch is to be decided, it matters by whom: after a change of ours,
ids drawn now are larger, after another process's they may be smaller, and a subscriber who wants a member's messages in
order would hear the later one first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from adapter.clock import Millis

KEPT = 64
"""Instants that are remembered: those of the batches under way, and more. What is forgotten counts as another's."""


class Instants:
    """What was changed at which instant, by this process."""

    def __init__(self) -> None:
        self._changed: OrderedDict[Millis, set[Hashable]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, at: Millis, keys: Iterable[Hashable]) -> None:
        """Note what a batch of ours changes."""
        with self._lock:
            self._changed.setdefault(at, set()).update(keys)
            self._changed.move_to_end(at)
            while len(self._changed) > KEPT:
                self._changed.popitem(last=False)

    def ours(self, at: Millis, keys: Iterable[Hashable]) -> bool:
        """Return whether all of these were changed by us at that instant."""
        with self._lock:
            return self._changed.get(at, set()).issuperset(keys)


OWN = Instants()
"""Of this process, as the count of its ids is."""
