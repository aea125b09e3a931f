"""Tables of topics: how a connector finds out why it ignores one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def reason_to_ignore(ignored: Mapping[str, str], topic: str) -> str | None:
    """Return why the topic is ignored, or None where the table does not have it.

    A key that ends in `*` stands for every topic that begins with what is before the star.
    """
    if topic in ignored:
        return ignored[topic]
    return next(
        (why for key, why in ignored.items() if key.endswith("*") and topic.startswith(key[:-1])), None
    )
