"""What became of a command: an event kept in some state, a thing made or changed, or a refusal with its reason."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class EventState(StrEnum):
    """What became of a stored event."""

    APPLIED = "applied"  #: its facts are in the book
    PARKED = "parked"  #: its facts are kept and wait for something; the reason says for what
    IGNORED = "ignored"  #: nothing to do with points
    REJECTED = "rejected"  #: authentic but not understood; kept whole, to be replayed after a fix


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The durable answer to a command.

    For a `RecordEvent`: the id under which it is stored, its state, the reason if it is not simply applied, and
    whether it had been stored before (then nothing happened, and id and state are the first one's).
    For a command of the API: `row`, what it made or changed as it then was, column by column; for one that moved a
    transaction also `figures`, the points in each account of its balance right after it.
    For a command that the book refused, or that met an unavailable database: `error` is the error's code, `reason` a
    sentence, and `figures` what it depends on: points in smallest units, and money as text. `field` is the field of
    the request that is at fault, if one is; `retry_after_s` says when asking again may help.
    """

    event: int | None = None
    state: str | None = None
    reason: str | None = None
    duplicate: bool = False
    error: str | None = None
    row: dict[str, Any] | None = None
    figures: dict[str, int | str] | None = None
    field: str | None = None
    retry_after_s: int | None = None
