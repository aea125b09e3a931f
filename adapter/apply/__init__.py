"""`apply FILE`: make what is configured match a declarative file, in one unit of work, repeatably.

A list that the file has for a tenant (`keys`, `endpoints`, …) is complete: nothing else stays in force. A
list that it does not have at all is left alone, so that keys and endpoints may as well be managed by hand.

- keys that are gone are revoked, for good;
- endpoints that are gone are disabled, and enabled again when they come back; deliveries are held meanwhile;
- a source that is gone is removed while it has no events. With events it is refused: `rebuild` and replays
  read them by their source, and a shop that suddenly gets 404 switches its webhooks off;
- a program that is gone is kept: orders keep the version under which they were placed.
"""

from __future__ import annotations

from adapter.apply.change import Action, Change
from adapter.apply.file import ApplyFile, check_tree, read_file
from adapter.apply.matching import apply, make_match

__all__ = ["Action", "ApplyFile", "Change", "apply", "check_tree", "make_match", "read_file"]
