"""The parts of an order's award: which rules gave what, as its row keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter.program.model import ONLY_RULE

if TYPE_CHECKING:
    from adapter.book.state import Order

Parts = tuple[tuple[str, int], ...]
"""(rule, smallest units), in the order of the program's rules."""

_decoder = msgspec.json.Decoder(Parts)


def dump_parts(parts: Parts) -> str | None:
    """Write parts as JSON; None for none, and where the short form's only rule gave everything."""
    return msgspec.json.encode(parts).decode() if parts else None


def parts_of(order: Order) -> Parts:
    """Return which rules gave an order's award."""
    return read_parts(order.parts, order.award)


def read_parts(text: str | None, award: int) -> Parts:
    """Return which rules gave an award, of what its row says."""
    if text is not None:
        return _decoder.decode(text)
    return ((ONLY_RULE, award),) if award else ()
