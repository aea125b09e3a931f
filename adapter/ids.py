"""Ids: 63-bit integers inside, a prefix and 13 letters outside.

An id is the milliseconds since 2020, shifted by 22 bits, plus a count that begins at random below that in every process
and goes on; so ids sort by age, those of one process even within a millisecond, cost eight bytes in each row, and need no
coordination. Two processes that hit the same number in the same millisecond are caught by the primary key, and the
batch is decided again with fresh ids.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.clock import Millis

_EPOCH_MS: Millis = 1_577_836_800_000  # 2020-01-01
_LOW_BITS = 22
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LETTERS = 13
_CODE_LETTERS = 8
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]

_lock = threading.Lock()
_count = secrets.randbits(
    _LOW_BITS
)  # never wraps: after four million ids it counts into the next millisecond


def new_id(now: Millis) -> int:
    """Return a fresh id that sorts after those of earlier milliseconds."""
    global _count  # noqa: PLW0603 - one counter per process is what makes ids of one process distinct
    with _lock:
        _count += 1
        count = _count
    return (max(now - _EPOCH_MS, 0) << _LOW_BITS) + count


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


def new_code(prefix: str) -> str:
    """Return a code that nobody guesses, in letters that nobody mistakes: `new_code("GIFT")` is `GIFT-7K2M9QXB`."""
    return f"{prefix}-{''.join(secrets.choice(_ALPHABET) for _ in range(_CODE_LETTERS)).upper()}"
