"""What a loyalty vendor is, besides its API: what a file may say of it, and how it tells of a change.

A vendor's webhooks are written in the commit that caused them, beside our own messages, and only where an endpoint has
the vendor's `format` and asks for the event. Like our own they are frozen then: every retry and replay sends the same bytes
under the same id. Nothing here does I/O or knows the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from adapter.catalog import Catalog, DialectSettings
    from adapter.clock import Millis


class Options(BaseModel):
    """What a file may say of a dialect besides its program: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Told:
    """Something to tell: our own message's type and data, before they are written in anybody's format."""

    id: int  # of the message that is written
    type: str  # ours: `balance.updated`
    at: Millis
    env: int
    member: int | None
    data: Mapping[str, Any]
    catalog: Catalog
    settings: DialectSettings  # what the environment says of the vendor


@dataclass(frozen=True, slots=True)
class Parcelled:
    """A message on its way out, for a signature: the shown id, the frozen bytes, the keys in force (newest first).

    `secrets` are what the keys were read from, `whsec_…`, for a vendor that signs with the text itself.
    """

    id: str
    body: bytes
    at: Millis
    keys: tuple[bytes, ...] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def _nothing_more(_parcel: Parcelled) -> Mapping[str, str]:
    return {}


def _nothing_to_write(_event: str, _told: Told) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Vendor:
    """One loyalty vendor. Its API is its `Dialect`, which is served by the web."""

    name: str
    title: str
    options: type[BaseModel] = Options
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The vendor's events that a message of ours may become, by our type."""
    write: Callable[[str, Told], Mapping[str, Any] | None] = _nothing_to_write
    """Returns the body of one of its events; None where this change is no occasion for it."""
    sign: Callable[[Parcelled], Mapping[str, str]] = _nothing_more
    """Returns the vendor's own headers for one attempt; those of Standard Webhooks are sent in any case."""

    def event_types(self) -> Iterable[str]:
        """Return all of its events that we tell."""
        return dict.fromkeys(event for events in self.events.values() for event in events)
