"""Columns as PostgreSQL's binary arrays: how many rows travel in one statement.

The driver writes lists as text and escapes them with regular expressions, which costs more than deciding the batch did.
The binary form is a header and, for each element, its length and its bytes (source: `array_send` of the server).
"""

from __future__ import annotations

from functools import partial
from struct import Struct, calcsize
from typing import TYPE_CHECKING, Any

from psycopg import adapters
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NULL = (-1).to_bytes(4, "big", signed=True)
_ONE = (1).to_bytes(4, "big")


class Packed(bytes):
    """The bytes of one array; each kind of element has a subclass, by which the driver knows the type."""


def _integers(letter: str) -> Callable[[int], bytes]:
    """Return what writes an integer, of a width by `struct`'s letter: nothing of it is Python's."""
    return partial(Struct(f">i{letter}").pack, calcsize(f">{letter}"))


_length = Struct(">i").pack


def _bytes(value: bytes) -> bytes:
    return _length(len(value)) + value


def _text(value: str) -> bytes:
    raw = value.encode()
    return _length(len(raw)) + raw


_KINDS: dict[
    str, tuple[int, int, Callable[[Any], bytes]]
] = {  # element's oid, array's oid, how to write an element
    "smallint": (21, 1005, _integers("h")),
    "integer": (23, 1007, _integers("i")),
    "bigint": (20, 1016, _integers("q")),
    "text": (25, 1009, _text),
    "bytea": (17, 1001, _bytes),
}


def _register(kind: str, oid: int) -> type[Packed]:
    """Make the type of one kind of array, and tell the driver that it is written as it is."""
    packed = type(f"Packed_{kind}", (Packed,), {})

    def dump(_self: Dumper, value: Packed) -> Buffer:
        return bytes(value)

    adapters.register_dumper(
        packed, type(f"Dump_{kind}", (Dumper,), {"format": Format.BINARY, "oid": oid, "dump": dump})
    )
    return packed


_PACKED = {kind: _register(kind, array) for kind, (_, array, _) in _KINDS.items()}


def pack(kind: str, values: Iterable[Any]) -> Packed:
    """Write a column of values, None for null, as one array of `kind`."""
    element, _, write = _KINDS[kind]
    parts = [_NULL if value is None else write(value) for value in values]
    nulls = _NULL in parts
    if not parts:
        header = bytes(8) + element.to_bytes(4, "big")
    else:
        header = (
            _ONE
            + int(nulls).to_bytes(4, "big")
            + element.to_bytes(4, "big")
            + len(parts).to_bytes(4, "big")
            + _ONE
        )
    return _PACKED[kind](header + b"".join(parts))
