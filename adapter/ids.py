"""Ids: 63-bit integers inside, a prefix and 13 letters outside.

An id is 41 bits of milliseconds since 2020 and 22 bits that begin at random in every process and count up, so
ids sort by age, cost eight bytes in each row, and need no coordination. Two processes that hit the same 22 bits
in the same millisecond are caught by the primary key, and the batch is decided again with fresh ids.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.clock import Millis

_EPOCH_MS: Millis = 1_577_836_800_000  # 2020-01-01
_LOW_BITS = 22
_LOW_MASK = (1 << _LOW_BITS) - 1
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LETTERS = 13
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]

_lock = threading.Lock()
_low = secrets.randbits(_LOW_BITS)


def new_id(now: Millis) -> int:
    """Return a fresh id that sorts after those of earlier milliseconds."""
    global _low  # noqa: PLW0603 - one counter per process is what makes ids of one process distinct
    with _lock:
        _low = (_low + 1) & _LOW_MASK
        low = _low
    return (max(now - _EPOCH_MS, 0) << _LOW_BITS) | low


def show(prefix: str, number: int) -> str:
    """Write an id as people see it: `show("mem", 5)` is `mem_0000000000005`."""
    pairs = [_PAIRS[number >> shift & 1023] for shift in range(50, -1, -10)]
    return f"{prefix}_{_ALPHABET[number >> 60]}{''.join(pairs)}"


def read(prefix: str, text: str) -> int | None:
    """Return the number of a shown id, or None where the text is not an id with this prefix."""
    head, _, letters = text.partition("_")
    if head != prefix or len(letters) != _LETTERS:
        return None
    number = 0
    for letter in letters:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    return number if number < 1 << 63 else None
